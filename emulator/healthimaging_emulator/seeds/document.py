"""Seed documents, in the wire's own spelling."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from ..faults.fault import Fault
from ..healthimaging.shapes.datastore import (
    DatastoreName,
    DatastoreStatus,
    KmsKeyArn,
    LambdaArn,
    LosslessStorageFormat,
    TagMap,
)
from ..healthimaging.shapes.identifiers import DatastoreId, ImageFrameId, ImageSetExternalVersionId, ImageSetId, Message
from ..healthimaging.shapes.image_set import ImageSetState, ImageSetWorkflowStatus, Overrides
from ..healthimaging.shapes.import_job import S3Uri

DEFAULT_CREATED_AT = 1680027126.436  # as in the sample of AWS's documentation

Time = float | Annotated[datetime, Meta(tz=True)]

Document = dict[str, Any] | str
"""A metadata document, or the file that holds it: a path beside the seed."""


class _Part(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class Generate(_Part, frozen=True, kw_only=True):
    """A history to be made instead of written; see ``generate.make_history``."""

    versions: Annotated[int, Meta(ge=1, le=10_000_000)]
    failed: Annotated[int, Meta(ge=0)] = 0
    seed: int = 0
    created_at: Time = DEFAULT_CREATED_AT


class GenerateImageSets(_Part, frozen=True, kw_only=True):
    """Image sets to be made instead of written; see ``generate_image_sets.make_image_sets``.

    ``versions`` is the most that an image set has. By default, a study has two image sets, and a patient two studies.
    """

    image_sets: Annotated[int, Meta(ge=1, le=1_000_000)]
    patients: Annotated[int, Meta(ge=1)] | None = None
    studies: Annotated[int, Meta(ge=1)] | None = None
    instances: Annotated[int, Meta(ge=1, le=10_000)] = 2
    versions: Annotated[int, Meta(ge=1, le=10_000)] = 1
    seed: int = 0
    created_at: Time = DEFAULT_CREATED_AT

    @property
    def study_count(self) -> int:
        """How many studies there are: at most one for each image set."""
        wanted = max(self.patients or 1, self.image_sets // 2, 1) if self.studies is None else self.studies
        return min(wanted, self.image_sets)

    @property
    def patient_count(self) -> int:
        """How many patients there are: at most one for each study."""
        wanted = max(self.study_count // 2, 1) if self.patients is None else self.patients
        return min(wanted, self.study_count)


class SeedVersionMembers(_Part, frozen=True, kw_only=True, gc=False):
    """A version as people write it, apart from its id: times also in ISO 8601."""

    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None = field(default=None, name="ImageSetWorkflowStatus")
    created_at: Time | None = None
    updated_at: Time | None = None
    deleted_at: Time | None = None
    message: Message | None = None
    overrides: Overrides | None = None
    is_primary: bool | None = None


class SeedVersion(SeedVersionMembers, frozen=True, kw_only=True, gc=False):
    """A version of a seed; the id of its image set, which is written above it, may be left out."""

    image_set_id: ImageSetId | None = None
    version_id: ImageSetExternalVersionId
    metadata: Document | None = None


class FrameContent(_Part, frozen=True, kw_only=True):
    """The bytes of a frame."""

    base64: bytes


class SeedImageSet(_Part, frozen=True, kw_only=True):
    """An image set: its versions in any order, or the numbers to make them from.

    ``metadata`` is the document of all versions that have none of their own. ``frames`` are the bytes of frames that a
    document names, each in a file beside the seed or inline. ``dicom`` are DICOM files beside the seed, or folders of
    them, in the place of both.
    """

    image_set_id: ImageSetId
    versions: Annotated[list[SeedVersion], Meta(min_length=1)] | None = None
    generate: Generate | None = None
    metadata: Document | None = None
    frames: dict[ImageFrameId, str | FrameContent] = {}
    dicom: Annotated[list[str], Meta(min_length=1)] | None = None
    tags: Annotated[TagMap, Meta(max_length=50)] = {}


class SeedDatastore(_Part, frozen=True, kw_only=True):
    """A data store with its image sets: written, generated, both or none. By default it is ACTIVE."""

    datastore_id: DatastoreId
    datastore_name: DatastoreName | None = None
    datastore_status: DatastoreStatus = "ACTIVE"
    created_at: Time | None = None
    updated_at: Time | None = None
    kms_key_arn: KmsKeyArn | None = None
    lambda_authorizer_arn: LambdaArn | None = None
    lossless_storage_format: LosslessStorageFormat = "HTJ2K"
    tags: Annotated[TagMap, Meta(max_length=50)] = {}
    image_sets: list[SeedImageSet] = []
    generate: GenerateImageSets | None = None


class SeedImportedImageSet(_Part, frozen=True, kw_only=True):
    """Instances that an import yields: a metadata document, and its frames, as ``SeedImageSet`` has them."""

    metadata: Document = {}
    frames: dict[ImageFrameId, str | FrameContent] = {}


class SeedImport(_Part, frozen=True, kw_only=True):
    """The outcome of every import job that has an input location, in the place of the files that are there.

    ``failed_files`` has the message of each file that fails, by its key; ``failure`` is the message of a job that fails
    itself.
    """

    input_s3_uri: S3Uri = field(name="inputS3Uri")
    image_sets: list[SeedImportedImageSet] = []
    generate: GenerateImageSets | None = None
    failed_files: dict[str, str] = {}
    failure: Message | None = None


class SeedDocument(_Part, frozen=True, kw_only=True):
    """A whole document: data stores, the outcome of imports, and faults."""

    datastores: list[SeedDatastore] = []
    imports: list[SeedImport] = []
    faults: list[Fault] = []


def make_schema() -> dict[str, Any]:
    """Return the JSON Schema of a seed, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(SeedDocument)


msgspec.json.Decoder(SeedDocument)  # two threads that prepare a type at the same time crash Python (msgspec 0.22)
