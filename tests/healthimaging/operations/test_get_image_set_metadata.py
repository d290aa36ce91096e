"""GetImageSetMetadata as boto3 sees it: the compressed document of a version."""

from __future__ import annotations

import gzip
import json

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, SAMPLE, UNKNOWN
from tests.healthimaging.documents import document

from .conftest import FIRST, PLAIN, Service, refusal

NOT_CONSISTENT = (
    "ConflictException",
    "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.",
)


def test_the_document_of_the_seed_with_its_ids(service: Service) -> None:
    head = {"SchemaVersion": "1.1", "DatastoreID": DATASTORE, "ImageSetID": FIRST}
    assert service.metadata() == head | document()


def test_the_answer_is_gzip_whatever_is_accepted(service: Service) -> None:
    app = service.emulator.app.test_client()
    path = f"/datastore/{DATASTORE}/imageSet/{FIRST}/getImageSetMetadata"
    for headers in ({}, {"Accept-Encoding": "identity"}, {"Accept": "image/jph"}):
        response = app.post(path, headers=headers)
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(response.data))["ImageSetID"] == FIRST


def test_two_emulators_answer_with_the_same_bytes() -> None:
    path = f"/datastore/{DATASTORE}/imageSet/{SAMPLE}/getImageSetMetadata"
    first, second = (Emulator.from_seed().app.test_client().post(path).data for _ in range(2))
    assert first == second


def test_a_version_without_a_document_has_a_small_one_made_from_its_ids(service: Service) -> None:
    found = service.metadata(PLAIN)
    ((series, content),) = found["Study"]["Series"].items()
    ((instance, _),) = content["Instances"].items()
    assert (found["DatastoreID"], found["ImageSetID"]) == (DATASTORE, PLAIN)
    assert content["DICOM"]["SeriesInstanceUID"] == series
    assert content["Instances"][instance]["DICOM"]["SOPInstanceUID"] == instance


def test_a_version_has_its_own_document(service: Service) -> None:
    service.update({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "TEST^TWO"}}})
    service.finish()
    assert service.metadata()["Patient"]["DICOM"]["PatientName"] == "TEST^TWO"
    assert service.metadata(versionId="1")["Patient"]["DICOM"]["PatientName"] == "TEST^ONE"


def test_while_a_version_is_written_it_is_not_consistent_but_older_ones_answer(service: Service) -> None:
    service.update({"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}})
    assert refusal(service.metadata) == NOT_CONSISTENT
    assert refusal(service.metadata, versionId="2") == NOT_CONSISTENT
    assert service.metadata(versionId="1")["Patient"]["DICOM"]["PatientName"] == "TEST^ONE"


@pytest.mark.parametrize("status", ["COPYING", "IMPORTING", "UPDATING", "UPDATING_FOR_STUDY_CONSISTENCY"])
def test_every_status_in_which_a_version_is_written_refuses(service: Service, status: str) -> None:
    handle = service.emulator.image_set(DATASTORE, FIRST)
    handle.append(image_set_state="LOCKED", image_set_workflow_status=status)  # type: ignore[arg-type]
    assert refusal(service.metadata) == NOT_CONSISTENT


@pytest.mark.parametrize("status", ["COPYING_WITH_READ_ONLY_ACCESS", "DELETING"])
def test_the_source_of_a_copy_and_a_set_that_is_being_deleted_stay_readable(service: Service, status: str) -> None:
    handle = service.emulator.image_set(DATASTORE, FIRST)
    handle.append(
        image_set_state="LOCKED",
        image_set_workflow_status=status,  # type: ignore[arg-type]
        metadata=document(),
    )
    assert service.metadata()["ImageSetID"] == FIRST


def test_a_deleted_image_set_is_not_found(service: Service) -> None:
    handle = service.emulator.image_set(DATASTORE, FIRST)
    handle.append(image_set_state="DELETED", image_set_workflow_status="DELETED")
    expected = ("ResourceNotFoundException", f"ImageSet {FIRST} was not found in Datastore {DATASTORE}.")
    assert refusal(service.metadata) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"imageSetId": UNKNOWN}, f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        ({"datastoreId": UNKNOWN}, f"Datastore {UNKNOWN} was not found."),
        ({"versionId": "2"}, f"Version 2 of ImageSet {FIRST} was not found."),
    ],
)
def test_an_unknown_resource_is_not_found(service: Service, arguments: dict[str, str], message: str) -> None:
    ids = {"datastoreId": DATASTORE, "imageSetId": FIRST}
    call = service.client.get_image_set_metadata
    assert refusal(call, **ids | arguments) == ("ResourceNotFoundException", message)
