"""Calls through boto3 in process and over HTTP by hand, shared by the tests of all kinds of faults."""

from __future__ import annotations

from typing import Any

from botocore import xform_name
from botocore.config import Config

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, MANY, SAMPLE, path

IDS = {"datastoreId": DATASTORE, "imageSetId": MANY}
SAMPLE_IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
TARGET = path(MANY)

FIRST, SECOND, THIRD = list(range(137, 87, -1)), list(range(87, 37, -1)), list(range(37, 0, -1))
"""The versions on the three pages of the image set ``MANY``."""

DATASTORE_ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
IMAGE_SET_ARN = f"{DATASTORE_ARN}/imageset/{SAMPLE}"
DESTINATION, FRAME, JOB = "d" * 32, "f" * 32, "job1"

_COPY = {
    "sourceImageSet": {"latestVersionId": "4"},
    "destinationImageSet": {"imageSetId": DESTINATION, "latestVersionId": "1"},
}
_DATASTORE_IDS = {"datastoreId": DATASTORE}
_ROLE = "arn:aws:iam::000000000000:role/importer"

INPUTS: dict[str, dict[str, Any]] = {
    "ListImageSetVersions": SAMPLE_IDS,
    "GetImageSet": SAMPLE_IDS,
    "GetImageSetMetadata": SAMPLE_IDS,
    "UpdateImageSetMetadata": SAMPLE_IDS
    | {"latestVersionId": "4", "updateImageSetMetadataUpdates": {"revertToVersionId": "1"}},
    "CopyImageSet": {"datastoreId": DATASTORE, "sourceImageSetId": SAMPLE, "copyImageSetInformation": _COPY},
    "CreateDatastore": {"datastoreName": "new", "clientToken": "token"},
    "DeleteDatastore": _DATASTORE_IDS,
    "DeleteImageSet": SAMPLE_IDS,
    "GetDatastore": _DATASTORE_IDS,
    "GetDICOMImportJob": _DATASTORE_IDS | {"jobId": JOB},
    "GetImageFrame": SAMPLE_IDS | {"imageFrameInformation": {"imageFrameId": FRAME}},
    "ListDatastores": {},
    "ListDICOMImportJobs": _DATASTORE_IDS,
    "ListTagsForResource": {"resourceArn": IMAGE_SET_ARN},
    "SearchImageSets": _DATASTORE_IDS,
    "StartDICOMImportJob": _DATASTORE_IDS
    | {
        "dataAccessRoleArn": _ROLE,
        "clientToken": "token",
        "inputS3Uri": "s3://input/",
        "outputS3Uri": "s3://output/",
    },
    "TagResource": {"resourceArn": IMAGE_SET_ARN, "tags": {"key": "value"}},
    "UntagResource": {"resourceArn": IMAGE_SET_ARN, "tagKeys": ["key"]},
}
"""An input of boto3 for each of the 18 operations."""


def make_client(emulator: Emulator, mode: str = "standard", attempts: int | None = None, **config: Any) -> Any:
    """Return a client that does not sleep before its retries."""
    retries: dict[str, Any] = {"mode": mode} | ({"total_max_attempts": attempts} if attempts else {})
    return emulator.client(backoff=False, config=Config(retries=retries, **config))


def call(client: Any, operation: str, **changes: Any) -> dict[str, Any]:
    """Call an operation by its name, with the input of ``INPUTS``."""
    output: dict[str, Any] = getattr(client, xform_name(operation))(**INPUTS[operation] | changes)
    return output


def list_all(emulator: Emulator, **config: Any) -> list[list[int]]:
    """List as most programs do, and return the versions of each page."""
    pages = make_client(emulator, **config).get_paginator("list_image_set_versions").paginate(**IDS)
    return [[int(entry["versionId"]) for entry in page["imageSetPropertiesList"]] for page in pages]


def list_all_leniently(emulator: Emulator) -> list[list[int]]:
    """List as a program does that takes an absent list for an empty one."""
    pages = make_client(emulator).get_paginator("list_image_set_versions").paginate(**IDS)
    return [[int(entry["versionId"]) for entry in page.get("imageSetPropertiesList", [])] for page in pages]


def send(emulator: Emulator, token: str | None = None, size: int = 50, **headers: str) -> Any:
    """List one page of ``MANY`` without an SDK."""
    query = {"maxResults": size} | ({"nextToken": token} if token else {})
    return emulator.app.test_client().post(TARGET, query_string=query, headers=headers)


def versions_of(response: Any) -> list[int]:
    """Return the versions on a page."""
    return [int(entry["versionId"]) for entry in response.json["imageSetPropertiesList"]]


def update(client: Any, latest: str = "4", revert_to: str = "1") -> Any:
    """Revert the image set ``SAMPLE`` to an earlier version, which makes a new one."""
    return client.update_image_set_metadata(
        **SAMPLE_IDS, latestVersionId=latest, updateImageSetMetadataUpdates={"revertToVersionId": revert_to}
    )
