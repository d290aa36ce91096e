"""What a fired rule does to the answer: an error in its place, another page, a spoilt body."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import msgspec
from msgspec import Struct, inspect, structs

from healthimaging_emulator.aws.errors import ServiceError
from healthimaging_emulator.aws.pagination import Listing, Position, index
from healthimaging_emulator.aws.rest_json import Operation
from healthimaging_emulator.faults.fault import BodyEffect, ErrorEffect, PageEffect
from healthimaging_emulator.healthimaging.shapes import members
from healthimaging_emulator.healthimaging.store import History


def error(effect: ErrorEffect, operation: Operation, names: dict[str, str]) -> ServiceError:
    """Make the error that a rule asks for; ``names`` stand in its default message."""
    shape = next((shape for shape in operation.errors if shape.__name__ == effect.code), ServiceError)
    message = shape.message.format(operation=operation.name, **names) if effect.message is None else effect.message
    made = shape(message, status=effect.status, code=effect.code)
    if effect.retry_after is not None:
        made.headers = {
            "Retry-After": str(math.ceil(effect.retry_after)),
            "x-amz-retry-after": str(round(effect.retry_after * 1000)),
        }
    return made


def bend_page(effect: PageEffect, output: Any, *, input: Any, listing: Listing, history: History) -> Any:
    """Return the output with other entries or another token; the other way round, everything stays as it is."""
    name = next(field for field in output.__struct_fields__ if isinstance(getattr(output, field), tuple))
    entries, token = getattr(output, name), output.next_token
    changed: dict[PageEffect, Callable[[], dict[str, Any]]] = {
        "repeat-token": lambda: {"next_token": input.next_token},
        "cycle": lambda: {"next_token": listing.seal(_page_before(listing, history, input.max_results))},
        "empty-page": lambda: {name: ()},
        "drop-token": lambda: {"next_token": None},
        "duplicate-item": lambda: {name: entries[:1] + entries},
        "skip-item": lambda: {name: entries[:-1]},
        "stale-token": lambda: {"next_token": token and token[:-1] + ("A" if token[-1] != "A" else "B")},
    }
    return structs.replace(output, **changed[effect]())


def _page_before(listing: Listing, history: History, max_results: int | None) -> Position:
    """Return the position that led to the page before this one, if that had as many entries as this one asks for."""
    below, page = listing.position or (None, 1)
    end = index(history, below or 0) + (max_results or listing.page_size)
    return Position(history[min(end, len(history) - 1)].number, page - 1)


def bend_body(effect: BodyEffect, body: bytes, output: type[Struct]) -> bytes:
    """Return the body of an operation that succeeded, spoilt."""
    raw: dict[BodyEffect, bytes] = {
        "truncate": body[: len(body) // 2],
        "empty": b"",
        "not-json": b"This is not JSON.",
        "html": b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    }
    return raw[effect] if effect in raw else msgspec.json.encode(_bent(effect, body, output))


def _bent(effect: BodyEffect, body: bytes, output: type[Struct]) -> Any:
    document = msgspec.json.decode(body)
    if effect == "missing-member":
        return {name: value for name, value in document.items() if not isinstance(value, list)}
    if effect == "unknown-member":
        return _each_object(document, lambda members: members | {"unknownMember": "unknown"})
    kind: type = inspect.LiteralType if effect == "unknown-enum" else inspect.FloatType
    bend: Callable[[Any], Any] = (lambda _: "UNKNOWN_VALUE") if effect == "unknown-enum" else _iso
    names = set(_members_of(output, kind))
    return _each_object(
        document, lambda members: {name: bend(value) if name in names else value for name, value in members.items()}
    )


def _iso(seconds: float) -> str:
    time = datetime.fromtimestamp(seconds, timezone.utc)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _each_object(document: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(document, list):
        return [_each_object(item, change) for item in document]
    if isinstance(document, dict):
        return change({name: _each_object(value, change) for name, value in document.items()})
    return document


def _members_of(shape: type[Struct], kind: type) -> Iterator[str]:
    """Name the members of a type, in a shape and in all that it holds."""
    for member in members(shape):
        types = [member.type]
        while types:
            match types.pop():
                case inspect.UnionType(types=inner):
                    types += inner
                case inspect.Metadata(type=one) | inspect.VarTupleType(item_type=one):
                    types.append(one)
                case inspect.StructType(cls=cls):
                    yield from _members_of(cls, kind)
                case type_info if isinstance(type_info, kind):
                    yield member.encode_name
