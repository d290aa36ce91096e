"""Members of inputs and outputs: where they travel, and which constraints they have.

A shape is a ``msgspec.Struct``. Its annotations say everything: the type, AWS's constraints (``Meta``), and with the
functions below where a member travels. ``shape_of`` reads the annotations once into plain values, which parsing and
validation then walk. An annotation that validation could not check raises ``TypeError`` when the module is loaded.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct, inspect

Location = Literal["body", "label", "query", "header", "payload"]


def label(*, is_greedy: bool = False) -> Meta:
    """Declare a member that travels in the path. A greedy one may contain slashes."""
    return Meta(extra={"location": "label", "is_greedy": is_greedy})


def query(name: str = "") -> Meta:
    """Declare a member that travels in the query, by default under its own name."""
    return Meta(extra={"location": "query", "location_name": name})


def header(name: str) -> Meta:
    """Declare a member that travels in a header."""
    return Meta(extra={"location": "header", "location_name": name})


def payload() -> Meta:
    """Declare the member that is the body."""
    return Meta(extra={"location": "payload"})


def sensitive() -> Meta:
    """Declare a member with a secret value: no error message shows it, nor any value inside it."""
    return Meta(extra={"is_sensitive": True})


def idempotency_token() -> Meta:
    """Declare a member that SDKs fill by themselves."""
    return Meta(extra={"is_idempotency_token": True})


def pattern(
    text: str, *, linear: str | None = None, min_length: int | None = None, max_length: int | None = None
) -> Meta:
    r"""Declare the pattern that a whole string must match, as AWS's model prints it.

    Python, JSON Schema and Java read patterns differently: Java's ``\w`` and ``\d`` are ASCII, ``\p{ASCII}`` is unknown
    to Python, and ``$`` would let a final newline pass. ``linear`` accepts the same strings, for a pattern of the model
    that would take exponential time.
    """
    portable = (linear or text).replace(r"\p{ASCII}", r"[\x00-\x7F]")
    portable = portable.replace(r"\w", "A-Za-z0-9_").replace(r"\d", "[0-9]")  # the model has \w in brackets only
    whole = rf"^(?:{portable})(?![\s\S])"
    return Meta(pattern=whole, extra={"pattern": text}, min_length=min_length, max_length=max_length)


class Text(Struct, frozen=True):
    """A string. ``pattern`` is printed in messages, ``portable_pattern`` decides."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    portable_pattern: str | None = None
    values: tuple[str, ...] = ()

    def matches(self, value: str) -> bool:
        """Whether a value matches the pattern, if there is one."""
        return self.portable_pattern is None or _compile(self.portable_pattern).search(value) is not None


@functools.cache
def _compile(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first used: all of them together would delay the start."""
    return re.compile(pattern, re.ASCII)


class Integer(Struct, frozen=True):
    """A whole number of 32 bits."""

    least: int | None = None
    most: int | None = None


class Boolean(Struct, frozen=True):
    """``true`` or ``false``."""


class Timestamp(Struct, frozen=True):
    """Epoch seconds."""


class Blob(Struct, frozen=True):
    """Bytes; base64 inside JSON."""

    min_length: int | None = None
    max_length: int | None = None


class List(Struct, frozen=True):
    """A list of one shape."""

    item: Shape
    min_length: int | None = None
    max_length: int | None = None


class Map(Struct, frozen=True):
    """A map from strings to one shape."""

    key: Text
    value: Text
    min_length: int | None = None
    max_length: int | None = None


class Structure(Struct, frozen=True):
    """A structure. In a union, exactly one member is set."""

    cls: type[Struct]
    members: tuple[Member, ...]
    is_union: bool = False


Shape = Text | Integer | Boolean | Timestamp | Blob | List | Map | Structure


class Member(Struct, frozen=True):
    """One member of a structure. ``name`` is AWS's, ``attribute`` Python's, ``location_name`` that on the wire."""

    name: str
    attribute: str
    shape: Shape
    is_required: bool
    location: Location = "body"
    location_name: str = ""
    is_greedy: bool = False
    is_sensitive: bool = False
    is_idempotency_token: bool = False


@functools.cache
def shape_of(cls: type[Struct]) -> Structure:
    """Return the declaration of a structure. Raises ``TypeError`` for one that cannot be checked."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    annotations = get_type_hints(cls, include_extras=True)
    members = tuple(_member(field, annotations[field.name]) for field in info.fields)
    return Structure(cls, members, getattr(cls, "is_union", False))


def _member(field: inspect.Field, annotation: Any) -> Member:
    extra = _extra_of(field.type) | {"values": _enum_values(annotation)}
    return Member(
        name=field.encode_name,
        attribute=field.name,
        shape=_read(field.type, extra),
        is_required=field.required,
        location=extra.get("location", "body"),
        location_name=extra.get("location_name") or field.encode_name,
        is_greedy=extra.get("is_greedy", False),
        is_sensitive=extra.get("is_sensitive", False),
        is_idempotency_token=extra.get("is_idempotency_token", False),
    )


def _enum_values(annotation: Any) -> tuple[str, ...]:
    """Return the values of an enum in their order; msgspec sorts them."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(_enum_values, get_args(annotation))), ())


def _extra_of(info: inspect.Type) -> dict[str, Any]:
    """Collect the extras of an annotation, also inside an optional one."""
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            return _extra_of(inner) | (extra or {})
        case inspect.UnionType(types=types):
            return functools.reduce(lambda found, each: found | _extra_of(each), types, {})
    return {}


def _read(info: inspect.Type, extra: Mapping[str, Any]) -> Shape:
    match info:
        case inspect.UnionType(types=types):
            inner = [each for each in types if not isinstance(each, inspect.NoneType)]
            if len(inner) == 1:
                return _read(inner[0], extra)
        case inspect.Metadata(type=inner):
            return _read(inner, {**extra, **(info.extra or {})})
        case inspect.StrType(min_length=shortest, max_length=longest, pattern=found) if not found or "pattern" in extra:
            return Text(shortest, longest, extra.get("pattern"), found)
        case inspect.LiteralType():
            return Text(values=extra["values"])
        case inspect.IntType(gt=None, ge=least, lt=None, le=most, multiple_of=None):
            return Integer(least, most)
        case inspect.BoolType():
            return Boolean()
        case inspect.FloatType():
            return Timestamp()
        case inspect.BytesType(min_length=shortest, max_length=longest):
            return Blob(shortest, longest)
        case inspect.VarTupleType(item_type=item, min_length=shortest, max_length=longest):
            return List(_read(item, {}), shortest, longest)
        case inspect.DictType(key_type=key, value_type=value, min_length=shortest, max_length=longest):
            return Map(_text(key), _text(value), shortest, longest)
        case inspect.StructType(cls=cls):
            return shape_of(cls)
    raise TypeError(f"no constraint of {info} can be checked")


def _text(info: inspect.Type) -> Text:
    shape = _read(info, {})
    if not isinstance(shape, Text):
        raise TypeError(f"a map holds strings only, not {info}")
    return shape
