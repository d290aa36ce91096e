"""Published software, unmodified, run as its users run it: with ``exec`` in front, from the wheel.

AWS's MCP server has a file of its own.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from pydicom import Dataset, dcmread

from healthimaging_emulator import Emulator
from healthimaging_emulator.transports.environment import make_endpoint
from tests.demo import DATASTORE, MANY, SAMPLE

from .conftest import DOCUMENT, FRAME, HEAD, PIXELS, SEED, Program, seed_of
from .instances import describe, make_instance, raw_frames

Clients = Callable[[str], Program]
Expected = dict[tuple[str, str], list[dict[str, Any]]]

IDS = {"datastore_id": DATASTORE, "image_set_id": SAMPLE}
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}/imageset/"


# capo, an SDK that shares no code with AWS's.


def call(operation: str, until: str | None = None, **arguments: Any) -> dict[str, Any]:
    return {"operation": operation, "arguments": IDS | arguments} | ({"until": until} if until else {})


def test_capo_lists_every_page(the: Clients, expected: Expected) -> None:
    (listed,) = the("capo").execute({"calls": [call("iter_list_image_set_versions", image_set_id=MANY)]})["results"]
    wire = expected[DATASTORE, MANY]
    names = {
        "versionId": "version_id",
        "ImageSetWorkflowStatus": "image_set_workflow_status",
        "createdAt": "created_at",
    }
    for ours in names:
        assert [entry.get(names[ours]) for entry in listed] == [entry.get(ours) for entry in wire]


def document(answer: dict[str, Any]) -> Any:
    assert (answer["content_type"], answer["content_encoding"]) == ("application/json", "gzip")
    return json.loads(gzip.decompress(base64.b64decode(answer["image_set_metadata_blob"])))


def test_capo_reads_an_image_set_with_its_metadata_and_a_frame(the: Clients) -> None:
    calls = [
        call("get_image_set"),
        call("get_image_set_metadata"),
        call("get_image_frame", image_frame_information={"image_frame_id": FRAME}),
    ]
    image_set, metadata, frame = the("capo").execute({"calls": calls}, SEED)["results"]
    assert image_set == {
        **IDS,
        "version_id": "1",
        "image_set_state": "ACTIVE",
        "image_set_workflow_status": "CREATED",
        "created_at": 1.5,
        "updated_at": 1.5,
        "image_set_arn": ARN + SAMPLE,
        "storage_tier": "FREQUENT_ACCESS",
    }
    assert document(metadata) == HEAD | DOCUMENT
    assert frame == {"image_frame_blob": PIXELS, "content_type": "image/jph"}


def test_capo_updates_and_waits_until_the_new_version_is_active(the: Clients) -> None:
    """An update of the locked image set is refused, and the refusal is the one request that sees LOCKED."""
    text = json.dumps({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Roe^Ann"}}})
    updates = {"DICOMUpdates": {"updatable_attributes": {"bytes": text}}}
    first, second, third = (
        call("update_image_set_metadata", latest_version_id=latest, update_image_set_metadata_updates=updates)
        for latest in ("1", "2", "3")
    )
    waiting = call("get_image_set", until="ACTIVE")
    calls = [first, waiting, call("get_image_set_metadata"), second, third, second]
    begun, waited, metadata, _, locked, stale = the("capo").execute({"calls": calls}, SEED)["results"]
    assert begun == {
        **IDS,
        "latest_version_id": "2",
        "image_set_state": "LOCKED",
        "image_set_workflow_status": "UPDATING",
        "created_at": 1.5,
        "updated_at": ANY,
    }
    assert [(each["version_id"], each["image_set_workflow_status"]) for each in waited] == [
        ("2", "UPDATING"),
        ("2", "UPDATED"),
    ]
    assert document(metadata) == HEAD | DOCUMENT | {"Patient": {"DICOM": {"PatientID": "P1", "PatientName": "Roe^Ann"}}}
    assert locked == {"error": "ConflictException", "message": f"ImageSet {SAMPLE} is LOCKED."}
    assert stale == {
        "error": "ResourceNotFoundException",
        "message": "Requested version(s) of ImageSet(s) is not the latest.",
    }


def test_capo_copies_an_image_set_and_deletes_it(the: Clients) -> None:
    """The source of a copy keeps its version, and is gone after its deletion has been seen."""
    information = {"source_image_set": {"latest_version_id": "1"}}
    copy = call("copy_image_set", source_image_set_id=SAMPLE, copy_image_set_information=information)
    del copy["arguments"]["image_set_id"]
    calls = [
        copy,
        call("get_image_set", until="ACTIVE"),
        call("delete_image_set"),
        call("get_image_set", until="DELETED"),
        call("delete_image_set"),
    ]
    copied, waited, deleted, gone, again = the("capo").execute({"calls": calls}, SEED)["results"]
    new = copied["destination_image_set_properties"]["image_set_id"]
    assert new != SAMPLE
    assert copied == {
        "datastore_id": DATASTORE,
        "source_image_set_properties": {
            "image_set_id": SAMPLE,
            "latest_version_id": "1",
            "image_set_state": "LOCKED",
            "image_set_workflow_status": "COPYING_WITH_READ_ONLY_ACCESS",
            "created_at": 1.5,
            "updated_at": ANY,
            "image_set_arn": ARN + SAMPLE,
        },
        "destination_image_set_properties": {
            "image_set_id": new,
            "latest_version_id": "1",
            "image_set_state": "LOCKED",
            "image_set_workflow_status": "COPYING",
            "created_at": ANY,
            "updated_at": ANY,
            "image_set_arn": ARN + new,
        },
    }
    assert [(each["version_id"], each["image_set_workflow_status"]) for each in waited] == [
        ("1", "COPYING_WITH_READ_ONLY_ACCESS"),
        ("1", "COPIED"),
    ]
    assert deleted == {**IDS, "image_set_state": "LOCKED", "image_set_workflow_status": "DELETING"}
    assert [each["image_set_workflow_status"] for each in gone] == ["DELETING", "DELETED"]
    assert again == {
        "error": "ResourceNotFoundException",
        "message": f"ImageSet {SAMPLE} was not found in Datastore {DATASTORE}.",
    }


def test_capo_searches_page_by_page(the: Clients, expected: Expected) -> None:
    """A search finds every image set that is not deleted."""
    search = {"operation": "iter_search_image_sets", "arguments": {"datastore_id": DATASTORE, "max_results": 3}}
    (found,) = the("capo").execute({"calls": [search]})["results"]
    assert sorted(each["image_set_id"] for each in found) == sorted(
        image_set
        for (datastore, image_set), versions in expected.items()
        if datastore == DATASTORE and versions[0]["imageSetState"] != "DELETED"
    )
    assert len(found) > 3


def test_capo_searches_by_patient(the: Clients) -> None:
    def search(patient: str) -> dict[str, Any]:
        filters = [{"values": [{"DICOMPatientId": patient}], "operator": "EQUAL"}]
        arguments = {"datastore_id": DATASTORE, "search_criteria": {"filters": filters}}
        return {"operation": "search_image_sets", "arguments": arguments}

    found, nothing = the("capo").execute({"calls": [search("P1"), search("P2")]}, SEED)["results"]
    assert found == {
        "image_sets_metadata_summaries": [
            {
                "image_set_id": SAMPLE,
                "version": 1,
                "created_at": 1.5,
                "updated_at": 1.5,
                "storage_tier": "FREQUENT_ACCESS",
                "dicom_tags": {
                    "dicom_patient_id": "P1",
                    "dicom_patient_name": "Doe^Jane",
                    "dicom_study_instance_uid": "1.2.3",
                    "dicom_study_description": "Café, 東京",
                    "dicom_number_of_study_related_series": 1,
                    "dicom_number_of_study_related_instances": 1,
                    "dicom_series_instance_uid": "1.2.3.4",
                    "dicom_series_modality": "CT",
                },
            }
        ]
    }
    assert nothing == {"image_sets_metadata_summaries": []}


# AHItoDICOMInterface, AWS's reader: of an image set, it makes the DICOM files again that were imported.


def seed_of_instances(the: Clients, instances: Sequence[Dataset]) -> dict[str, Any]:
    raw = raw_frames(instances)
    encoded = the("htj2k").do({"frames": list(raw.values())})["frames"]
    return seed_of(describe(instances), dict(zip(raw, encoded, strict=True)))


@pytest.mark.parametrize("way", ["exec", "endpoint"])
def test_awss_reader_makes_the_dicom_files_again(the: Clients, tmp_path: Path, way: str) -> None:
    """It finds the emulator by environment variables, and by the endpoint that it takes as an argument."""
    instances = [
        make_instance(tmp_path, 1, (33, 47), signed=True),
        make_instance(tmp_path, 2, (130, 7, 3)),
        make_instance(tmp_path, 3, (70, 5), frames=3),
    ]
    seed = seed_of_instances(the, instances)
    job = {**IDS, "folder": str(tmp_path / "read")}
    if way == "exec":
        done = the("ahi").execute(job, seed)
    else:
        with Emulator.from_seed(seed).serve() as server:
            done = the("ahi").do(job | {"endpoint": make_endpoint(server.url)})
    assert done == {"saved": [True, True, True]}
    assert [dcmread(tmp_path / "read" / f"1.2.3.4.{number}.dcm") for number in (1, 2, 3)] == instances


def test_awss_reader_reads_one_frame_of_two(the: Clients, tmp_path: Path) -> None:
    """It takes an instance of two frames for one of a single frame: it compares their number with 2, not with 1."""
    instance = make_instance(tmp_path, 1, (33, 48), frames=2)
    seed = seed_of_instances(the, [instance])
    assert the("ahi").execute({**IDS, "folder": str(tmp_path / "read")}, seed) == {"saved": [True]}
    instance.PixelData = instance.PixelData[: 33 * 48 * 2]
    assert dcmread(tmp_path / "read" / "1.2.3.4.1.dcm") == instance


def test_awss_reader_finds_the_image_set_of_a_study(the: Clients, tmp_path: Path) -> None:
    instance = make_instance(tmp_path, 1, (4, 4))
    seed = seed_of_instances(the, [instance])
    job = {"datastore_id": DATASTORE, "study": "1.2.3", "folder": str(tmp_path / "read")}
    assert the("ahi").execute(job, seed) == {"saved": [True]}
    assert dcmread(tmp_path / "read" / "1.2.3.4.1.dcm") == instance
