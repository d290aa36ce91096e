"""The demo: its image sets with pixels are those that ``make_demo`` draws, and it tells the story of the documents."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pydicom
import pytest

from healthimaging_emulator import Emulator

from .conftest import DEMO
from .demo import CHEST_CT, DUPLICATE_CT, HEAD_MR, HEAD_MR_COPY, KNEE_MR, OTHER_CT, OTHER_DATASTORE


def without_frames(document: Any) -> Any:
    """Return a document without what depends on the version of the encoder."""
    if isinstance(document, dict):
        left_out = ("ImageFrames", "frames")
        return {name: without_frames(value) for name, value in document.items() if name not in left_out}
    return [without_frames(each) for each in document] if isinstance(document, list) else document


@pytest.mark.frames
def test_the_demo_is_what_the_program_draws() -> None:
    import imagecodecs
    import numpy

    from .make_demo import make_image_sets

    def pixels(image_set: dict[str, Any]) -> list[Any]:
        contents = [base64.b64decode(each["base64"]) for each in image_set["frames"].values()]
        return [imagecodecs.htj2k_decode(content[content.index(b"jp2c") + 4 :]) for content in contents]

    shipped = {each["imageSetId"]: each for each in json.loads(DEMO.read_text())["datastores"][1]["imageSets"]}
    for made in make_image_sets():
        demo = shipped[made["imageSetId"]]
        assert without_frames(demo) == without_frames(made)
        assert numpy.array_equal(pixels(demo), pixels(made))


@pytest.mark.frames
def test_the_bucket_of_the_demo_is_what_the_program_draws() -> None:
    from .make_demo import BUCKET, make_bucket

    shipped = {path.relative_to(BUCKET).as_posix(): path for path in BUCKET.rglob("*") if path.is_file()}
    made = make_bucket()
    assert shipped.keys() == made.keys()
    for key, content in made.items():
        if key.endswith(".dcm"):  # its head names the version of pydicom
            assert pydicom.dcmread(shipped[key]) == pydicom.dcmread(io.BytesIO(content))
        else:
            assert shipped[key].read_bytes() == content


def search(client: Any, patient: str) -> dict[str, dict[str, Any]]:
    filters = [{"operator": "EQUAL", "values": [{"DICOMPatientId": patient}]}]
    answer = client.search_image_sets(datastoreId=OTHER_DATASTORE, searchCriteria={"filters": filters})
    return {each["imageSetId"]: each for each in answer["imageSetsMetadataSummaries"]}


@pytest.mark.newest_boto3
def test_the_patients_and_their_image_sets() -> None:
    client = Emulator.from_seed().client()
    first = search(client, "DEMO-1")
    assert list(first) == [HEAD_MR_COPY, HEAD_MR, CHEST_CT]
    assert [each["isPrimary"] for each in first.values()] == [False, True, True]
    names = [each["DICOMTags"]["DICOMPatientName"] for each in first.values()]
    assert names == ["DEMO^PATIENT 1^CORRECTED", "DEMO^PATIENT 1", "DEMO^PATIENT 1"]
    assert first[CHEST_CT]["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 3
    assert list(search(client, "DEMO-2")) == [OTHER_CT]  # its duplicate is deleted
    assert list(search(client, "DEMO-3")) == [KNEE_MR]
    deleted = client.get_image_set(datastoreId=OTHER_DATASTORE, imageSetId=DUPLICATE_CT)
    assert deleted["imageSetState"] == "DELETED"


def test_a_copy_has_the_frames_of_its_source() -> None:
    emulator = Emulator.from_seed()
    client = emulator.client()
    source, copy = (emulator.image_set(OTHER_DATASTORE, id) for id in (HEAD_MR, HEAD_MR_COPY))
    (series,) = copy.metadata()["Study"]["Series"].values()
    assert source.metadata()["Study"] == copy.metadata()["Study"]
    frames = [frame["ID"] for each in series["Instances"].values() for frame in each["ImageFrames"]]
    assert len(frames) == 2
    for frame in frames:
        information = {"imageFrameId": frame}
        answers = [
            client.get_image_frame(datastoreId=OTHER_DATASTORE, imageSetId=id, imageFrameInformation=information)
            for id in (HEAD_MR, HEAD_MR_COPY)
        ]
        first, second = (answer["imageFrameBlob"].read() for answer in answers)
        assert first == second
        assert {answer["contentType"] for answer in answers} == {"image/jph"}
