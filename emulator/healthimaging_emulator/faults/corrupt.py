"""``corrupt``: spoil the body of an answer that succeeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Literal

import msgspec

from ..aws.members import List, Map, Shape, Structure, Text, Timestamp
from ..aws.operation import Operation
from ..messages import Response
from .effect import Effect, Target

CorruptKind = Literal[
    "truncate", "empty", "not-json", "html", "missing-member", "unknown-enum", "unknown-member", "iso-timestamps"
]

RAW: dict[str, Callable[[bytes], bytes]] = {
    "truncate": lambda body: body[: len(body) // 2],
    "empty": lambda _: b"",
    "not-json": lambda _: b"This is not JSON.",
    "html": lambda _: b"<html><body><h1>502 Bad Gateway</h1></body></html>",
}


class CorruptEffect(Effect, frozen=True, kw_only=True):
    """Replace the body and keep the status: by bytes that are not JSON, or by JSON that the model does not allow."""

    kind: CorruptKind

    def objection(self, operation: Operation[Any, Any]) -> str | None:
        if operation.status == 204:
            return f"an answer of {operation.name} has no body"
        if self.kind in ("truncate", "empty", "html"):
            return None
        if operation.output_payload is not None:
            return f"an answer of {operation.name} is not JSON"
        if self.kind == "unknown-enum" and not any(shape.values for shape in _texts(operation)):
            return f"an answer of {operation.name} has no enum"
        if self.kind == "iso-timestamps" and not _names_of(operation.output_shape, _is_timestamp):
            return f"an answer of {operation.name} has no timestamp"
        return None

    def change_response(self, response: Response, target: Target) -> Response:
        if self.kind in RAW:
            changed = replace(response, body=RAW[self.kind](response.body))
            if self.kind == "html":
                changed = replace(changed, headers={**response.headers, "Content-Type": "text/html"})
            return changed
        document = msgspec.json.decode(response.body)
        return replace(response, body=msgspec.json.encode(self._corrupt(document, target.operation.output_shape)))

    def _corrupt(self, document: Any, shape: Structure) -> Any:
        match self.kind:
            case "missing-member":
                missing = next((m for m in shape.members if m.is_required), shape.members[0])
                return {name: value for name, value in document.items() if name != missing.name}
            case "unknown-member":
                return _change_objects(document, lambda members: members | {"unknownMember": "unknown"})
            case "unknown-enum":
                return _change_members(document, _names_of(shape, _is_enum), lambda _: "UNKNOWN_VALUE")
        return _change_members(document, _names_of(shape, _is_timestamp), _iso)


def _texts(operation: Operation[Any, Any]) -> Iterator[Text]:
    return (shape for _, shape in _walk(operation.output_shape) if isinstance(shape, Text))


def _is_enum(shape: Shape) -> bool:
    return isinstance(shape, Text) and bool(shape.values)


def _is_timestamp(shape: Shape) -> bool:
    return isinstance(shape, Timestamp)


def _names_of(shape: Structure, is_wanted: Callable[[Shape], bool]) -> set[str]:
    return {name for name, each in _walk(shape) if is_wanted(each)}


def _walk(shape: Shape) -> Iterator[tuple[str, Shape]]:
    """Yield the name and the shape of every member inside a shape."""
    if isinstance(shape, List):
        yield from _walk(shape.item)
    elif isinstance(shape, Structure):
        for member in shape.members:
            yield member.name, member.shape
            yield from _walk(member.shape)
    elif isinstance(shape, Map):
        yield from _walk(shape.value)


def _iso(seconds: float) -> str:
    time = datetime.fromtimestamp(seconds, timezone.utc)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _change_members(document: Any, names: set[str], change: Callable[[Any], Any]) -> Any:
    return _change_objects(
        document,
        lambda members: {
            name: change(value) if name in names and value is not None else value for name, value in members.items()
        },
    )


def _change_objects(document: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(document, list):
        return [_change_objects(item, change) for item in document]
    if isinstance(document, dict):
        return change({name: _change_objects(value, change) for name, value in document.items()})
    return document
