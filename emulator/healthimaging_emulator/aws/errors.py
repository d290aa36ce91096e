"""The errors that go over the wire. The name of a class is the error's code there."""

from __future__ import annotations

from ..errors import EmulatorError, NotFoundError


class ServiceError(EmulatorError):
    """An error answer. It may be raised anywhere; ``rest_json.serialize_error`` makes the response."""

    status = 500
    default = ""

    def __init__(self, message: str | None = None, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(self.default if message is None else message)
        self.status = self.status if status is None else status
        self.code = code or type(self).__name__
        self.headers: dict[str, str] = {}


# Modelled by operations.


class ThrottlingException(ServiceError):
    status = 429
    default = "Rate exceeded"


class ConflictException(ServiceError):
    status = 409


class AccessDeniedException(ServiceError):
    status = 403


class ValidationException(ServiceError):
    status = 400
    default = "The request does not satisfy the constraints of the service."


class InternalServerException(ServiceError):
    status = 500
    default = "An unexpected error occurred during processing of the request."


class ResourceNotFoundException(ServiceError, NotFoundError):
    status = 404


class ServiceQuotaExceededException(ServiceError):
    status = 402
    default = "A service quota is exceeded."


# Modelled by GetImageFrame, and also answered by the front end.


class BadRequestException(ServiceError):
    """HTTP that cannot be read: 400, or 414, 431 or 505 if one of these is more precise."""

    status = 400
    default = "The request cannot be processed."


class NotAcceptableException(ServiceError):
    status = 406
    default = "The service answers in application/json, which the Accept header excludes."


# Answered by the front end, before an operation is reached. No operation models these.


class UnknownOperationException(ServiceError):
    status = 404


class SerializationException(ServiceError):
    status = 400


class UnsupportedMediaTypeException(ServiceError):
    status = 415
    default = "The request body is JSON; its Content-Type must be application/json."


class RequestEntityTooLargeException(ServiceError):
    status = 413


class MissingAuthenticationTokenException(ServiceError):
    status = 403
    default = "Missing Authentication Token"


class IncompleteSignatureException(ServiceError):
    status = 403


class UnrecognizedClientException(ServiceError):
    status = 403
    default = "The security token included in the request is invalid."


class ExpiredTokenException(ServiceError):
    status = 403
    default = "The security token included in the request is expired"


class InvalidSignatureException(ServiceError):
    status = 403
    default = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )


class ServiceUnavailableException(ServiceError):
    """The server has reached its limit of connections."""

    status = 503
