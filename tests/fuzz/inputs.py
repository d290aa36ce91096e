"""Inputs for any operation, drawn from AWS's model: good ones, and good ones that are broken in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.aws_model import MODEL, is_union, matches

PATTERNS = {"MetadataFilePath": "[!-~]([ -~]{0,20}[!-~])?"}
"""Patterns to draw from in the place of the model's own, which takes exponential time."""

MOST_ITEMS = 3
"""Items of a list and characters above the least: what is longer is for the constraints' own tests."""

Known = dict[str, st.SearchStrategy[Any]]
"""Values of shapes, by their names, that mean something to an emulator, such as ids."""


class Place(NamedTuple):
    """A value inside an input: the keys that lead to it, and its shape."""

    keys: tuple[Any, ...]
    shape: Any
    is_required: bool
    location: str
    """Where it travels, in botocore's words, or ``body`` or ``payload``."""

    def put(self, arguments: dict[str, Any], value: Any) -> dict[str, Any]:
        """Return arguments with another value in this place."""
        return dict(_put(arguments, self.keys, value))

    def drop(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return arguments without the member in this place."""
        return dict(_put(arguments, self.keys, ...))


def _put(container: Any, keys: tuple[Any, ...], value: Any) -> Any:
    key, *others = keys
    changed = list(container) if isinstance(container, list) else dict(container)
    if others:
        changed[key] = _put(changed[key], tuple(others), value)
    elif value is ...:
        del changed[key]
    else:
        changed[key] = value
    return changed


def good(shape: Any, known: Known) -> st.SearchStrategy[Any]:
    """Return values that keep every constraint of a shape."""
    if shape.name in known:
        return known[shape.name]
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    match shape.type_name:
        case "structure" if is_union(shape):
            each = [st.fixed_dictionaries({name: good(member, known)}) for name, member in shape.members.items()]
            return st.one_of(each)
        case "structure":
            members = {name: good(member, known) for name, member in shape.members.items()}
            required = {name: members.pop(name) for name in shape.required_members}
            return st.fixed_dictionaries(required, optional=members)
        case "list":
            is_query = shape.serialization.get("location") == "querystring"  # where an empty list is not there
            shortest = max(least, 1 if is_query else 0)
            return st.lists(good(shape.member, known), min_size=shortest, max_size=min(most or 99, least + MOST_ITEMS))
        case "map":
            return st.dictionaries(
                good(shape.key, known), good(shape.value, known), min_size=least, max_size=MOST_ITEMS
            )
        case "integer":
            return st.integers(least, 2**31 - 1 if most is None else most)
        case "timestamp":
            return st.floats(0, 4e9) | st.integers(0, 4 * 10**9)
        case "boolean":
            return st.booleans()
        case "blob":
            return st.binary(min_size=least, max_size=least + 20)
    return _good_text(shape, least, most)


def _good_text(shape: Any, least: int, most: int | None) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    pattern = PATTERNS.get(shape.name, shape.metadata.get("pattern"))
    if pattern is None:
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=min(most or 99, least + 20))
    portable = pattern.replace(r"\p{ASCII}{0,8192}", r"[\x00-\x7F]{0,20}")
    longest = 18 if shape.name == "ImageSetExternalVersionId" else most or 8192
    texts = st.from_regex(re.compile(portable, re.ASCII), fullmatch=True)
    return texts.filter(lambda text: least <= len(text) <= longest)


def good_arguments(operation: str, known: Known) -> st.SearchStrategy[dict[str, Any]]:
    """Return inputs that keep every constraint of the model."""
    return good(MODEL.operation_model(operation).input_shape, known)


def places_of(operation: str, arguments: dict[str, Any]) -> list[Place]:
    """Return all places of an input, nested ones too."""
    shape = MODEL.operation_model(operation).input_shape
    payload = shape.serialization.get("payload")
    found: list[Place] = []
    for name, value in arguments.items():
        member = shape.members[name]
        location = "payload" if name == payload else member.serialization.get("location", "body")
        found.append(Place((name,), member, name in shape.required_members, location))
        found += _places_in(member, value, (name,), "body" if location == "payload" else location)
    return found


def _places_in(shape: Any, value: Any, keys: tuple[Any, ...], location: str) -> Iterator[Place]:
    if shape.type_name == "structure":
        for name, each in value.items():
            is_required = name in shape.required_members or is_union(shape)
            yield Place((*keys, name), shape.members[name], is_required, location)
            yield from _places_in(shape.members[name], each, (*keys, name), location)
    elif shape.type_name == "list":
        for index, each in enumerate(value):
            yield Place((*keys, index), shape.member, False, location)
            yield from _places_in(shape.member, each, (*keys, index), location)


WRONG_TYPES: dict[str, list[Any]] = {
    "string": [1, 0.5, True, [], {}],
    "integer": ["1", True, 1.5, [], 2**31, -(2**70)],
    "boolean": ["true", 0, 1, [], {}],
    "timestamp": ["2024-01-01T00:00:00Z", True, [], {}],
    "blob": ["*", "a", 1, [], {}],
    "list": [{}, "text", 1, True],
    "map": [[], "text", 1, True],
    "structure": [[], "text", 1, True],
}
"""JSON of another type than a shape's."""

WRONG_TEXTS = {
    "integer": ["", " 1", "+1", "1.0", "1e1", "0x1", "1_0", "true", "\u0661", "9" * 30],
    "boolean": ["", "True", "1", "yes"],
}
"""Texts that a member of the query cannot be."""


class Broken(NamedTuple):
    """An input that breaks the model in one place, and the code of the refusal that it must get."""

    arguments: dict[str, Any]
    code: str
    how: str


def broken_arguments(operation: str, known: Known) -> st.SearchStrategy[Broken]:
    """Return inputs that break the model in one place."""

    def ways(arguments: dict[str, Any]) -> list[Broken]:
        return [way for place in places_of(operation, arguments) for way in _ways_to_break(place, arguments)]

    return good_arguments(operation, known).map(ways).filter(bool).flatmap(st.sampled_from)


def _ways_to_break(place: Place, arguments: dict[str, Any]) -> Iterator[Broken]:
    where = ".".join(map(str, place.keys))
    for value in _values_out_of_range(place):
        yield Broken(place.put(arguments, value), "ValidationException", f"{where} is out of range")
    if place.location in ("body", "payload"):
        for value in WRONG_TYPES[place.shape.type_name]:
            yield Broken(place.put(arguments, value), "SerializationException", f"{where} has another type")
    if place.location == "querystring":
        for text in WRONG_TEXTS.get(place.shape.type_name, []):
            yield Broken(place.put(arguments, text), "SerializationException", f"{where} is no such text")
    if place.is_required and place.location != "uri":
        yield Broken(place.drop(arguments), "ValidationException", f"{where} is missing")
    if isinstance(place.keys[-1], int) and place.location == "body":
        yield Broken(place.put(arguments, None), "ValidationException", f"{where} is null")
    if is_union(place.shape):
        yield Broken(place.put(arguments, {}), "ValidationException", f"{where} has no member")


def _values_out_of_range(place: Place) -> Iterator[Any]:
    shape, least, most = place.shape, place.shape.metadata.get("min"), place.shape.metadata.get("max")
    match shape.type_name:
        case "integer":
            yield from [] if least is None else [least - 1, -(2**31)]
            yield from [] if most is None else [most + 1, 2**31 - 1]
        case "string" if shape.enum:
            yield from ["", "OTHER", shape.enum[0].lower()]
        case "string" if shape.metadata.get("pattern") and shape.name != "NextToken":
            yield from (text for text in ["\u00e9", "!", "\x00", "a b\n"] if not matches(shape, text))
        case "string" | "list" | "map" | "blob":
            if least:
                yield {"string": "", "list": [], "map": {}, "blob": b""}[shape.type_name]
    if most is not None and shape.type_name == "blob":
        yield b"1" * (most + 1)
    elif most is not None and shape.type_name == "string" and not shape.enum:
        yield "1" * (most + 1)
