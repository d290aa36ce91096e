"""The view of every reader at each step of a write: before it, while it goes on, when it has succeeded, or failed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, Fault
from tests.demo import HEAD_MR, OTHER_DATASTORE

MESSAGE = "INVALID_REQUEST:  It failed."
RENAMED = json.dumps({"Patient": {"DICOM": {"PatientName": "NEW"}}}).encode()
OLD, NEW = "DEMO^PATIENT 1", "NEW"
NOT_YET, GONE = "ConflictException", "ResourceNotFoundException"


class World:
    """An emulator whose writes go on until they are finished by hand, and an image set with metadata and frames."""

    def __init__(self) -> None:
        self.emulator = Emulator.from_seed(transition_reads=None, transition_seconds=None)
        self.client = self.emulator.client()
        self.ids = {"datastoreId": OTHER_DATASTORE, "imageSetId": HEAD_MR}
        self.frame = next(iter(self.emulator.account().store.image_set(OTHER_DATASTORE, HEAD_MR).frames))

    def update(self, latest: str = "1") -> None:
        updates = {"DICOMUpdates": {"updatableAttributes": RENAMED}}
        self.client.update_image_set_metadata(**self.ids, latestVersionId=latest, updateImageSetMetadataUpdates=updates)

    def revert(self) -> None:
        """Revert an update that has succeeded before."""
        updates = {"revertToVersionId": "1"}
        self.client.update_image_set_metadata(**self.ids, latestVersionId="2", updateImageSetMetadataUpdates=updates)

    def copy(self) -> None:
        answer = self.client.copy_image_set(
            datastoreId=OTHER_DATASTORE,
            sourceImageSetId=HEAD_MR,
            copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
        )
        self.copied = answer["destinationImageSetProperties"]["imageSetId"]

    def delete(self) -> None:
        self.client.delete_image_set(**self.ids)

    def finish(self) -> None:
        self.emulator.account().finish_transitions()


def tried(read: Callable[[], Any]) -> Any:
    """Return what a reader gets, or the code of its error."""
    try:
        return read()
    except ClientError as error:
        return error.response["Error"]["Code"]


def show(row: dict[str, Any]) -> str:
    status = row.get("imageSetWorkflowStatus") or row.get("ImageSetWorkflowStatus")
    return f"{row['versionId']} {row['imageSetState']} {status}"


def get(world: World, **version: str) -> Any:
    return tried(lambda: show(world.client.get_image_set(**world.ids, **version)))


def list_versions(world: World) -> Any:
    def read() -> list[str]:
        return [show(row) for row in world.client.list_image_set_versions(**world.ids)["imageSetPropertiesList"]]

    return tried(read)


def search(world: World) -> Any:
    found = world.client.search_image_sets(datastoreId=OTHER_DATASTORE)["imageSetsMetadataSummaries"]
    return [
        f"{each['version']} {each['DICOMTags']['DICOMPatientName']}"
        for each in found
        if each["imageSetId"] == world.ids["imageSetId"]
    ]


def read_metadata(world: World, **version: str) -> Any:
    def read() -> str:
        blob = world.client.get_image_set_metadata(**world.ids, **version)["imageSetMetadataBlob"].read()
        return str(json.loads(gzip.decompress(blob))["Patient"]["DICOM"]["PatientName"])

    return tried(read)


def read_frame(world: World) -> Any:
    information = {"imageFrameId": world.frame}
    return tried(lambda: world.client.get_image_frame(**world.ids, imageFrameInformation=information)["contentType"])


READERS: dict[str, Callable[[World], Any]] = {
    "GetImageSet": get,
    "GetImageSet of version 1": lambda world: get(world, versionId="1"),
    "ListImageSetVersions": list_versions,
    "SearchImageSets": search,
    "GetImageSetMetadata": read_metadata,
    "GetImageSetMetadata of version 1": lambda world: read_metadata(world, versionId="1"),
    "GetImageFrame": read_frame,
}
FIRST = "1 ACTIVE COPIED"  # as the demo has it
FRAME = "image/jph"

UPDATE = {
    "GetImageSet": ("2 LOCKED UPDATING", "2 ACTIVE UPDATED", "2 ACTIVE UPDATE_FAILED"),
    "GetImageSet of version 1": (FIRST, FIRST, FIRST),
    "ListImageSetVersions": (
        *(["2 LOCKED UPDATING", FIRST], ["2 ACTIVE UPDATED", FIRST]),
        ["2 ACTIVE UPDATE_FAILED", FIRST],
    ),
    "SearchImageSets": ([f"1 {OLD}"], [f"2 {NEW}"], [f"2 {OLD}"]),
    "GetImageSetMetadata": (NOT_YET, NEW, OLD),
    "GetImageSetMetadata of version 1": (OLD, OLD, OLD),
    "GetImageFrame": (FRAME, FRAME, FRAME),
}
AFTER_UPDATE = "2 ACTIVE UPDATED"
REVERT = {
    "GetImageSet": ("3 LOCKED UPDATING", "3 ACTIVE UPDATED", "3 ACTIVE UPDATE_FAILED"),
    "GetImageSet of version 1": (FIRST, FIRST, FIRST),
    "ListImageSetVersions": (
        ["3 LOCKED UPDATING", AFTER_UPDATE, FIRST],
        ["3 ACTIVE UPDATED", AFTER_UPDATE, FIRST],
        ["3 ACTIVE UPDATE_FAILED", AFTER_UPDATE, FIRST],
    ),
    "SearchImageSets": ([f"2 {NEW}"], [f"3 {OLD}"], [f"3 {NEW}"]),
    "GetImageSetMetadata": (NOT_YET, OLD, NEW),
    "GetImageSetMetadata of version 1": (OLD, OLD, OLD),
    "GetImageFrame": (FRAME, FRAME, FRAME),
}
READ_ONLY = "1 LOCKED COPYING_WITH_READ_ONLY_ACCESS"
SOURCE_OF_COPY = {
    "GetImageSet": (READ_ONLY, FIRST, FIRST),
    "GetImageSet of version 1": (READ_ONLY, FIRST, FIRST),
    "ListImageSetVersions": ([READ_ONLY], [FIRST], [FIRST]),
    "SearchImageSets": ([f"1 {OLD}"], [f"1 {OLD}"], [f"1 {OLD}"]),
    "GetImageSetMetadata": (OLD, OLD, OLD),
    "GetImageSetMetadata of version 1": (OLD, OLD, OLD),
    "GetImageFrame": (FRAME, FRAME, FRAME),
}
DELETED = "1 DELETED DELETED"
DELETION = {
    "GetImageSet": ("1 LOCKED DELETING", DELETED, FIRST),
    "GetImageSet of version 1": ("1 LOCKED DELETING", DELETED, FIRST),
    "ListImageSetVersions": (["1 LOCKED DELETING"], [DELETED], [FIRST]),
    "SearchImageSets": ([f"1 {OLD}"], [], [f"1 {OLD}"]),
    "GetImageSetMetadata": (OLD, GONE, OLD),
    "GetImageSetMetadata of version 1": (OLD, GONE, OLD),
    "GetImageFrame": (FRAME, GONE, FRAME),
}
NEW_COPY = {
    "GetImageSet": ("1 LOCKED COPYING", "1 ACTIVE COPIED"),
    "GetImageSet of version 1": ("1 LOCKED COPYING", "1 ACTIVE COPIED"),
    "ListImageSetVersions": (["1 LOCKED COPYING"], ["1 ACTIVE COPIED"]),
    "SearchImageSets": ([f"1 {OLD}"], [f"1 {OLD}"]),
    "GetImageSetMetadata": (NOT_YET, OLD),
    "GetImageSetMetadata of version 1": (NOT_YET, OLD),
    "GetImageFrame": (FRAME, FRAME),
}


def prepare_revert(world: World) -> None:
    world.update()
    world.finish()


WRITES: dict[str, tuple[Callable[[World], None], Callable[[World], None], dict[str, Any]]] = {
    "update": (lambda _: None, World.update, UPDATE),
    "revert": (prepare_revert, World.revert, REVERT),
    "copy": (lambda _: None, World.copy, SOURCE_OF_COPY),
    "delete": (lambda _: None, World.delete, DELETION),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("write", WRITES)
def test_the_view_of_a_reader_while_a_write_goes_on_and_when_it_has_succeeded(write: str, reader: str) -> None:
    prepare, begin, views = WRITES[write]
    world = World()
    prepare(world)
    begin(world)
    during, after, _ = views[reader]
    assert READERS[reader](world) == during
    world.finish()
    assert READERS[reader](world) == after


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("write", WRITES)
def test_the_view_of_a_reader_when_a_write_has_failed(write: str, reader: str) -> None:
    prepare, begin, views = WRITES[write]
    world = World()
    prepare(world)
    world.emulator.faults.add(Fault.workflow("failed", MESSAGE))
    begin(world)
    during, _, failed = views[reader]
    assert READERS[reader](world) == during
    world.finish()
    assert READERS[reader](world) == failed


@pytest.mark.parametrize("reader", READERS)
def test_the_view_of_a_new_copy(reader: str) -> None:
    world = World()
    world.copy()
    world.ids["imageSetId"] = world.copied
    during, after = NEW_COPY[reader]
    assert READERS[reader](world) == during
    world.finish()
    assert READERS[reader](world) == after


def test_a_failed_version_has_the_message() -> None:
    world = World()
    world.emulator.faults.add(Fault.workflow("failed", MESSAGE))
    world.update()
    world.finish()
    assert world.client.get_image_set(**world.ids)["message"] == MESSAGE
