"""The errors that go over the wire. A class's name is the error's code there."""

from __future__ import annotations


class ServiceError(Exception):
    """An answer other than success; raised anywhere, turned into HTTP by ``protocol.serialize_error`` alone."""

    status = 500
    message = ""

    def __init__(self, message: str | None = None, *, status: int | None = None, code: str | None = None) -> None:
        self.message = self.message if message is None else message
        self.status = self.status if status is None else status
        self.code = code or type(self).__name__
        self.headers: dict[str, str] = {}
        super().__init__(self.message)


# What the model lists for ListImageSetVersions. Where a message names what the request named, a caller fills it in.


class ThrottlingException(ServiceError):
    status = 429
    message = "Rate exceeded"


class ConflictException(ServiceError):
    status = 409
    message = "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds."


class AccessDeniedException(ServiceError):
    status = 403
    message = (
        "User: arn:aws:iam::{account}:user/emulator is not authorized to perform: medical-imaging:{operation} on "
        "resource: arn:aws:medical-imaging:{region}:{account}:datastore/{datastoreId}/imageset/{imageSetId}"
    )


class ValidationException(ServiceError):
    status = 400
    message = "The request does not satisfy the constraints of the service."


class InternalServerException(ServiceError):
    status = 500
    message = "An unexpected error occurred during processing of the request."


class ResourceNotFoundException(ServiceError):
    status = 404
    message = "ImageSet {imageSetId} was not found in Datastore {datastoreId}."


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


class MissingAuthenticationTokenException(ServiceError):
    status = 403
    message = "Missing Authentication Token"


class IncompleteSignatureException(ServiceError):
    status = 403


class UnrecognizedClientException(ServiceError):
    status = 403
    message = "The security token included in the request is invalid."


class ExpiredTokenException(ServiceError):
    status = 403
    message = "The security token included in the request is expired"


class InvalidSignatureException(ServiceError):
    status = 403
    message = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )


class ServiceUnavailableException(ServiceError):
    """The server has as many connections as it may have."""

    status = 503


class BadRequestException(ServiceError):
    """HTTP that cannot be read: 400, or 414, 431 or 505 where those say it better."""

    status = 400
