"""Report all violated constraints of an input at once, in the words of AWS's classic Coral services.

Violations are listed in the order of the model's members, depth first. For one member the order is: null, enum, length
or range, pattern, members.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from .errors import ValidationException
from .members import Blob, Integer, List, Map, Shape, Structure, Text, shape_of


def validate(input: Struct) -> None:
    """Raise one ``ValidationException`` that names all violations of an input."""
    violations = find_violations(input)
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise ValidationException(f"{count}: {'; '.join(violations)}")


def find_violations(value: Struct) -> list[str]:
    """Return all violations of the constraints of a structure."""
    return list(_violations_of_members(shape_of(type(value)), value, "", is_sensitive=False))


def _violations_of_members(shape: Structure, value: Struct, path: str, *, is_sensitive: bool) -> Iterator[str]:
    for member in shape.members:
        found = getattr(value, member.attribute)
        if found is not None or member.is_required:
            is_secret = is_sensitive or member.is_sensitive
            yield from _violations(member.shape, found, f"{path}{member.name}", is_sensitive=is_secret)


def _violations(shape: Shape, value: Any, path: str, *, is_sensitive: bool) -> Iterator[str]:
    for constraint in ["Member must not be null"] if value is None else _broken_constraints(shape, value):
        yield f"{_name_value(value, path, is_sensitive=is_sensitive)} failed to satisfy constraint: {constraint}"
    if isinstance(value, Struct) and isinstance(shape, Structure):
        yield from _violations_of_members(shape, value, f"{path}.", is_sensitive=is_sensitive)
    elif isinstance(shape, List) and value is not None:
        for index, item in enumerate(value, start=1):
            yield from _violations(shape.item, item, f"{path}.{index}.member", is_sensitive=is_sensitive)


def _broken_constraints(shape: Shape, value: Any) -> Iterator[str]:
    match shape:
        case Text(values=values) if values:
            if value not in values:
                yield f"Member must satisfy enum value set: [{', '.join(values)}]"
        case Text():
            yield from _broken_lengths(shape, len(value))
            if not shape.matches(value):
                yield f"Member must satisfy regular expression pattern: {shape.pattern}"
        case Integer(least, most):
            if least is not None and value < least:
                yield f"Member must have value greater than or equal to {least}"
            if most is not None and value > most:
                yield f"Member must have value less than or equal to {most}"
        case Map(key, text):
            yield from _broken_lengths(shape, len(value))
            if any(each is None or any(_broken_constraints(key, each)) for each in value):
                yield f"Map keys must satisfy constraint: [{', '.join(_describe(key))}]"
            if any(each is None or any(_broken_constraints(text, each)) for each in value.values()):
                yield f"Map value must satisfy constraint: [{', '.join(_describe(text))}]"
        case Blob() | List():
            yield from _broken_lengths(shape, len(value))
        case Structure(members=members, is_union=True):
            if sum(getattr(value, member.attribute) is not None for member in members) != 1:
                yield f"Member must have exactly one of [{', '.join(member.name for member in members)}]"


def _broken_lengths(shape: Text | Blob | List | Map, length: int) -> Iterator[str]:
    if shape.min_length is not None and length < shape.min_length:
        yield f"Member must have length greater than or equal to {shape.min_length}"
    if shape.max_length is not None and length > shape.max_length:
        yield f"Member must have length less than or equal to {shape.max_length}"


def _describe(shape: Text) -> Iterator[str]:
    """Name all constraints of a string, in the order in which Coral prints those of a map."""
    if shape.max_length is not None:
        yield f"Member must have length less than or equal to {shape.max_length}"
    if shape.min_length is not None:
        yield f"Member must have length greater than or equal to {shape.min_length}"
    if shape.pattern is not None:
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"


def _name_value(value: Any, path: str, *, is_sensitive: bool) -> str:
    if value is None:
        return f"Value null at '{path}'"
    return f"Value at '{path}'" if is_sensitive else f"Value '{_show(value)}' at '{path}'"


def _show(value: Any) -> str:
    """Print a value as Java does."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, Struct):
        members = shape_of(type(value)).members
        shown = {m.name: "***" if m.is_sensitive else getattr(value, m.attribute) for m in members}
        return _show({name: each for name, each in shown.items() if each is not None})
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_show(each)}" for key, each in value.items()) + "}"
    return "null" if value is None else str(value)
