"""Build data stores and image sets from the parts of a seed document."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ..clock import timestamp
from ..documents import decode_json
from ..errors import InvalidError
from ..healthimaging.history import History
from ..healthimaging.imports.instance import Instance, NotImportable, is_same_study, make_document, read_instance
from ..healthimaging.imports.seeded import SeededImport, split_document
from ..healthimaging.metadata import Metadata
from ..healthimaging.records import Datastore, ImageSet, Version
from . import generate
from .document import (
    Document,
    FrameContent,
    Generate,
    GenerateImageSets,
    SeedDatastore,
    SeedImageSet,
    SeedImport,
    SeedImportedImageSet,
    SeedVersion,
)
from .generate_image_sets import SECONDS_APART
from .generate_image_sets import make_document as generate_document

log = logging.getLogger("healthimaging_emulator.seeds")

OnRead = Callable[[Path], None]
"""Called with each file beside a seed, before it is read."""

OBSERVED_STATUSES = {
    "ACTIVE": {"CREATED", "COPIED", "COPY_FAILED", "UPDATED", "UPDATE_FAILED", "IMPORTED", "IMPORT_FAILED"},
    "LOCKED": {
        "COPYING",
        "COPYING_WITH_READ_ONLY_ACCESS",
        "UPDATING",
        "UPDATING_FOR_STUDY_CONSISTENCY",
        "DELETING",
        "IMPORTING",
    },
    "DELETED": {"DELETED"},
}
"""Statuses that go with a state: AWS's event documentation; those of imports and studies by analogy."""


class Place(NamedTuple):
    """An image set inside a document."""

    source: str
    file: Path | None
    path: str
    datastore_id: str
    image_set_id: str
    on_read: OnRead | None = None

    def error(self, message: str, inside: str = "") -> InvalidError:
        return InvalidError(message, path=self.path + inside, source=self.source)


def build_datastore(written: SeedDatastore, place: Place) -> Datastore:
    """Build a data store. Raises ``InvalidError``."""
    try:
        created_at = None if written.created_at is None else _read_time(written.created_at, "createdAt")
        updated_at = created_at if written.updated_at is None else _read_time(written.updated_at, "updatedAt")
    except InvalidError as error:
        raise place.error(error.message, error.path) from None
    return Datastore(
        datastore_id=written.datastore_id,
        name=written.datastore_name,
        status=written.datastore_status,
        created_at=created_at,
        updated_at=updated_at,
        kms_key_arn=written.kms_key_arn,
        lambda_authorizer_arn=written.lambda_authorizer_arn,
        lossless_storage_format=written.lossless_storage_format,
        tags=written.tags,
    )


def read_start(numbers: GenerateImageSets, place: Place) -> float:
    """Return when the first of the image sets to generate is created. Raises ``InvalidError``."""
    try:
        created_at = timestamp(numbers.created_at)
        timestamp(created_at + numbers.image_sets * SECONDS_APART + generate.LONGEST_SPAN)
        return created_at
    except InvalidError as error:
        raise place.error(error.message) from None


def build_image_set(image_set: SeedImageSet, place: Place) -> ImageSet:
    shared, frames = read_shared(image_set, place)
    history = build_history(image_set, place, shared)
    frames |= {id: read_frame(given, place, f".frames.{id}") for id, given in image_set.frames.items()}
    for mistake in find_unnamed_frames(frames, history, place):
        raise mistake
    return ImageSet(
        datastore_id=place.datastore_id,
        image_set_id=place.image_set_id,
        history=history,
        frames=frames,
        tags=image_set.tags,
    )


def read_shared(image_set: SeedImageSet, place: Place) -> tuple[Metadata | None, dict[str, bytes]]:
    """Return the document of all versions, and the frames of the DICOM files that it is made from, if there are any.

    Raises ``InvalidError``.
    """
    if image_set.dicom is not None:
        return _read_dicom(image_set, place)
    return read_metadata(image_set.metadata, place, ".metadata"), {}


def _read_dicom(image_set: SeedImageSet, place: Place) -> tuple[Metadata, dict[str, bytes]]:
    """Read DICOM files beside the seed as an import does."""
    if image_set.metadata is not None or image_set.frames:
        raise place.error("dicom is in the place of metadata and frames", ".dicom")
    instances: dict[str, Instance] = {}
    for index, name in enumerate(image_set.dicom or ()):
        try:
            for path in _list_dicom_files(name, place):
                instance = _read_instance(path)
                if instance.uid in instances:
                    raise InvalidError(f"{path.name}: this instance is in another file, too")
                first = next(iter(instances.values()), instance)
                if not is_same_study(first, instance):
                    raise InvalidError(f"{path.name}: this file is of another patient or study than the first one")
                instances[instance.uid] = instance
        except InvalidError as error:
            raise place.error(error.message, f".dicom[{index}]") from None
    frames = {id: content for each in instances.values() for id, content in each.frames.items()}
    return Metadata(make_document(list(instances.values())), place.datastore_id, place.image_set_id), frames


def _list_dicom_files(name: str, place: Place) -> list[Path]:
    path = _beside(name, place, "dicom")
    try:
        if not path.is_dir():
            return [path]
        found = sorted(each for each in path.iterdir() if each.is_file() and each.name[0] != ".")
    except OSError as error:
        raise InvalidError(f"{name}: {error.strerror or error}") from None
    if not found:
        raise InvalidError(f"{name}: there is no file in this folder")
    return [_beside(f"{name}/{each.name}", place, "dicom") for each in found]


def _read_instance(path: Path) -> Instance:
    try:
        return read_instance(path.read_bytes())
    except NotImportable as error:
        raise InvalidError(f"{path.name}: {error.message}") from None
    except ImportError as error:
        raise InvalidError(f"{path.name}: {error}") from None
    except (OSError, ValueError) as error:
        raise InvalidError(f"{path.name}: {getattr(error, 'strerror', None) or error}") from None


def build_import(written: SeedImport, place: Place) -> SeededImport:
    """Build the outcome of an import. Raises ``InvalidError``."""
    if written.failure is not None and (written.image_sets or written.failed_files or written.generate):
        raise place.error("a job that fails imports nothing", ".failure")
    prefix = written.input_s3_uri.removeprefix("s3://").partition("/")[2]
    folder = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
    files: dict[str, Instance | str] = {}
    for instance in _list_instances(written, place):
        key = f"{folder}{instance.uid}.dcm"
        if key in files:
            raise place.error(f"the instance {instance.uid} is given twice", ".imageSets")
        files[key] = instance
    return SeededImport(written.input_s3_uri, files | written.failed_files, written.failure)


def _list_instances(written: SeedImport, place: Place) -> Iterator[Instance]:
    for index, image_set in enumerate(written.image_sets):
        inside = f".imageSets[{index}]"
        yield from build_imported(image_set, place._replace(path=place.path + inside), written.input_s3_uri + inside)
    if written.generate is not None:
        read_start(written.generate, place._replace(path=f"{place.path}.generate"))
        for index in range(written.generate.image_sets):
            yield from split_document(generate_document(written.generate, index), {}, "")


def build_imported(image_set: SeedImportedImageSet, place: Place, name: str) -> Iterator[Instance]:
    """Return the instances of one image set of an import; ``name`` stands for UIDs that are not given.

    Raises ``InvalidError``.
    """
    metadata = read_metadata(image_set.metadata, place, ".metadata")
    frames = {id: read_frame(given, place, f".frames.{id}") for id, given in image_set.frames.items()}
    if metadata is None:
        return iter(())
    for id in frames.keys() - metadata.frames.keys():
        raise place.error(f"its metadata does not name the frame {id}", f".frames.{id}")
    return split_document(metadata.parse(), frames, name)


def find_unnamed_frames(frames: Collection[str], versions: Iterable[Version], place: Place) -> Iterator[InvalidError]:
    """Find the frames that no metadata document of their image set names."""
    if frames:  # most image sets have none
        named = {id for version in versions if version.metadata is not None for id in version.metadata.frames}
        for id in frames:
            if id not in named:
                yield place.error(f"no metadata of the image set names the frame {id}", f".frames.{id}")


def read_frame(given: str | FrameContent, place: Place, inside: str) -> bytes:
    """Read the bytes of a frame, inline or from a file beside the seed."""
    if isinstance(given, FrameContent):
        return given.base64
    try:
        return _read_bytes(given, place, "a frame")
    except InvalidError as error:
        raise place.error(error.message, inside) from None


def build_history(image_set: SeedImageSet, place: Place, shared: Metadata | None) -> History[Version]:
    """Build the history of an image set. Raises ``InvalidError``."""
    if image_set.versions is None and image_set.generate is None:
        raise place.error("an image set needs versions or generate")
    if image_set.versions is not None and image_set.generate is not None:
        raise place.error("an image set has either versions or generate")
    if image_set.generate is not None:
        return _generate(image_set.generate, place, shared)
    versions: list[Version] = []
    first = None
    for index, written in enumerate(image_set.versions or ()):
        metadata = shared
        if written.metadata is not None:  # most have none, and formatting the path takes time
            metadata = read_metadata(written.metadata, place, f".versions[{index}].metadata")
        try:
            version = build_version(written, place.image_set_id, first, metadata)
        except InvalidError as error:
            raise place.error(error.message, f".versions[{index}]{error.path}") from None
        first = first or version
        versions.append(version)
    numbers = [version.number for version in versions]
    for index, doubt in _find_doubts(versions, numbers, place.image_set_id):
        log.warning("warning: %s: %s.versions[%d]: %s", place.source, place.path, index, doubt)
    return History.of(_sort(versions, numbers, place))


def _sort(versions: list[Version], numbers: list[int], place: Place) -> list[Version]:
    if all(map(operator.gt, numbers, numbers[1:])):  # as the service lists them
        return versions[::-1]
    if len(set(numbers)) < len(numbers):
        raise next(find_repeated(versions, place))
    return [versions[index] for index in sorted(range(len(versions)), key=numbers.__getitem__)]


def find_repeated(versions: Iterable[Version], place: Place) -> Iterator[InvalidError]:
    """Find the versions that have the number of another one."""
    number = operator.attrgetter("number")
    for _, same in groupby(sorted(versions, key=number), number):
        first, *others = same
        if others:
            yield place.error(f"version {first.version_id} is given twice", ".versions")


def _generate(numbers: Generate, place: Place, metadata: Metadata | None) -> History[Version]:
    try:
        created_at = timestamp(numbers.created_at)
        timestamp(created_at + generate.LONGEST_SPAN)
        return generate.make_history(
            numbers.versions, failed=numbers.failed, seed=numbers.seed, created_at=created_at, metadata=metadata
        )
    except InvalidError as error:
        raise place.error(error.message, ".generate") from None


def build_version(written: SeedVersion, image_set_id: str, first: Version | None, metadata: Metadata | None) -> Version:
    """Build a version. Raises ``InvalidError`` with the path inside the version."""
    if written.image_set_id is not None and written.image_set_id != image_set_id:
        raise InvalidError(f"{written.image_set_id} is not the id of the image set", path=".imageSetId")
    created_at = written.created_at
    if first is not None and created_at == first.created_at:
        created_at = first.created_at  # one object for all: it is the same on every version, and there may be a million
    else:
        created_at = _read_time(created_at, "createdAt")
    return Version(
        version_id=written.version_id,
        image_set_state=written.image_set_state,
        image_set_workflow_status=written.image_set_workflow_status,
        created_at=created_at,
        updated_at=_read_time(written.updated_at, "updatedAt"),
        deleted_at=_read_time(written.deleted_at, "deletedAt"),
        message=written.message,
        overrides=written.overrides,
        is_primary=written.is_primary,
        metadata=metadata,
    )


def _read_time(time: float | datetime | None, member: str) -> float | None:
    try:
        return None if time is None else timestamp(time)
    except InvalidError as error:
        raise InvalidError(error.message, path=f".{member}") from None


def read_metadata(given: Document | None, place: Place, inside: str) -> Metadata | None:
    """Read a document, inline or from a file beside the seed."""
    if given is None:
        return None
    try:
        content = _read_file(given, place) if isinstance(given, str) else given
        return Metadata(content, place.datastore_id, place.image_set_id)
    except InvalidError as error:
        raise place.error(error.message, inside + error.path.removeprefix("$")) from None


def _read_file(name: str, place: Place) -> Any:
    content = _read_bytes(name, place, "metadata")
    try:
        return decode_json(content, dict[str, Any])
    except InvalidError as error:
        raise InvalidError(f"{name}: {error.message}") from None


def _beside(name: str, place: Place, what: str) -> Path:
    """Return the path of a file or a folder beside the seed. Raises ``InvalidError``."""
    if place.file is None:
        raise InvalidError(f"{what} can name a file only in a seed that is a file")
    path = place.file.parent / name
    if place.on_read is not None:
        place.on_read(path)
    return path


def _read_bytes(name: str, place: Place, what: str) -> bytes:
    path = _beside(name, place, what)
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InvalidError(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def _find_doubts(versions: list[Version], numbers: list[int], image_set_id: str) -> Iterator[tuple[int, str]]:
    """Find combinations that AWS's sample and event documentation never show."""
    created_at = versions[0].created_at
    missing = max(numbers) - len({*numbers} - {0})
    if missing:
        yield 0, f"{missing} of versions 1 to {max(numbers)} are missing (image set {image_set_id})"
    for index, version in enumerate(versions):
        state, status = version.image_set_state, version.image_set_workflow_status
        if status is not None and status not in OBSERVED_STATUSES[state]:
            yield index, f"the service was never seen to return {state} with {status}"
        if version.message is not None and not (status or "").endswith("FAILED"):
            yield index, "only a failed version has a message"
        if version.created_at != created_at:
            yield index, "createdAt is the same on all versions of an image set"
        if version.updated_at is not None and numbers[index] == 1:
            yield index, "version 1 has no updatedAt"
