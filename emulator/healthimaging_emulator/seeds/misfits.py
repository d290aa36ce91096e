"""Find all values inside a document that do not fit their types, where msgspec stops at the first one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import structs

from ..documents import explain, name_scalar
from ..errors import InvalidError


class Misfit(NamedTuple):
    """A value that does not fit its type. To explain it takes time."""

    path: str
    error: msgspec.ValidationError
    type: Any

    def explain(self) -> InvalidError:
        message, inside = explain(self.error, self.type)
        return InvalidError(message, path=self.path + inside.removeprefix("$"))


def find_misfits(value: Any, type: Any, path: str, *, strict: bool) -> Iterator[Misfit]:
    """Find the smallest values that do not fit their types; ``strict`` as msgspec has it."""
    try:
        msgspec.convert(value, type, strict=strict)
        return
    except msgspec.ValidationError as error:
        own = Misfit(path, error if strict else name_scalar(error), type)
    parts = (find_misfits(part, wanted, path + name, strict=strict) for name, part, wanted in _parts(value, type))
    wrong_names = (Misfit(path, msgspec.ValidationError(rule), type) for rule in _find_wrong_names(value, type))
    found = False
    for misfit in chain(chain.from_iterable(parts), wrong_names):
        found = True
        yield misfit
    if not found:
        yield own


def _parts(value: Any, type: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the value and the type of each part of a value."""
    for each in _alternatives(type):
        origin, arguments = get_origin(each), get_args(each)
        if origin is list and isinstance(value, list):
            yield from ((f"[{index}]", item, arguments[0]) for index, item in enumerate(value))
        elif origin is dict and isinstance(value, dict):
            for key, item in value.items():
                yield f".{key}", key, arguments[0]
                yield f".{key}", item, arguments[1]
        elif isinstance(value, dict):
            fields = _fields(each)
            yield from ((f".{name}", value[name], fields[name].type) for name in value if name in fields)


def _find_wrong_names(value: Any, type: Any) -> Iterator[str]:
    """Find members that a type does not have, and those that it requires."""
    for fields in filter(None, map(_fields, _alternatives(type))):
        if isinstance(value, dict):
            yield from (f"Object contains unknown field `{name}`" for name in value if name not in fields)
            missing = (name for name, field in fields.items() if field.required and name not in value)
            yield from (f"Object missing required field `{name}`" for name in missing)


@cache
def _alternatives(type: Any) -> tuple[Any, ...]:
    """Return the types of a union, without their constraints."""
    origin, arguments = get_origin(type), get_args(type)
    if origin is Annotated:
        return _alternatives(arguments[0])
    if origin in (Union, UnionType):
        return tuple(each for argument in arguments for each in _alternatives(argument))
    return (type,)


@cache
def _fields(type: Any) -> dict[str, structs.FieldInfo]:
    """Return the members of a struct by their names in documents."""
    return {field.encode_name: field for field in structs.fields(type)} if hasattr(type, "__struct_fields__") else {}
