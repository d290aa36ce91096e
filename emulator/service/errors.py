"""The errors that go over the wire. A class's name is the error's code there."""

from __future__ import annotations


class ServiceError(Exception):
    """An answer other than success; raised anywhere, turned into HTTP by ``protocol.serialize_error`` alone."""

    status = 500
    message = ""

    def __init__(self, message: str | None = None, *, status: int | None = None) -> None:
        self.message = self.message if message is None else message
        self.status = self.status if status is None else status
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The shape's name, as SDKs report it."""
        return type(self).__name__


# What the model lists for ListImageSetVersions.


class ThrottlingException(ServiceError):
    status = 429
    message = "Rate exceeded"


class ConflictException(ServiceError):
    status = 409
    message = "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds."


class AccessDeniedException(ServiceError):
    status = 403
    message = "User is not authorized to perform this operation."


class ValidationException(ServiceError):
    status = 400
    message = "The input fails to satisfy the constraints specified by the service."


class InternalServerException(ServiceError):
    status = 500
    message = "An unexpected error occurred during processing of the request."


class ResourceNotFoundException(ServiceError):
    status = 404
    message = "The requested ImageSet was not found."


# What the front end answers before an operation is reached: no model lists these.


class UnknownOperationException(ServiceError):
    status = 404


class SerializationException(ServiceError):
    status = 400


class NotAcceptableException(ServiceError):
    status = 406
    message = "The service answers in application/json, which the Accept header excludes."


class RequestEntityTooLargeException(ServiceError):
    status = 413


class BadRequestException(ServiceError):
    """HTTP that cannot be read: 400, or 414, 431 or 505 where those say it better."""

    status = 400
