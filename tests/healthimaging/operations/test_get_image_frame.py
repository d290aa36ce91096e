"""GetImageFrame as boto3 sees it: the bytes of a frame, with the content type of its transfer syntax."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError
from tests.demo import DATASTORE, UNKNOWN
from tests.healthimaging.documents import INSTANCE, OTHER_INSTANCE, SERIES, document

from .conftest import FIRST, SECOND, Service, image_set, refusal

FRAME, OTHER_FRAME = "1" * 32, "2" * 32
CONTENT = b"\x00\x00\x00\x0cjP  \r\n\x87\n and so on"


def with_frames(transfer_syntax: str | None = None) -> dict[str, Any]:
    """Return a document with a frame in each of two instances."""
    content = document()
    instances = content["Study"]["Series"][SERIES]["Instances"]
    for uid, frame in ((INSTANCE, FRAME), (OTHER_INSTANCE, OTHER_FRAME)):
        instances[uid]["ImageFrames"] = [{"ID": frame, "FrameSizeInBytes": len(CONTENT)}]
        if transfer_syntax:
            instances[uid]["StoredTransferSyntaxUID"] = transfer_syntax
    return content


def seed(transfer_syntax: str | None = None, **frames: Any) -> dict[str, Any]:
    first = image_set(FIRST, is_primary=False, metadata=with_frames(transfer_syntax))
    first["frames"] = frames or {FRAME: {"base64": "AAAADGpQICANCocKIGFuZCBzbyBvbg=="}}
    other = image_set(SECOND, is_primary=False, metadata=None)
    return {"datastores": [{"datastoreId": DATASTORE, "imageSets": [first, other]}]}


@pytest.fixture
def service() -> Service:
    """Return an emulator with one image set that has a frame."""
    return Service(Emulator.from_seed(seed(), transition_reads=None, transition_seconds=None))


def get_frame(service: Service, image_set_id: str = FIRST, frame_id: str = FRAME, **ids: str) -> tuple[str, bytes]:
    answer = service.client.get_image_frame(
        **{"datastoreId": DATASTORE, "imageSetId": image_set_id} | ids,
        imageFrameInformation={"imageFrameId": frame_id},
    )
    return answer["contentType"], answer["imageFrameBlob"].read()


@pytest.mark.parametrize(
    ("transfer_syntax", "content_type"),
    [
        (None, "image/jph"),
        ("1.2.840.10008.1.2.4.202", "image/jph"),
        ("1.2.840.10008.1.2.4.203", "image/jphc"),
        ("1.2.840.10008.1.2.4.50", "image/jpeg"),
        ("1.2.840.10008.1.2.4.91", "image/j2c"),
        ("1.2.840.10008.1.2.4.112", "image/jxl"),
        ("1.2.840.10008.1.2.4.100", "video/mpeg"),
        ("1.2.840.10008.1.2.4.101.1", "video/mpeg"),
        ("1.2.840.10008.1.2.4.102", "video/mp4"),
        ("1.2.840.10008.1.2.4.106.1", "video/mp4"),
        ("1.2.840.10008.1.2.4.107", "video/H256"),
        ("1.2.840.10008.1.2.4.108", "video/H256"),
        ("1.2.840.10008.1.2.1", "application/octet-stream"),
        ("1.2.840.10008.1.2.4.90", "application/octet-stream"),
    ],
)
def test_the_content_type_is_that_of_the_transfer_syntax(transfer_syntax: str | None, content_type: str) -> None:
    assert get_frame(Service(Emulator.from_seed(seed(transfer_syntax)))) == (content_type, CONTENT)


@pytest.mark.parametrize("accept", ["image/jph", "application/json", "text/html"])
def test_any_accept_is_fine(service: Service, accept: str) -> None:
    response = service.emulator.app.test_client().post(
        f"/datastore/{DATASTORE}/imageSet/{FIRST}/getImageFrame?imageFrameId={FRAME}",
        json={"imageFrameId": FRAME},
        headers={"Accept": accept},
    )
    assert (response.status_code, response.data) == (200, CONTENT)


def test_a_frame_is_found_as_long_as_any_version_names_it(service: Service) -> None:
    removal: dict[str, Any] = {"Study": {"Series": {SERIES: {"Instances": {INSTANCE: {}}}}}}
    service.update(removable=removal, force=True)
    service.finish()
    assert INSTANCE not in service.metadata()["Study"]["Series"][SERIES]["Instances"]
    assert get_frame(service) == ("image/jph", CONTENT)


def test_the_frames_of_a_copy_can_be_read_through_it(service: Service) -> None:
    information = {"sourceImageSet": {"latestVersionId": "1"}}
    answer = service.client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=FIRST, copyImageSetInformation=information
    )
    service.finish()
    copied = answer["destinationImageSetProperties"]["imageSetId"]
    assert get_frame(service, copied) == ("image/jph", CONTENT)
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=FIRST)
    service.finish()
    assert service.emulator.image_set(DATASTORE, FIRST).record.frames == {}
    assert get_frame(service, copied) == ("image/jph", CONTENT)


def test_the_frames_of_a_copy_into_an_image_set_can_be_read_through_it(service: Service) -> None:
    information = {
        "sourceImageSet": {"latestVersionId": "1"},
        "destinationImageSet": {"imageSetId": SECOND, "latestVersionId": "1"},
    }
    service.client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=FIRST, copyImageSetInformation=information, force=True
    )
    assert refusal(get_frame, service, SECOND)[0] == "ResourceNotFoundException"
    service.finish()
    assert get_frame(service, SECOND) == ("image/jph", CONTENT)


@pytest.mark.newest_boto3
def test_reading_a_frame_sets_last_accessed_at(service: Service) -> None:
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    get_frame(service)
    assert service.get()["lastAccessedAt"] == datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_id": UNKNOWN}, f"ImageFrame {UNKNOWN} of ImageSet {FIRST} was not found."),
        ({"frame_id": OTHER_FRAME}, f"ImageFrame {OTHER_FRAME} of ImageSet {FIRST} was not found."),
        ({"image_set_id": SECOND}, f"ImageFrame {FRAME} of ImageSet {SECOND} was not found."),
        ({"image_set_id": UNKNOWN}, f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        ({"datastoreId": UNKNOWN}, f"Datastore {UNKNOWN} was not found."),
    ],
)
def test_an_unknown_resource_is_not_found(service: Service, arguments: dict[str, str], message: str) -> None:
    assert refusal(get_frame, service, **arguments) == ("ResourceNotFoundException", message)


def test_a_deleted_image_set_is_not_found(service: Service) -> None:
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=FIRST)
    assert get_frame(service) == ("image/jph", CONTENT)
    service.finish()
    expected = ("ResourceNotFoundException", f"ImageSet {FIRST} was not found in Datastore {DATASTORE}.")
    assert refusal(get_frame, service) == expected


def test_a_frame_may_be_a_file_beside_the_seed(tmp_path: Path) -> None:
    (tmp_path / "frame.jph").write_bytes(CONTENT)
    (tmp_path / "seed.json").write_text(json.dumps(seed(**{FRAME: "frame.jph"})))
    assert get_frame(Service(Emulator.from_seed(tmp_path / "seed.json"))) == ("image/jph", CONTENT)


def test_an_exported_seed_has_the_frames(service: Service) -> None:
    exported = json.loads(service.emulator.account().export_seed())
    assert get_frame(Service(Emulator.from_seed(exported))) == ("image/jph", CONTENT)


def test_an_exported_seed_leaves_out_the_frames_of_a_failed_copy_so_that_it_can_be_loaded(service: Service) -> None:
    service.emulator.faults.add(Fault.workflow("failed", operation="CopyImageSet"))
    answer = service.client.copy_image_set(
        datastoreId=DATASTORE,
        sourceImageSetId=FIRST,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )
    service.finish()
    loaded = Service(Emulator.from_seed(json.loads(service.emulator.account().export_seed())))
    assert loaded.state(answer["destinationImageSetProperties"]["imageSetId"])[2] == "COPY_FAILED"
    assert get_frame(loaded) == ("image/jph", CONTENT)


@pytest.mark.parametrize(
    ("frames", "mistake"),
    [
        ({FRAME: "frame.jph"}, f".frames.{FRAME}: a frame can name a file only in a seed that is a file"),
        ({UNKNOWN: {"base64": ""}}, f".frames.{UNKNOWN}: no metadata of the image set names the frame {UNKNOWN}"),
    ],
)
def test_a_mistake_in_the_frames_of_a_seed(frames: dict[str, Any], mistake: str) -> None:
    with pytest.raises(InvalidError) as raised:
        Emulator.from_seed(seed(**frames))
    assert str(raised.value) == f"document: $.datastores[0].imageSets[0]{mistake}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(json.dumps(seed(**{FRAME: "gone.jph"})))
    with pytest.raises(InvalidError) as raised:
        Emulator.from_seed(tmp_path / "seed.json")
    path = f"$.datastores[0].imageSets[0].frames.{FRAME}"
    assert str(raised.value) == f"{tmp_path / 'seed.json'}: {path}: gone.jph: No such file or directory"
