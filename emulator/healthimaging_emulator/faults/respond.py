"""``respond``: answer with an output of the test's own, in place of the operation. No store is touched."""

from __future__ import annotations

import base64
import gzip
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec import structs

from ..aws.errors import SerializationException
from ..aws.members import List, Map, Shape, Structure
from ..aws.operation import Operation
from ..aws.rest_json import parse_value
from ..aws.validation import find_violations
from ..errors import InvalidError, suggestion
from .effect import Effect, Target

log = logging.getLogger("healthimaging_emulator")

BLOB_KEYS = ("document", "base64", "file")


class RespondEffect(Effect, frozen=True, kw_only=True):
    """An output in the wire's spelling, ``{"pages": [...]}`` of them, or a blob.

    A blob is ``{"document": {...}}`` (JSON), ``{"base64": "..."}`` or ``{"file": "..."}``, with a ``contentType``.
    """

    output: dict[str, Any]

    def objection(self, operation: Operation[Any, Any]) -> str | None:
        try:
            self._outputs(operation)
        except InvalidError as error:
            return str(error)
        return None

    def warn(self, operation: Operation[Any, Any]) -> None:
        """Log the constraints of AWS's model that the output breaks. No error: a test may want to break them."""
        for output in self._outputs(operation):
            for violation in find_violations(output):
                log.warning("warning: the output for %s: %s", operation.name, violation)

    def answer(self, target: Target) -> Any:
        outputs = self._outputs(target.operation)
        if not target.operation.is_paginated:
            return outputs[0]
        target.listing.start_key()
        page = target.listing.page or 1
        output = outputs[min(page, len(outputs)) - 1]
        token = target.listing.token_of_page(page + 1) if page < len(outputs) else None
        return structs.replace(output, next_token=token)

    def _outputs(self, operation: Operation[Any, Any]) -> list[Any]:
        """Make the outputs anew for each request. Raises ``InvalidError``."""
        if operation.output_payload is not None:
            return [_read_blob(operation, self.output)]
        pages = self.output.get("pages") if operation.is_paginated else None
        if pages is None:
            return [_read_output(operation, self.output, "respond")]
        if not isinstance(pages, list) or not pages or len(self.output) > 1:
            raise InvalidError("respond.pages: expected a list with at least one page, and nothing beside it")
        return [_read_output(operation, page, f"respond.pages[{index}]") for index, page in enumerate(pages)]


def _read_output(operation: Operation[Any, Any], given: Any, path: str) -> Any:
    if operation.is_paginated and isinstance(given, dict) and given.get("nextToken") is not None:
        raise InvalidError(f"{path}.nextToken: give pages instead, and the emulator makes their tokens")
    completed = _complete(operation.output_shape, given, path)
    try:
        return parse_value(operation.output_shape, completed, path)
    except SerializationException as error:
        raise InvalidError(error.message) from None


def _complete(shape: Shape, value: Any, path: str) -> Any:
    """Check that all members are known and that no required one is missing. Add empty lists and maps.

    A member may be null, which counts as absent. An entry of a list or a map may not.
    """
    if value is None:
        raise InvalidError(f"{path} is null")
    if isinstance(shape, Map) and isinstance(value, dict):
        return {key: _complete(shape.value, each, f"{path}.{key}") for key, each in value.items()}
    if isinstance(shape, List) and isinstance(value, list):
        return [_complete(shape.item, item, f"{path}[{index}]") for index, item in enumerate(value)]
    if not isinstance(shape, Structure) or not isinstance(value, dict):
        return value
    known = {member.name: member for member in shape.members}
    for name in value.keys() - known.keys():
        raise InvalidError(f"{path} has no member {name!r}{suggestion(name, known)}")
    for name, member in known.items():
        if member.is_required and value.get(name) is None:
            raise InvalidError(f"{path} needs the member {name!r}")
    empty = {name: _EMPTY[type(member.shape)] for name, member in known.items() if type(member.shape) in _EMPTY}
    return empty | {
        name: _complete(known[name].shape, each, f"{path}.{name}") for name, each in value.items() if each is not None
    }


_EMPTY: dict[type, Any] = {List: [], Map: {}}


def _read_blob(operation: Operation[Any, Any], given: Mapping[str, Any]) -> Any:
    keys = [key for key in BLOB_KEYS if key in given]
    unknown = given.keys() - {*BLOB_KEYS, "contentType"}
    if len(keys) != 1 or unknown:
        raise InvalidError(f"respond: expected one of {', '.join(BLOB_KEYS)}, and contentType if needed")
    content = _read_content(keys[0], given[keys[0]])
    content_type = given.get("contentType", "application/json" if keys[0] == "document" else None)
    if content_type is not None and not (isinstance(content_type, str) and re.fullmatch("[ -~]+", content_type)):
        raise InvalidError(f"invalid respond.contentType {content_type!r:.60}: expected a media type such as image/jph")
    members = {"content_type": content_type}
    if "content_encoding" in operation.output.__struct_fields__:  # only metadata has it, and is always compressed
        content, members["content_encoding"] = gzip.compress(content, mtime=0), "gzip"
    assert operation.output_payload is not None
    return operation.output(**members, **{operation.output_payload.attribute: content})


def _read_content(key: str, value: Any) -> bytes:
    try:
        if key == "document":
            return msgspec.json.encode(value)
        return base64.b64decode(value, validate=True) if key == "base64" else Path(value).read_bytes()
    except (ValueError, TypeError):
        _refuse(key, value)
    except OSError as error:
        raise InvalidError(f"respond.file: {value}: {error.strerror or error}") from None


def _refuse(key: str, value: Any) -> NoReturn:
    raise InvalidError(f"invalid respond.{key} {value!r:.60}: expected {'base64' if key == 'base64' else 'a path'}")
