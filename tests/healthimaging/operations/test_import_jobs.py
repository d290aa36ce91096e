"""StartDICOMImportJob, GetDICOMImportJob and ListDICOMImportJobs as boto3 sees them, with S3 in a folder."""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID

from healthimaging_emulator import Emulator, Fault, pipeline
from healthimaging_emulator.healthimaging.imports.grouping import merge_documents
from healthimaging_emulator.healthimaging.imports.instance import read_instance
from healthimaging_emulator.messages import Wait
from tests.demo import UNKNOWN
from tests.raw import HANG_SECONDS, Client, request, until

from .conftest import Service, refusal
from .jobs import DATASTORE, ROLE, SEED, SHIPPED, Bucket, found, get, metadata, run, start


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path / "s3")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request wait for a job that imports pydicom, however long that takes."""
    monkeypatch.setattr(pipeline, "MAX_WORK_SECONDS", HANG_SECONDS)


@pytest.fixture
def service(bucket: Bucket) -> Service:
    return Service(Emulator.from_seed(SEED, s3=bucket.root, transition_seconds=None))


# A job from its start to its end.


@pytest.mark.newest_boto3
def test_a_job_is_submitted_in_progress_and_completed(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    answer = start(service, jobName="mine")
    id = answer["jobId"]
    assert (len(id), answer["datastoreId"], answer["jobStatus"]) == (32, DATASTORE, "SUBMITTED")
    first, second, third, fourth = (get(service, id) for _ in range(4))
    assert [each["jobStatus"] for each in (first, second, third)] == ["SUBMITTED", "IN_PROGRESS", "COMPLETED"]
    assert third == fourth
    assert (second.get("endedAt"), third["endedAt"], third["submittedAt"]) == (None, *[answer["submittedAt"]] * 2)
    assert third == first | {"jobStatus": "COMPLETED", "endedAt": third["endedAt"]}
    assert first == {
        "jobId": id,
        "jobName": "mine",
        "jobStatus": "SUBMITTED",
        "datastoreId": DATASTORE,
        "dataAccessRoleArn": ROLE,
        "submittedAt": answer["submittedAt"],
        "inputS3Uri": "s3://input/scan/",
        "outputS3Uri": f"s3://output/jobs/{DATASTORE}-DicomImport-{id}/",
    }


@pytest.mark.frames
def test_the_outputs_of_a_job(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    bucket.put("README.txt")
    bucket.put("meta_missing_tsyntax.dcm")
    job = run(service)
    (imported,) = found(service)
    uri = job["outputS3Uri"]
    image_set = {"imageSetId": imported, "imageSetVersion": 1, "isPrimary": True}
    assert bucket.read(job, "SUCCESS/success.ndjson") == [
        {"inputFile": "scan/CT_small.dcm", "importResponse": image_set}
    ]
    assert bucket.read(job, "FAILURE/failure.ndjson") == [
        {"inputFile": f"scan/{name}", "exception": {"exceptionType": "ValidationException", "message": message}}
        for name, message in (
            ("README.txt", "DICOM attributes does not exist"),
            ("meta_missing_tsyntax.dcm", "DICOM attribute TransferSyntaxUID does not exist"),
        )
    ]
    assert bucket.read(job, "job-output-manifest.json") == [
        {
            "jobSummary": {
                "jobId": job["jobId"],
                "datastoreId": DATASTORE,
                "inputS3Uri": "s3://input/scan/",
                "outputS3Uri": uri,
                "successOutputS3Uri": f"{uri}SUCCESS/",
                "failureOutputS3Uri": f"{uri}FAILURE/",
                "warningsOutputS3Uri": f"{uri}WARNING/",
                "numberOfScannedFiles": 3,
                "numberOfImportedFiles": 1,
                "numberOfFilesWithCustomerError": 2,
                "numberOfFilesWithServerError": 0,
                "numberOfGeneratedImageSets": 1,
                "imageSetsSummary": [{**image_set, "numberOfMatchedSOPInstances": 1}],
            }
        }
    ]


@pytest.mark.newest_boto3
def test_an_imported_image_set_can_be_read_and_searched(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    run(service)
    ((id, summary),) = found(service).items()
    assert (summary["version"], summary["isPrimary"]) == (1, True)
    assert summary["DICOMTags"]["DICOMPatientName"] == "CompressedSamples^CT1"
    properties = service.client.get_image_set(datastoreId=DATASTORE, imageSetId=id)
    assert (properties["imageSetState"], properties["imageSetWorkflowStatus"]) == ("ACTIVE", "CREATED")
    assert (properties["createdAt"], properties["isPrimary"]) == (properties["updatedAt"], True)
    (series,) = metadata(service, id)["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    (frame,) = instance["ImageFrames"]
    answer = service.client.get_image_frame(
        datastoreId=DATASTORE, imageSetId=id, imageFrameInformation={"imageFrameId": frame["ID"]}
    )
    assert len(answer["imageFrameBlob"].read()) == frame["FrameSizeInBytes"]


def test_a_job_is_completed_even_if_every_file_failed(service: Service, bucket: Bucket) -> None:
    bucket.put("README.txt")
    job = run(service)
    assert (job["jobStatus"], found(service)) == ("COMPLETED", {})
    assert len(bucket.read(job, "FAILURE/failure.ndjson")) == 1
    assert bucket.read(job, "SUCCESS/success.ndjson") == []


def test_the_uri_names_a_prefix(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/a/1.dcm")
    bucket.put("MR_small.dcm", "scan/b/1.dcm")
    job = run(service, inputS3Uri="s3://input/scan/a")
    assert [each["inputFile"] for each in bucket.read(job, "SUCCESS/success.ndjson")] == ["scan/a/1.dcm"]
    job = run(service, inputS3Uri="s3://input")
    assert len(bucket.read(job, "SUCCESS/success.ndjson")) == 2


# Grouping.


def as_instance(number: int, **attributes: Any) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        dataset.SOPInstanceUID = UID(f"1.2.3.{number}")
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)

    return change


def test_files_of_one_series_are_one_image_set(service: Service, bucket: Bucket) -> None:
    for number in range(3):
        bucket.put("CT_small.dcm", f"scan/{number}.dcm", as_instance(number))
    run(service)
    (summary,) = found(service).values()
    assert summary["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 3


@pytest.mark.newest_boto3
def test_two_series_are_two_image_sets(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    bucket.put("CT_small.dcm", "scan/2.dcm", as_instance(2, SeriesInstanceUID=UID("1.2.99")))
    run(service)
    assert [each["isPrimary"] for each in found(service).values()] == [True, True]


def test_a_further_instance_joins_the_primary_image_set_as_its_next_version(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    bucket.put("CT_small.dcm", "more/2.dcm", as_instance(2))
    job = run(service, inputS3Uri="s3://input/more/")
    ((id, summary),) = found(service).items()
    assert (summary["version"], summary["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"]) == (2, 2)
    rows = service.client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=id)["imageSetPropertiesList"]
    assert [(row["versionId"], row["ImageSetWorkflowStatus"]) for row in rows] == [("2", "IMPORTED"), ("1", "CREATED")]
    (line,) = bucket.read(job, "SUCCESS/success.ndjson")
    assert line["importResponse"] == {"imageSetId": id, "imageSetVersion": 2, "isPrimary": True}
    (series,) = metadata(service, id, versionId="1")["Study"]["Series"].values()
    assert list(series["Instances"]) == ["1.2.3.1"]


def test_an_instance_that_is_there_is_overwritten(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1, InstanceNumber="42"))
    run(service)
    ((id, summary),) = found(service).items()
    assert (summary["version"], summary["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"]) == (2, 1)
    numbers = []
    for version in ("1", "2"):
        (series,) = metadata(service, id, versionId=version)["Study"]["Series"].values()
        numbers.append(series["Instances"]["1.2.3.1"]["DICOM"]["InstanceNumber"])
    assert numbers == ["1 ", "42"]


CONFLICTS = {
    "StudyDate": "19990101",
    "AccessionNumber": "other",
    "PatientID": "other",
    "StudyID": "other",
    "SeriesNumber": "77",
}


@pytest.mark.newest_boto3
@pytest.mark.parametrize("keyword", CONFLICTS)
def test_an_element_that_conflicts_makes_an_image_set_that_is_not_primary(
    service: Service, bucket: Bucket, keyword: str
) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    bucket.put("CT_small.dcm", "more/2.dcm", as_instance(2, **{keyword: CONFLICTS[keyword]}))
    run(service, inputS3Uri="s3://input/more/")
    assert sorted((each["isPrimary"], each["version"]) for each in found(service).values()) == [(False, 1), (True, 1)]


@pytest.mark.newest_boto3
@pytest.mark.parametrize(
    ("keyword", "is_primary"), [("PatientID", False), ("StudyDate", False), ("StudyID", False), ("SeriesNumber", True)]
)
def test_another_series_of_the_study_must_agree_with_patient_and_study(
    service: Service, bucket: Bucket, keyword: str, is_primary: bool
) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    other = {"SeriesInstanceUID": UID("1.2.99"), keyword: CONFLICTS[keyword]}
    bucket.put("CT_small.dcm", "more/2.dcm", as_instance(2, **other))
    run(service, inputS3Uri="s3://input/more/")
    assert sorted(each["isPrimary"] for each in found(service).values()) == sorted([True, is_primary])


@pytest.mark.newest_boto3
def test_conflicts_inside_one_job_make_image_sets_of_their_own(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    bucket.put("CT_small.dcm", "scan/2.dcm", as_instance(2, PatientID="other"))
    run(service)
    assert sorted(each["isPrimary"] for each in found(service).values()) == [False, True]


def test_an_import_into_a_locked_image_set_ends_its_write(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, transition_seconds=None))
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(ours)
    (id,) = found(ours)
    ours.emulator.faults.add(Fault.workflow(reads=None, seconds=None, operation="UpdateImageSetMetadata"))
    updates = {"DICOMUpdates": {"updatableAttributes": b'{"Patient": {"DICOM": {"PatientSex": "F"}}}'}}
    ours.client.update_image_set_metadata(
        datastoreId=DATASTORE, imageSetId=id, latestVersionId="1", updateImageSetMetadataUpdates=updates
    )
    bucket.put("CT_small.dcm", "more/2.dcm", as_instance(2))
    run(ours, inputS3Uri="s3://input/more/")
    rows = ours.client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=id)["imageSetPropertiesList"]
    assert [row["ImageSetWorkflowStatus"] for row in rows] == ["IMPORTED", "UPDATED", "CREATED"]
    assert metadata(ours, id)["Patient"]["DICOM"]["PatientSex"] == "F"


@pytest.mark.newest_boto3
def test_an_import_into_an_image_set_that_is_being_deleted_makes_a_new_one(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    (first,) = found(service)
    service.emulator.faults.add(Fault.workflow(reads=None, seconds=None, operation="DeleteImageSet"))
    service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=first)
    run(service)
    ((second, summary),) = found(service).items()
    assert (second != first, summary["version"], summary["isPrimary"]) == (True, 1, True)
    assert service.client.get_image_set(datastoreId=DATASTORE, imageSetId=first)["imageSetState"] == "DELETED"


def test_an_import_into_an_image_set_that_vanishes_meanwhile_makes_a_new_one(
    service: Service, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    (first,) = found(service)

    def merge_and_remove(*arguments: Any) -> Any:
        service.emulator.image_set(DATASTORE, first).remove()
        return merge_documents(*arguments)

    monkeypatch.setattr("healthimaging_emulator.healthimaging.imports.job.merge_documents", merge_and_remove)
    job = run(service)
    (second,) = found(service)
    assert (job["jobStatus"], second != first) == ("COMPLETED", True)


# Failures.


def test_a_file_that_cannot_be_read_fails_alone(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    (bucket.root / "input" / "scan" / "link.dcm").symlink_to(SHIPPED / "MR_small.dcm")
    job = run(service)
    (line,) = bucket.read(job, "FAILURE/failure.ndjson")
    assert (job["jobStatus"], line["inputFile"], len(found(service))) == ("COMPLETED", "scan/link.dcm", 1)
    assert line["exception"]["message"] == "scan/link.dcm is not inside bucket input"


def test_a_file_that_makes_a_document_too_deep_fails_alone(service: Service, bucket: Bucket) -> None:
    def nest(dataset: Any) -> None:
        as_instance(2, SeriesInstanceUID="1.2.3")(dataset)
        for _ in range(40):
            outer = pydicom.Dataset()
            outer.ConceptNameCodeSequence = dataset.get("ConceptNameCodeSequence") or []
            dataset.ConceptNameCodeSequence = [outer]

    bucket.put("CT_small.dcm")
    bucket.put("CT_small.dcm", "scan/deep.dcm", nest)
    job = run(service)
    (line,) = bucket.read(job, "FAILURE/failure.ndjson")
    assert (job["jobStatus"], line["inputFile"], len(found(service))) == ("COMPLETED", "scan/deep.dcm", 1)
    message = "The emulator cannot store it: metadata is nested too deeply: expected at most 64 levels."
    assert line["exception"]["message"] == message


def test_a_file_whose_name_is_not_utf_8_is_no_object(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    shutil.copy(SHIPPED / "MR_small.dcm", bucket.root / "input" / "scan" / os.fsdecode(b"caf\xe9.dcm"))
    job = run(service)
    assert (job["jobStatus"], len(found(service))) == ("COMPLETED", 1)


def test_a_version_that_a_test_has_locked_is_not_written_over(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm", "scan/1.dcm", as_instance(1))
    run(service)
    (id,) = found(service)
    service.emulator.image_set(DATASTORE, id).append(
        image_set_state="LOCKED", is_primary=True, metadata=metadata(service, id)
    )
    bucket.put("CT_small.dcm", "more/2.dcm", as_instance(2))
    job = run(service, inputS3Uri="s3://input/more/")
    (line,) = bucket.read(job, "FAILURE/failure.ndjson")
    assert line["exception"]["message"] == f"The emulator cannot store it: image set {id} is LOCKED."
    assert service.client.get_image_set(datastoreId=DATASTORE, imageSetId=id)["imageSetState"] == "LOCKED"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_series_without_a_valid_uid_do_not_join(service: Service, bucket: Bucket) -> None:
    for number in (1, 2):
        bucket.put("CT_small.dcm", f"scan{number}/1.dcm", as_instance(number, SeriesInstanceUID=f"series-{number}"))
        run(service, inputS3Uri=f"s3://input/scan{number}/")
    assert [each["version"] for each in found(service).values()] == [1, 1]
    assert all("DICOMSeriesInstanceUID" not in each["DICOMTags"] for each in found(service).values())


def test_a_uri_with_a_nul_fails_the_job(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    job = run(service, outputS3Uri="s3://output/a\0b")
    assert job["jobStatus"] == "FAILED"
    assert job["message"].startswith("INVALID_REQUEST:  Output cannot be written - a b/")


def test_a_data_store_with_a_job_in_progress_cannot_be_deleted(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, transition_reads=None, transition_seconds=None))
    start(ours)
    conflict = ("ConflictException", f"Datastore {DATASTORE} is not empty.")
    assert refusal(ours.client.delete_datastore, datastoreId=DATASTORE) == conflict
    ours.finish()
    until(lambda: ours.client.list_dicom_import_jobs(datastoreId=DATASTORE, jobStatus="COMPLETED")["jobSummaries"])
    assert ours.client.delete_datastore(datastoreId=DATASTORE)["datastoreStatus"] == "DELETING"


def test_finishing_all_transitions_ends_a_job(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, transition_reads=None, transition_seconds=None))
    bucket.put("CT_small.dcm")
    id = start(ours)["jobId"]
    ours.finish()
    until(lambda: get(ours, id)["jobStatus"] == "COMPLETED")
    assert len(found(ours)) == 1


def test_one_step_of_the_clock_passes_both_steps_of_a_job(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, transition_reads=None, transition_seconds=1))
    ours.emulator.clock.freeze("2024-01-01T00:00:00Z")
    id = start(ours)["jobId"]
    assert get(ours, id)["jobStatus"] == "SUBMITTED"
    ours.emulator.clock.advance(60)
    until(lambda: get(ours, id)["jobStatus"] == "COMPLETED")


def test_a_clock_that_is_set_back_delays_no_job(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, transition_reads=None, transition_seconds=1))
    ours.emulator.clock.freeze("2024-01-01T00:00:00Z")
    id = start(ours)["jobId"]
    ours.emulator.clock.freeze("2014-01-01T00:00:00Z")
    ours.emulator.clock.advance(1)
    assert get(ours, id)["jobStatus"] == "IN_PROGRESS"
    ours.emulator.clock.advance(1)
    until(lambda: get(ours, id)["jobStatus"] == "COMPLETED")


def test_jobs_are_limited(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, max_versions=1, transition_seconds=None))
    start(ours)
    message = "The emulator's limit is exceeded: 2 versions, but max_versions is 1."
    assert refusal(start, ours) == ("ServiceQuotaExceededException", message)


def test_without_s3_a_job_fails_and_says_so() -> None:
    ours = Service(Emulator.from_seed(SEED, transition_seconds=None))
    job = run(ours)
    assert (job["jobStatus"], job["message"]) == (
        "FAILED",
        "INVALID_REQUEST:  The emulator has no S3 - see the setting s3.",
    )


def test_an_input_that_cannot_be_read_fails_the_job(service: Service) -> None:
    job = run(service, inputS3Uri="s3://nowhere/scan/")
    assert job["jobStatus"] == "FAILED"
    assert job["message"].startswith("INVALID_REQUEST:  Input cannot be read - there is no bucket nowhere in ")


def test_an_output_that_cannot_be_written_fails_the_job(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    (bucket.root / "output").write_text("a file is in the place of the bucket")
    job = run(service)
    assert job["jobStatus"] == "FAILED"
    assert job["message"].startswith("INVALID_REQUEST:  Output cannot be written - jobs/")


def test_a_key_that_leads_out_of_its_bucket_is_not_written(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    job = run(service, outputS3Uri="s3://output/../../escaped")
    assert (job["jobStatus"], (bucket.root.parent / "escaped").exists()) == ("FAILED", False)


def test_a_workflow_fault_fails_a_job_and_nothing_is_imported(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    service.emulator.faults.add(Fault.workflow("failed", "INVALID_REQUEST:  Not today."))
    job = run(service)
    assert (job["jobStatus"], job["message"], found(service)) == ("FAILED", "INVALID_REQUEST:  Not today.", {})


def test_frames_beyond_the_limit_are_not_kept_while_a_job_reads(bucket: Bucket) -> None:
    for number in range(3):
        bucket.put("CT_small.dcm", f"scan/{number}.dcm", as_instance(number))
    (frame,) = read_instance((SHIPPED / "CT_small.dcm").read_bytes()).frames.values()
    service = Service(
        Emulator.from_seed(SEED, s3=bucket.root, max_metadata=3 * len(frame) - 1, transition_seconds=None)
    )
    job = run(service)
    reasons = {line["inputFile"]: line["exception"]["message"] for line in bucket.read(job, "FAILURE/failure.ndjson")}
    assert list(reasons) == ["scan/2.dcm"]
    assert reasons["scan/2.dcm"].startswith("The emulator's limit is exceeded: ")
    (image_set,) = found(service)
    assert found(service)[image_set]["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"] == 2


def test_a_limit_of_the_emulator_is_the_failure_of_its_files(bucket: Bucket) -> None:
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root, max_versions=2, transition_seconds=None))  # one for the job
    bucket.put("CT_small.dcm")
    bucket.put("MR_small.dcm")
    job = run(ours)
    (line,) = bucket.read(job, "FAILURE/failure.ndjson")
    assert line["exception"]["message"] == "The emulator's limit is exceeded: 3 versions, but max_versions is 2."
    assert len(found(ours)) == 1


@pytest.mark.parametrize("operation", ["get_dicom_import_job", "list_dicom_import_jobs", "start_dicom_import_job"])
def test_an_unknown_data_store_is_not_found(service: Service, operation: str) -> None:
    members: dict[str, Any] = {
        "get_dicom_import_job": {"jobId": "a"},
        "list_dicom_import_jobs": {},
        "start_dicom_import_job": {
            "dataAccessRoleArn": ROLE,
            "inputS3Uri": "s3://input/",
            "outputS3Uri": "s3://output/",
        },
    }[operation]
    call = getattr(service.client, operation)
    message = f"Datastore {UNKNOWN} was not found."
    assert refusal(call, datastoreId=UNKNOWN, **members) == ("ResourceNotFoundException", message)


def test_an_unknown_job_is_not_found(service: Service) -> None:
    message = f"Job {UNKNOWN} was not found in Datastore {DATASTORE}."
    assert refusal(get, service, UNKNOWN) == ("ResourceNotFoundException", message)


# Lists, tokens, threads.


def test_jobs_are_listed_newest_first_and_by_status(service: Service, bucket: Bucket) -> None:
    bucket.put("CT_small.dcm")
    service.emulator.clock.freeze("2024-01-01T00:00:00Z")
    first = run(service)
    service.emulator.clock.advance(1)
    second = run(service, inputS3Uri="s3://nowhere/")
    listed = service.client.list_dicom_import_jobs(datastoreId=DATASTORE)["jobSummaries"]
    assert [each["jobId"] for each in listed] == [second["jobId"], first["jobId"]]
    for summary, job in zip(listed, (second, first), strict=True):
        assert summary == {name: value for name, value in job.items() if not name.endswith("S3Uri")}
    assert listed[0]["message"].startswith("INVALID_REQUEST:")
    failed = service.client.list_dicom_import_jobs(datastoreId=DATASTORE, jobStatus="FAILED")["jobSummaries"]
    assert [each["jobId"] for each in failed] == [second["jobId"]]
    pages = service.client.get_paginator("list_dicom_import_jobs").paginate(
        datastoreId=DATASTORE, PaginationConfig={"PageSize": 1}
    )
    assert [len(page["jobSummaries"]) for page in pages] == [1, 1]


def test_the_same_token_starts_one_job(service: Service) -> None:
    first = start(service, clientToken="t")
    assert start(service, clientToken="t") == first
    assert refusal(start, service, clientToken="t", jobName="b")[0] == "ConflictException"
    assert len(service.client.list_dicom_import_jobs(datastoreId=DATASTORE)["jobSummaries"]) == 1


class SlowObjects:
    """Objects that can be read only once a test lets them."""

    def __init__(self, content: bytes) -> None:
        self.content, self.may_go_on = content, threading.Event()
        self.written: dict[str, bytes] = {}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": "1.dcm"}, {"Key": "folder/"}]}]

    def get_object(self, **_: str) -> dict[str, Any]:
        self.may_go_on.wait(60)
        return {"ContentLength": len(self.content), "Body": io.BytesIO(self.content)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803  # boto3's own names
        self.written[f"{Bucket}/{Key}"] = Body


def test_a_client_of_the_users_own_is_read_and_a_job_waits_for_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_WORK_SECONDS", 0.01)
    objects = SlowObjects((SHIPPED / "CT_small.dcm").read_bytes())
    ours = Service(Emulator.from_seed(SEED, s3=objects, transition_reads=None, transition_seconds=None))
    id = start(ours)["jobId"]
    for _ in range(2):
        ours.finish()
    assert get(ours, id)["jobStatus"] == "IN_PROGRESS"
    objects.may_go_on.set()
    until(lambda: get(ours, id)["jobStatus"] == "COMPLETED")
    assert [key.rpartition("/")[2] for key in objects.written] == ["success.ndjson", "job-output-manifest.json"]


def test_a_server_that_stops_ends_the_wait_for_a_job_and_not_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = SlowObjects((SHIPPED / "CT_small.dcm").read_bytes())
    ours = Service(Emulator.from_seed(SEED, s3=objects, transition_seconds=None))
    id = start(ours)["jobId"]
    get(ours, id)  # which sees SUBMITTED
    with ours.emulator.serve() as server, Client(server) as client:
        client.send(request("GET", f"/getDICOMImportJob/datastore/{DATASTORE}/job/{id}"))
        until(lambda: ours.emulator.calls[-1].attempts[-1].status is None)  # it waits
        server.stop()
    monkeypatch.setattr(pipeline, "MAX_WORK_SECONDS", 0.01)
    assert get(ours, id)["jobStatus"] == "IN_PROGRESS"
    objects.may_go_on.set()
    until(lambda: get(ours, id)["jobStatus"] == "COMPLETED")
    assert len(found(ours)) == 1


def test_a_folder_is_that_of_the_moment_when_the_emulator_was_made(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("CT_small.dcm")
    monkeypatch.chdir(tmp_path)
    ours = Service(Emulator.from_seed(SEED, s3=bucket.root.name, transition_seconds=None))
    monkeypatch.chdir("/")
    assert run(ours)["jobStatus"] == "COMPLETED"
    assert len(found(ours)) == 1


def find_thread(job_id: str) -> threading.Thread:
    return next(each for each in threading.enumerate() if each.name == f"import {job_id}")


def test_a_reset_drops_a_job_and_what_it_would_import() -> None:
    objects = SlowObjects((SHIPPED / "CT_small.dcm").read_bytes())
    ours = Service(Emulator.from_seed(SEED, s3=objects, transition_seconds=None))
    id = start(ours)["jobId"]
    thread = find_thread(id)
    ours.emulator.reset()
    objects.may_go_on.set()
    thread.join(HANG_SECONDS)
    assert (found(ours), objects.written) == ({}, {})
    assert refusal(get, ours, id)[0] == "ResourceNotFoundException"


def test_an_account_that_is_forgotten_drops_its_jobs() -> None:
    objects = SlowObjects((SHIPPED / "CT_small.dcm").read_bytes())
    ours = Service(Emulator.from_seed(SEED, s3=objects, transition_seconds=None))
    id = start(ours)["jobId"]
    thread = find_thread(id)
    ours.emulator.account().forget()
    objects.may_go_on.set()
    thread.join(HANG_SECONDS)
    assert objects.written == {}


def test_an_account_that_is_forgotten_gets_no_more_outputs() -> None:
    class Forgetting(SlowObjects):
        def put_object(self, **members: Any) -> None:
            super().put_object(**members)
            ours.emulator.account().forget()

    objects = Forgetting((SHIPPED / "CT_small.dcm").read_bytes())
    ours = Service(Emulator.from_seed(SEED, s3=objects, transition_seconds=None))
    id = start(ours)["jobId"]
    thread = find_thread(id)
    objects.may_go_on.set()
    thread.join(HANG_SECONDS)
    assert [key.rpartition("/")[2] for key in objects.written] == ["success.ndjson"]


def test_a_request_waits_once_for_all_jobs_that_it_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(seconds: float, *arguments: Any, **members: Any) -> Wait:
        waits.append(seconds)
        return Wait(seconds, *arguments, **members)

    monkeypatch.setattr(pipeline, "Wait", wait)
    monkeypatch.setattr(pipeline, "MAX_WORK_SECONDS", 0.2)
    objects = SlowObjects((SHIPPED / "CT_small.dcm").read_bytes())
    ours = Service(Emulator.from_seed(SEED, s3=objects, transition_seconds=None))
    for _ in range(3):
        start(ours)
    for _ in range(2):
        ours.client.list_dicom_import_jobs(datastoreId=DATASTORE)
    assert 0 <= waits[0] < 0.21  # what is left of 0.2 when the first wait begins
    assert waits[1:] == [0, 0]
    objects.may_go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("import "):
            thread.join(HANG_SECONDS)


def test_without_the_extra_a_job_fails_and_the_log_says_how_to_install_it(
    service: Service, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.put("CT_small.dcm")
    monkeypatch.setitem(sys.modules, "pydicom.errors", None)
    with caplog.at_level(logging.WARNING):
        job = run(service)
    assert job["message"] == "INVALID_REQUEST:  DICOM files cannot be read - the extra dicom is not installed."
    assert "pip install 'healthimaging-emulator[dicom]'" in caplog.text
    assert f"the import job {job['jobId']} failed: INVALID_REQUEST:  DICOM files cannot be read" in caplog.text


def test_a_bug_in_the_emulator_fails_the_job_and_is_logged(
    service: Service, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.put("CT_small.dcm")
    monkeypatch.setattr("healthimaging_emulator.healthimaging.imports.reader.read_instance", lambda _: 1 / 0)
    with caplog.at_level(logging.ERROR):
        job = run(service)
    assert job["message"] == "INTERNAL_ERROR:  The import failed in the emulator - its log has the reason."
    assert f"the import job {job['jobId']} failed" in caplog.text


def test_two_jobs_of_one_series_join(service: Service, bucket: Bucket) -> None:
    for number in range(8):
        bucket.put("CT_small.dcm", f"scan{number}/1.dcm", as_instance(number))
    ids = [start(service, inputS3Uri=f"s3://input/scan{number}/")["jobId"] for number in range(8)]
    for id in ids:
        until(lambda id=id: get(service, id)["jobStatus"] == "COMPLETED")  # type: ignore[misc]
    (summary,) = found(service).values()
    assert (summary["version"], summary["DICOMTags"]["DICOMNumberOfStudyRelatedInstances"]) == (8, 8)
