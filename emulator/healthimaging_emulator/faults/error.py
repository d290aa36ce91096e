"""``error``: answer with an error of the service, or with any other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta

from ..aws.errors import AccessDeniedException, ConflictException, ResourceNotFoundException, ServiceError
from ..aws.members import pattern
from ..aws.operation import Operation
from ..healthimaging.messages import access_denied, conflict, not_found
from ..healthimaging.operations import OPERATIONS
from .effect import Effect, Target

MODELLED = [each.__name__ for each in dict.fromkeys(error for each in OPERATIONS for error in each.errors)]
"""The codes that operations model."""


class ErrorEffect(Effect, frozen=True, kw_only=True):
    """An error. ``status`` is needed for a code that the operation does not model.

    ``retry_after`` in seconds is sent as ``Retry-After``, and as ``x-amz-retry-after`` in milliseconds.
    """

    can_come_after = True

    code: Annotated[str, pattern("[!-~]{1,256}"), Meta(examples=MODELLED)]
    message: Annotated[str, Meta(max_length=8192)] | None = None
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    retry_after: Annotated[float, Meta(ge=0, le=86400)] | None = None

    def objection(self, operation: Operation[Any, Any]) -> str | None:
        modelled = [error.__name__ for error in operation.errors]
        if self.status is None and self.code not in modelled:
            return f"{operation.name} does not model {self.code}, so it needs a status; it models {', '.join(modelled)}"
        return None

    def act(self, target: Target) -> Iterator[float]:
        raise self._make(target)

    def _make(self, target: Target) -> ServiceError:
        shape = next((each for each in target.operation.errors if each.__name__ == self.code), ServiceError)
        message = _default_message(shape, target) if self.message is None else self.message
        error = shape(message, status=self.status, code=self.code)
        if self.retry_after is not None:
            error.headers = {
                "Retry-After": str(math.ceil(self.retry_after)),
                "x-amz-retry-after": str(round(self.retry_after * 1000)),
            }
        return error


def _default_message(shape: type[ServiceError], target: Target) -> str:
    if issubclass(shape, AccessDeniedException):
        return access_denied(target.operation.name, target.caller, target.identifiers).message
    if issubclass(shape, ResourceNotFoundException):
        return not_found(target.identifiers).message
    if issubclass(shape, ConflictException):
        return conflict(target.identifiers).message
    return shape.default
