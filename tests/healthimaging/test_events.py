"""Events as EventBridge would deliver them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import pydicom
import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.healthimaging import events as module
from healthimaging_emulator.healthimaging.shapes.datastore import DatastoreStatus
from healthimaging_emulator.healthimaging.shapes.image_set import ImageSetWorkflowStatus
from healthimaging_emulator.healthimaging.shapes.import_job import JobStatus
from tests.demo import DATASTORE, ONE
from tests.raw import until

SCAN = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
ACCOUNT = "000000000000"
METADATA = {"Patient": {"DICOM": {"PatientSex": "F"}}}
SEED = {
    "datastores": [
        {
            "datastoreId": DATASTORE,
            "imageSets": [{"imageSetId": ONE, "metadata": METADATA, "generate": {"versions": 1}}],
        }
    ]
}
IMAGE_SET = {"datastoreId": DATASTORE, "imageSetId": ONE}


def make_emulator(**settings: Any) -> Emulator:
    emulator = Emulator.from_seed(SEED, **settings)
    emulator.clock.freeze("2024-01-02T03:04:05.678Z")
    return emulator


def update(emulator: Emulator, version: str = "1") -> None:
    changes = json.dumps({"Patient": {"DICOM": {"PatientSex": "M"}}}).encode()
    emulator.client().update_image_set_metadata(
        **IMAGE_SET,
        latestVersionId=version,
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": changes}},
    )


def types(emulator: Emulator) -> list[str]:
    return [event["detail-type"] for event in emulator.events]


def test_an_update_has_an_event_for_each_of_its_states() -> None:
    emulator = make_emulator(transition_reads=0)
    assert emulator.events == []
    update(emulator)
    first, second = emulator.events
    assert first.pop("id") != second["id"]
    assert first == {
        "version": "0",
        "detail-type": "Image Set Updating",
        "source": "aws.medical-imaging",
        "account": ACCOUNT,
        "time": "2024-01-02T03:04:05Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/{DATASTORE}/imageset/{ONE}"],
        "detail": {
            "imagingVersion": "1.0",
            "datastoreId": DATASTORE,
            "imageSetId": ONE,
            "imageSetState": "LOCKED",
            "imageSetWorkflowStatus": "UPDATING",
            "imageSetVersion": "2",
            "isPrimary": False,
        },
    }
    assert (second["detail-type"], second["detail"]["imageSetState"]) == ("Image Set Updated", "ACTIVE")


def test_from_a_new_data_store_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    shutil.copy(SCAN, tmp_path / "input" / "1.dcm")
    emulator = make_emulator(s3=tmp_path, transition_reads=0)
    client = emulator.client()
    datastore = client.create_datastore(datastoreName="mine")["datastoreId"]
    job = client.start_dicom_import_job(
        datastoreId=datastore,
        jobName="scans",
        dataAccessRoleArn="arn:aws:iam::123456789012:role/any",
        inputS3Uri="s3://input/",
        outputS3Uri="s3://output/",
    )["jobId"]
    until(lambda: "Import Job Completed" in types(emulator))
    (image_set,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
    ids = {"datastoreId": datastore, "imageSetId": image_set["imageSetId"]}
    copy = client.copy_image_set(
        datastoreId=datastore,
        sourceImageSetId=ids["imageSetId"],
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
    )["destinationImageSetProperties"]["imageSetId"]
    for id in (ids["imageSetId"], copy):
        client.delete_image_set(datastoreId=datastore, imageSetId=id)
    client.delete_datastore(datastoreId=datastore)
    assert [type for type in types(emulator) if not type.startswith("Image Set Cop")] == [
        "Data Store Creating",
        "Data Store Created",
        "Import Job Submitted",
        "Import Job In Progress",
        "Image Set Created",
        "Import Job Completed",
        *["Image Set Deleting", "Image Set Deleted"] * 2,
        "Data Store Deleting",
        "Data Store Deleted",
    ]
    copying = [event["detail"] for event in emulator.events if event["detail-type"].startswith("Image Set Cop")]
    assert sorted((each["imageSetId"] == copy, each["imageSetWorkflowStatus"]) for each in copying) == [
        (False, "COPIED"),
        (False, "COPYING_WITH_READ_ONLY_ACCESS"),
        (True, "COPIED"),
        (True, "COPYING"),
    ]
    created = emulator.events[1]
    arn = f"arn:aws:medical-imaging:us-east-1:{ACCOUNT}:datastore/{datastore}"
    assert created["resources"] == [arn]
    details = {"imagingVersion": "1.0", "datastoreId": datastore}
    assert created["detail"] == details | {"datastoreName": "mine", "datastoreStatus": "ACTIVE"}
    submitted = emulator.events[2]
    assert submitted["resources"] == [arn]
    assert submitted["detail"] == details | {
        "jobId": job,
        "jobName": "scans",
        "jobStatus": "SUBMITTED",
        "inputS3Uri": "s3://input/",
        "outputS3Uri": f"s3://output/{datastore}-DicomImport-{job}/",
    }


def test_what_fails_has_events_that_say_so() -> None:
    emulator = make_emulator(transition_reads=0)
    client = emulator.client()
    emulator.faults.add(Fault.workflow("failed"))
    update(emulator)
    client.copy_image_set(
        datastoreId=DATASTORE,
        sourceImageSetId=ONE,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "2"}},
    )
    client.create_datastore()
    client.start_dicom_import_job(
        datastoreId=DATASTORE,
        dataAccessRoleArn="arn:aws:iam::123456789012:role/any",
        inputS3Uri="s3://input/",
        outputS3Uri="s3://output/",
    )
    until(lambda: "Import Job Failed" in types(emulator))
    assert {"Image Set Update Failed", "Image Set Copy Failed", "Data Store Creation Failed"} < set(types(emulator))


def test_a_data_store_whose_deletion_fails_is_not_created_again() -> None:
    emulator = Emulator.from_seed({"datastores": [{"datastoreId": DATASTORE}]}, transition_reads=0)
    emulator.faults.add(Fault.workflow("failed"))
    emulator.client().delete_datastore(datastoreId=DATASTORE)
    assert types(emulator) == ["Data Store Deleting"]


def test_an_event_that_is_due_needs_no_request() -> None:
    emulator = make_emulator(transition_seconds=5)
    update(emulator)
    assert types(emulator) == ["Image Set Updating"]
    emulator.clock.advance(5)
    assert types(emulator) == ["Image Set Updating", "Image Set Updated"]
    assert emulator.events[1]["time"] == "2024-01-02T03:04:10Z"


def test_every_status_of_a_data_store_and_of_a_job_has_its_event() -> None:
    assert set(module.DATASTORE_EVENTS) == set(get_args(DatastoreStatus))
    assert set(module.JOB_EVENTS) == set(get_args(JobStatus))
    assert set(module.IMAGE_SET_EVENTS) < set(get_args(ImageSetWorkflowStatus))


def test_edits_of_a_test_and_tags_have_no_events() -> None:
    emulator = make_emulator()
    emulator.image_set(DATASTORE, ONE).append(image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
    arn = emulator.client().get_image_set(**IMAGE_SET)["imageSetArn"]
    emulator.client().tag_resource(resourceArn=arn, tags={"a": "b"})
    assert emulator.events == []


def test_old_events_are_dropped_and_a_reset_drops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 3)
    emulator = make_emulator(transition_reads=0)
    for version in ("1", "2"):
        update(emulator, version)
    assert [event["detail"]["imageSetVersion"] for event in emulator.events] == ["2", "3", "3"]
    emulator.reset()
    assert emulator.events == []
