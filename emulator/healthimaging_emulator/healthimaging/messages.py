"""Messages in the service's style: a full sentence, "ImageSet" as one word. Only those marked (recorded) are AWS's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..aws.arn import make_arn
from ..aws.authorization import Caller
from ..aws.errors import (
    AccessDeniedException,
    ConflictException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
)

SERVICE = "medical-imaging"

Identifiers = Mapping[str, Sequence[str]]

METADATA_TOO_LARGE = "INVALID_REQUEST:  Metadata is larger than its quota."
"""The message of a failed update, copy or import whose document would exceed its quota."""


def datastore_not_found(datastore_id: str) -> ResourceNotFoundException:
    """Return the error for an unknown data store."""
    return ResourceNotFoundException(f"Datastore {datastore_id} was not found.")


def image_set_not_found(datastore_id: str, image_set_id: str) -> ResourceNotFoundException:
    """Return the error for an unknown image set."""
    return ResourceNotFoundException(f"ImageSet {image_set_id} was not found in Datastore {datastore_id}.")


def version_not_found(version_id: str, image_set_id: str) -> ResourceNotFoundException:
    """Return the error for an unknown version."""
    return ResourceNotFoundException(f"Version {version_id} of ImageSet {image_set_id} was not found.")


def frame_not_found(frame_id: str, image_set_id: str) -> ResourceNotFoundException:
    """Return the error for an unknown frame."""
    return ResourceNotFoundException(f"ImageFrame {frame_id} of ImageSet {image_set_id} was not found.")


def datastore_not_active(datastore_id: str) -> ConflictException:
    """Return the error for a data store that is being created or deleted."""
    return ConflictException(f"Datastore {datastore_id} is not ACTIVE.")


def datastore_not_empty(datastore_id: str) -> ConflictException:
    """Return the error for deleting a data store that has image sets."""
    return ConflictException(f"Datastore {datastore_id} is not empty.")


def token_reused() -> ConflictException:
    """Return the error for a client token that came with another request before."""
    return ConflictException("The clientToken was used for another request.")


def job_not_found(job_id: str, datastore_id: str) -> ResourceNotFoundException:
    """Return the error for an unknown import job."""
    return ResourceNotFoundException(f"Job {job_id} was not found in Datastore {datastore_id}.")


def quota_exceeded(name: str) -> ServiceQuotaExceededException:
    """Return the error for a request that would exceed a quota of AWS."""
    return ServiceQuotaExceededException(f"The quota of {name.replace('-', ' ')} is exceeded.")


def not_latest() -> ResourceNotFoundException:
    """Return the error for a write that names another version than the latest (recorded)."""
    return ResourceNotFoundException("Requested version(s) of ImageSet(s) is not the latest.")


def image_set_locked(image_set_id: str) -> ConflictException:
    """Return the error for a write on a locked image set."""
    return ConflictException(f"ImageSet {image_set_id} is LOCKED.")


def metadata_not_consistent() -> ConflictException:
    """Return the error for the metadata of a version that is being written (recorded)."""
    return ConflictException("Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.")


def not_found(identifiers: Identifiers) -> ResourceNotFoundException:
    """Return the error for the resource that a request names."""
    if "resourceArn" in identifiers:
        return ResourceNotFoundException(f"Resource {identifiers['resourceArn'][0]} was not found.")
    if "datastoreId" not in identifiers:
        return ResourceNotFoundException("The requested resource was not found.")
    datastore_id = identifiers["datastoreId"][0]
    if "jobId" in identifiers:
        return job_not_found(identifiers["jobId"][0], datastore_id)
    if "imageSetId" in identifiers:
        return image_set_not_found(datastore_id, identifiers["imageSetId"][0])
    return datastore_not_found(datastore_id)


def access_denied(operation: str, caller: Caller, identifiers: Identifiers) -> AccessDeniedException:
    """Return the error for a caller without permission, with the resource that the request names."""
    user = f"arn:aws:iam::{caller.account}:user/emulator"
    resource = resource_arn(caller, identifiers)
    return AccessDeniedException(
        f"User: {user} is not authorized to perform: {SERVICE}:{operation} on resource: {resource}"
    )


def resource_arn(caller: Caller, identifiers: Identifiers) -> str:
    """Return the ARN of the resource that a request names; ``*`` if it names none."""
    if "resourceArn" in identifiers:
        return identifiers["resourceArn"][0]
    if "datastoreId" not in identifiers:
        return "*"
    resource = f"datastore/{identifiers['datastoreId'][0]}"
    if "imageSetId" in identifiers:
        resource += f"/imageset/{identifiers['imageSetId'][0]}"
    return make_arn(SERVICE, caller.region, caller.account, resource)


def conflict(identifiers: Identifiers) -> ConflictException:
    """Return an error for a resource that cannot be used at present."""
    if "imageSetId" in identifiers:
        return metadata_not_consistent()
    if "datastoreId" not in identifiers:
        return ConflictException("The request conflicts with an earlier one.")
    return datastore_not_active(identifiers["datastoreId"][0])
