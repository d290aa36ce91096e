"""CopyImageSet: copy an image set, or some instances of it, to a new or an existing one.

https://docs.aws.amazon.com/healthimaging/latest/APIReference/API_CopyImageSet.html
"""

from functools import partial
from typing import Annotated, Any

from msgspec import Meta, Struct, field, structs

from ...aws import errors
from ...aws.errors import ValidationException
from ...aws.members import label, payload, query, sensitive
from ...aws.operation import Operation
from ...identifiers import make_id
from ..change import Change, Draft, ReadAgain
from ..context import Context
from ..copies import (
    MISMATCH,
    CopyFailed,
    Selection,
    conflicts_with_primary,
    merge_instances,
    read_selection,
    select_instances,
)
from ..dicom_tags import read_tags
from ..history import History
from ..messages import METADATA_TOO_LARGE
from ..metadata import Metadata, metadata_of
from ..records import ImageSet, Version
from ..shapes.identifiers import Arn, DatastoreId, ImageSetExternalVersionId, ImageSetId, Timestamp
from ..shapes.image_set import ImageSetState, ImageSetWorkflowStatus, Overrides


class MetadataCopies(Struct, frozen=True, kw_only=True, rename="camel"):
    """The instances to copy, in JSON."""

    copiable_attributes: Annotated[str, Meta(min_length=1, max_length=260_000), sensitive()]


class CopySourceImageSetInformation(Struct, frozen=True, kw_only=True, rename="camel"):
    """The version to copy."""

    latest_version_id: ImageSetExternalVersionId
    dicom_copies: MetadataCopies | None = field(name="DICOMCopies", default=None)


class CopyDestinationImageSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """The image set to copy to."""

    image_set_id: ImageSetId
    latest_version_id: ImageSetExternalVersionId


class CopyImageSetInformation(Struct, frozen=True, kw_only=True, rename="camel"):
    """The source and the destination; without a destination, a new image set."""

    source_image_set: CopySourceImageSetInformation
    destination_image_set: CopyDestinationImageSet | None = None


class CopyImageSetProperties(Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of the source or the destination while the copy goes on."""

    image_set_id: ImageSetId
    latest_version_id: ImageSetExternalVersionId
    image_set_state: ImageSetState | None = None
    image_set_workflow_status: ImageSetWorkflowStatus | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    image_set_arn: Arn | None = None


class Input(Struct, frozen=True, kw_only=True, rename="camel"):
    """The request, its members in the model's order."""

    datastore_id: Annotated[DatastoreId, label()]
    source_image_set_id: Annotated[ImageSetId, label()]
    copy_image_set_information: Annotated[CopyImageSetInformation, payload()]
    force: Annotated[bool | None, query()] = None
    promote_to_primary: Annotated[bool | None, query()] = None


class Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer."""

    datastore_id: DatastoreId
    source_image_set_properties: CopyImageSetProperties
    destination_image_set_properties: CopyImageSetProperties


def copy_image_set(input: Input, context: Context) -> Output:
    """Begin to copy: the source is LOCKED and stays readable, the destination is LOCKED and COPYING.

    Raises ``ValidationException``, ``ResourceNotFoundException``, ``ConflictException`` and, if the limit of the
    emulator is reached, ``ServiceQuotaExceededException``.
    """
    selection = _read_selection(input)
    source = context.existing_image_set(input.datastore_id, input.source_image_set_id)
    revision = context.store.revision
    destination = _find_destination(input, context, selection, source)
    destination_id = make_id() if destination is None else destination.image_set_id
    outcome = _compute_outcome(input, context, selection, source, destination, destination_id)  # before any lock
    with context.change() as change:
        if input.promote_to_primary:
            change.require_revision(revision)  # or the series may have a primary image set by now
        source_draft, target = _drafts(input, change, source, destination)
        change.require_quota("copy-frames", lambda: _count_frames(outcome, destination))
        change.require_quota_under_way("copies", "CopyImageSet", input.datastore_id)
        change.add_metadata(outcome)
        formerly = source_draft.latest
        source_draft.replace_latest(_lock(formerly, "COPYING_WITH_READ_ONLY_ACCESS", change.moment.date))
        if target is None:
            new = _new_image_set(input, change.moment.date, source, destination_id, outcome)
            target = change.add_image_set(new)
        else:
            target.append(_next_version(input, change.moment.date, target.latest))
            target.add_frames(source.frames)
        source_draft.note_copy("to", target)
        target.note_copy("from", source_draft)
        ends = {
            source_draft: partial(_end_source, formerly, is_copied=not isinstance(outcome, str)),
            target: partial(_end_destination, target.latest, outcome),
        }
        change.begin_transition("CopyImageSet", context.workflow.pace, ends)
    if destination is None:
        context.store.touch((input.datastore_id, destination_id), context.moment.date)
    return Output(
        datastore_id=input.datastore_id,
        source_image_set_properties=_describe(source_draft, context),
        destination_image_set_properties=_describe(target, context),
    )


def _read_selection(input: Input) -> Selection | None:
    """Check every rule that needs no stored data; None selects all instances."""
    information = input.copy_image_set_information
    destination = information.destination_image_set
    if destination is not None and destination.image_set_id == input.source_image_set_id:
        raise ValidationException("The source and the destination ImageSet must be different.")
    if destination is not None and input.promote_to_primary:
        raise ValidationException("promoteToPrimary cannot be combined with destinationImageSet.")
    copies = information.source_image_set.dicom_copies
    return None if copies is None else read_selection(copies.copiable_attributes)


def _find_destination(input: Input, context: Context, selection: Selection | None, source: ImageSet) -> ImageSet | None:
    """Return the image set to copy into: the one that is named, or the primary one of the series to promote to."""
    named = input.copy_image_set_information.destination_image_set
    if named is not None:
        return context.existing_image_set(input.datastore_id, named.image_set_id)
    if not input.promote_to_primary:
        return None
    if source.latest.is_primary:
        raise ValidationException("The source ImageSet is primary already.")
    document = metadata_of(source.latest, source.datastore_id, source.image_set_id)
    wanted = document.series_instance_uids if selection is None else selection.keys()
    return next(
        (
            each
            for each, metadata in context.primaries(input.datastore_id)
            if each is not source and metadata.series_instance_uids & wanted
        ),
        None,
    )


def _compute_outcome(
    input: Input,
    context: Context,
    selection: Selection | None,
    source: ImageSet,
    destination: ImageSet | None,
    destination_id: str,
) -> Metadata | str:
    """Return the document of the destination, or the message of the failure."""
    if context.workflow.failure:
        return context.workflow.failure
    try:
        document = select_instances(_document(source), selection)
        if destination is not None:
            stored = _document(destination)
            if input.promote_to_primary and conflicts_with_primary(read_tags(document), read_tags(stored)):
                raise CopyFailed(MISMATCH.format(level="Series"))
            is_forced = bool(input.force or input.promote_to_primary)
            document = merge_instances(document, stored, force=is_forced)
    except CopyFailed as error:
        return error.message
    metadata = Metadata(document, input.datastore_id, destination_id)
    return METADATA_TOO_LARGE if context.store.is_too_large(metadata) else metadata


def _count_frames(outcome: Metadata | str, destination: ImageSet | None) -> int:
    """Return how many frames a copy adds to its destination."""
    stored = destination.latest.metadata if destination is not None else None
    copied = outcome.frames if isinstance(outcome, Metadata) else {}
    return len(copied.keys() - (stored.frames.keys() if stored is not None else set()))


def _document(image_set: ImageSet) -> dict[str, Any]:
    return metadata_of(image_set.latest, image_set.datastore_id, image_set.image_set_id).parse()


def _drafts(input: Input, change: Change, source: ImageSet, destination: ImageSet | None) -> tuple[Draft, Draft | None]:
    """Return the image sets to change, after the checks that a change by somebody else could break."""
    wanted = [source] if destination is None else [source, destination]
    drafts = [change.image_set(each.datastore_id, each.image_set_id) for each in wanted]
    for draft in drafts:
        draft.require_existing()
    for draft in drafts:
        draft.require_unlocked()
    information = input.copy_image_set_information
    drafts[0].require_latest(information.source_image_set.latest_version_id)
    if information.destination_image_set is not None:
        drafts[1].require_latest(information.destination_image_set.latest_version_id)
    if any(draft.latest is not each.latest for draft, each in zip(drafts, wanted, strict=True)):
        raise ReadAgain
    return drafts[0], drafts[1] if len(drafts) > 1 else None


def _lock(version: Version, status: ImageSetWorkflowStatus, date: float) -> Version:
    return structs.replace(
        version, image_set_state="LOCKED", image_set_workflow_status=status, updated_at=date, message=None
    )


def _new_image_set(input: Input, date: float, source: ImageSet, id: str, outcome: Metadata | str) -> ImageSet:
    version = Version(
        version_id="1",
        image_set_state="LOCKED",
        image_set_workflow_status="COPYING",
        created_at=date,
        updated_at=date,
        overrides=_overrides(input),
        is_primary=bool(input.promote_to_primary),
        metadata=outcome if isinstance(outcome, Metadata) else None,
    )
    return ImageSet(
        datastore_id=input.datastore_id, image_set_id=id, history=History.of([version]), frames=source.frames
    )


def _next_version(input: Input, date: float, latest: Version) -> Version:
    return Version(
        version_id=str(latest.number + 1),
        image_set_state="LOCKED",
        image_set_workflow_status="COPYING",
        created_at=latest.created_at,
        updated_at=date,
        overrides=_overrides(input),
        is_primary=bool(latest.is_primary),
        metadata=latest.metadata,
    )


def _overrides(input: Input) -> Overrides | None:
    return Overrides(forced=True) if input.force else None


def _end_source(formerly: Version, date: float, *, is_copied: bool) -> Version:
    if not is_copied:
        return formerly
    return structs.replace(formerly, image_set_workflow_status="COPIED", updated_at=date, message=None)


def _end_destination(begun: Version, outcome: Metadata | str, date: float) -> Version:
    ended = structs.replace(begun, image_set_state="ACTIVE", updated_at=date)
    if isinstance(outcome, str):
        return structs.replace(ended, image_set_workflow_status="COPY_FAILED", message=outcome)
    return structs.replace(ended, image_set_workflow_status="COPIED", metadata=outcome)


def _describe(draft: Draft, context: Context) -> CopyImageSetProperties:
    version = draft.latest
    return CopyImageSetProperties(
        image_set_id=draft.record.image_set_id,
        latest_version_id=version.version_id,
        image_set_state=version.image_set_state,
        image_set_workflow_status=version.image_set_workflow_status,
        created_at=version.created_at,
        updated_at=version.updated_at,
        image_set_arn=context.image_set_arn(draft.record),
    )


COPY_IMAGE_SET = Operation(
    name="CopyImageSet",
    method="POST",
    path="/datastore/{datastoreId}/imageSet/{sourceImageSetId}/copyImageSet",
    host_prefix="runtime-",
    input=Input,
    output=Output,
    identifiers={
        "datastoreId": ("datastore_id",),
        "imageSetId": ("source_image_set_id", "copy_image_set_information.destination_image_set.image_set_id"),
    },
    is_asynchronous=True,
    handler=copy_image_set,
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
