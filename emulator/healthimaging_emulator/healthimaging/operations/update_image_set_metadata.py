"""UpdateImageSetMetadata: change DICOM attributes of an image set, or revert it to an earlier version.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_UpdateImageSetMetadata.html
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field, structs

from ...aws import errors
from ...aws.errors import ValidationException
from ...aws.members import label, payload, query, sensitive
from ...aws.operation import Operation
from ..change import Change, Draft, ReadAgain
from ..context import Context
from ..messages import METADATA_TOO_LARGE, version_not_found
from ..metadata import Metadata, metadata_of
from ..metadata_updates import UpdateFailed, Updates, apply_updates, keep_study_part
from ..records import ImageSet, Version
from ..shapes.identifiers import DatastoreId, ImageSetExternalVersionId, ImageSetId, Message, Timestamp
from ..shapes.image_set import ImageSetState, ImageSetWorkflowStatus, Overrides
from ..update_rules import read_updates

DICOMAttribute = Annotated[bytes, Meta(min_length=1, max_length=30_000), sensitive()]


class DICOMUpdates(Struct, frozen=True, kw_only=True, rename="camel"):
    """Documents with the attributes to remove, and those to add or change."""

    removable_attributes: DICOMAttribute | None = None
    updatable_attributes: DICOMAttribute | None = None


class MetadataUpdates(Struct, frozen=True, kw_only=True, rename="camel"):
    """Either an update or a version to revert to."""

    is_union: ClassVar[bool] = True

    dicom_updates: DICOMUpdates | None = field(name="DICOMUpdates", default=None)
    revert_to_version_id: ImageSetExternalVersionId | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    image_set_id: Annotated[ImageSetId, label()]
    latest_version_id: Annotated[ImageSetExternalVersionId, query("latestVersion")]
    force: Annotated[bool | None, query()] = None
    include_study_image_sets: Annotated[bool | None, query()] = None
    update_image_set_metadata_updates: Annotated[MetadataUpdates, payload()]


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The version that is being written."""

    datastore_id: DatastoreId
    image_set_id: ImageSetId
    latest_version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    message: Message | None = None


def update_image_set_metadata(input: Input, context: Context) -> Output:
    """Begin a version n + 1, LOCKED and UPDATING, which becomes UPDATED or UPDATE_FAILED by itself.

    Raises ``ValidationException``, ``ResourceNotFoundException``, ``ConflictException`` and, if the limit of the
    emulator is reached, ``ServiceQuotaExceededException``.
    """
    updates = _read_updates(input)
    image_set = context.existing_image_set(input.datastore_id, input.image_set_id)
    revision = context.store.revision
    targets = [image_set, *_find_study_image_sets(context, input, image_set)]
    outcome = _compute_outcome(input, context, updates, targets)  # before anything is locked
    with context.change() as change:
        if input.include_study_image_sets:
            change.require_revision(revision)  # or the study may have another image set by now
        drafts = [change.image_set(each.datastore_id, each.image_set_id) for each in targets]
        for draft in drafts:
            draft.require_unlocked()
        drafts[0].require_latest(input.latest_version_id)
        if any(draft.latest is not each.latest for draft, each in zip(drafts, targets, strict=True)):
            raise ReadAgain
        _require_quotas(input, change)
        change.add_metadata(*outcome)
        for draft in drafts:
            status: ImageSetWorkflowStatus = "UPDATING" if draft is drafts[0] else "UPDATING_FOR_STUDY_CONSISTENCY"
            draft.append(_begin_version(draft, status, change.moment.date, is_forced=bool(input.force)))
        ends = {draft: _end(draft, outcome[i]) for i, draft in enumerate(drafts)}
        change.begin_transition("UpdateImageSetMetadata", context.workflow.pace, ends)
    context.store.touch((input.datastore_id, input.image_set_id), context.moment.date)
    return _output(drafts[0], input)


def _require_quotas(input: Input, change: Change) -> None:
    given = input.update_image_set_metadata_updates.dicom_updates
    documents = (given.updatable_attributes, given.removable_attributes) if given else ()
    change.require_quota("update-bytes", lambda: sum(len(each) for each in documents if each))
    change.require_quota_under_way("updates", "UpdateImageSetMetadata", input.datastore_id)


def _read_updates(input: Input) -> Updates | None:
    """Check every rule that needs no stored data; None for a revert."""
    given = input.update_image_set_metadata_updates
    across_study = bool(input.include_study_image_sets)
    if given.dicom_updates is None:
        if across_study:
            raise ValidationException("includeStudyImageSets cannot be combined with revertToVersionId.")
        return None
    documents = given.dicom_updates.updatable_attributes, given.dicom_updates.removable_attributes
    return read_updates(*documents, force=bool(input.force), across_study=across_study)


def _find_study_image_sets(context: Context, input: Input, image_set: ImageSet) -> list[ImageSet]:
    """Return the other primary image sets of the study, if they are to be updated too."""
    metadata = image_set.latest.metadata
    if not input.include_study_image_sets or metadata is None or metadata.tags.study_instance_uid is None:
        return []
    return [
        each
        for each, other in context.primaries(input.datastore_id)
        if each.image_set_id != image_set.image_set_id
        and other.tags.study_instance_uid == metadata.tags.study_instance_uid
    ]


Outcome = list[Metadata | str]
"""For each image set, the document of its new version; if the update of one fails, the message of the failure."""


def _compute_outcome(input: Input, context: Context, updates: Updates | None, targets: list[ImageSet]) -> Outcome:
    image_set = targets[0]
    if updates is None:
        wanted = input.update_image_set_metadata_updates.revert_to_version_id
        version = image_set.version(wanted)
        if version is None:
            raise version_not_found(str(wanted), image_set.image_set_id)
        documents: Outcome = [metadata_of(version, input.datastore_id, input.image_set_id)]
    else:
        if updates.changes_identity and image_set.latest.is_primary:
            raise ValidationException("The study, series and instance UIDs of a primary ImageSet cannot be changed.")
        parts = [updates, *[keep_study_part(updates)] * (len(targets) - 1)]
        try:
            documents = [_updated(each, part) for each, part in zip(targets, parts, strict=True)]
            if any(context.store.is_too_large(each) for each in documents):
                documents = [METADATA_TOO_LARGE] * len(targets)
        except UpdateFailed as error:
            documents = [error.message] * len(targets)
    return [context.workflow.failure] * len(targets) if context.workflow.failure else documents


def _updated(image_set: ImageSet, updates: Updates) -> Metadata:
    document = metadata_of(image_set.latest, image_set.datastore_id, image_set.image_set_id).parse()
    return Metadata(apply_updates(document, updates), image_set.datastore_id, image_set.image_set_id)


def _begin_version(draft: Draft, status: ImageSetWorkflowStatus, date: float, *, is_forced: bool) -> Version:
    latest = draft.latest
    return Version(
        version_id=str(latest.number + 1),
        image_set_state="LOCKED",
        image_set_workflow_status=status,
        created_at=latest.created_at,
        updated_at=date,
        overrides=Overrides(forced=True) if is_forced else None,
        is_primary=bool(latest.is_primary),
        metadata=latest.metadata,
    )


def _end(draft: Draft, outcome: Metadata | str) -> Callable[[float], Version]:
    begun = structs.replace(draft.latest, image_set_state="ACTIVE")
    if isinstance(outcome, str):
        ended = structs.replace(begun, image_set_workflow_status="UPDATE_FAILED", message=outcome)
    else:
        ended = structs.replace(begun, image_set_workflow_status="UPDATED", metadata=outcome)
    return partial(_at, ended)


def _at(version: Version, date: float) -> Version:
    return structs.replace(version, updated_at=date)


def _output(draft: Draft, input: Input) -> Output:
    begun = draft.latest
    return Output(
        datastore_id=input.datastore_id,
        image_set_id=input.image_set_id,
        latest_version_id=begun.version_id,
        image_set_state=begun.image_set_state,
        image_set_workflow_status=begun.image_set_workflow_status,
        created_at=begun.created_at,
        updated_at=begun.updated_at,
    )


UPDATE_IMAGE_SET_METADATA = Operation(
    name="UpdateImageSetMetadata",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{imageSetId}/updateImageSetMetadata",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    handler=update_image_set_metadata,
    is_asynchronous=True,
    errors=(
        errors.ThrottlingException,
        errors.AccessDeniedException,
        errors.ValidationException,
        errors.InternalServerException,
        errors.ConflictException,
        errors.ResourceNotFoundException,
        errors.ServiceQuotaExceededException,
    ),
)
