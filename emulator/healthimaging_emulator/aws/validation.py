"""Every violated constraint of an input, at once, in the words of AWS's classic Coral services."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.healthimaging.shapes import members

Constraint = tuple[str, Callable[[Any], bool]]


def validate(input: msgspec.Struct) -> None:
    """Raise one ``ValidationException`` that names all violations, members in the order of their declaration."""
    violations = [
        f"Value '{value}' at '{member}' failed to satisfy constraint: {text}"
        for member, attribute, constraints in _constraints(type(input))
        if (value := getattr(input, attribute)) is not None
        for text, is_satisfied in constraints
        if not is_satisfied(value)
    ]
    if violations:
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise ValidationException(f"{count}: {'; '.join(violations)}")


@functools.cache
def _constraints(shape: type[msgspec.Struct]) -> list[tuple[str, str, list[Constraint]]]:
    return [(member.encode_name, member.name, list(_of(member.type))) for member in members(shape)]


def _of(type_info: inspect.Type, printed: str = "") -> Iterator[Constraint]:
    """Read a type's constraints back from msgspec; ``printed`` is the pattern in the model's own spelling."""
    match type_info:
        case inspect.UnionType(types=types):  # an optional member
            for each in types:
                yield from _of(each, printed)
        case inspect.Metadata(type=inner, extra=extra):
            yield from _of(inner, (extra or {}).get("pattern", ""))
        case inspect.StrType(min_length=shortest, max_length=longest, pattern=pattern):
            if shortest is not None:
                yield f"Member must have length greater than or equal to {shortest}", lambda v: len(v) >= shortest
            if longest is not None:
                yield f"Member must have length less than or equal to {longest}", lambda v: len(v) <= longest
            if pattern is not None:
                matches = re.compile(pattern).search
                yield f"Member must satisfy regular expression pattern: {printed}", lambda v: matches(v) is not None
        case inspect.IntType(ge=least, le=most):
            if least is not None:
                yield f"Member must have value greater than or equal to {least}", lambda v: v >= least
            if most is not None:
                yield f"Member must have value less than or equal to {most}", lambda v: v <= most
        case inspect.LiteralType(values=values):
            yield f"Member must satisfy enum value set: [{', '.join(map(str, values))}]", lambda v: v in values
