"""Quotas of AWS, which a setting switches on, and tombstones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.settings import QUOTAS, Settings
from tests.raw import until

from .conftest import Service, refusal
from .jobs import DATASTORE, Bucket, found, get, metadata, run, start

ONE, TWO = "1" * 32, "2" * 32


def make_document(series: str, frames: int = 0) -> dict[str, Any]:
    entries = [{"ID": f"{number:032}"} for number in range(frames)]
    instances = {f"{series}.1": {"DICOM": {"SOPInstanceUID": f"{series}.1"}, "ImageFrames": entries}}
    described = {"DICOM": {"SeriesInstanceUID": series}, "Instances": instances}
    return {"Patient": {"DICOM": {"PatientSex": "F"}}, "Study": {"DICOM": {}, "Series": {series: described}}}


def make_service(*quotas: str, **settings: Any) -> Service:
    image_sets = [
        {"imageSetId": id, "metadata": make_document(series, 3), "generate": {"versions": 1}}
        for id, series in ((ONE, "1.1"), (TWO, "1.2"))
    ]
    seed = {"datastores": [{"datastoreId": DATASTORE, "imageSets": image_sets}]}
    return Service(Emulator.from_seed(seed, quotas=quotas, transition_reads=None, transition_seconds=None, **settings))


def update(service: Service, id: str = ONE, size: int = 0) -> Any:
    changes = json.dumps({"Patient": {"DICOM": {"PatientSex": "M"}}}).ljust(size).encode()
    return service.client.update_image_set_metadata(
        datastoreId=DATASTORE,
        imageSetId=id,
        latestVersionId="1",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": changes}},
    )


def copy(service: Service, id: str = ONE) -> Any:
    return service.client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=id, copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}}
    )


def delete(service: Service, id: str = ONE) -> Any:
    return service.client.delete_image_set(datastoreId=DATASTORE, imageSetId=id)


def create(service: Service) -> Any:
    return service.client.create_datastore(datastoreName="more")


QUOTA = "ServiceQuotaExceededException"


def exceeded(name: str, code: str = QUOTA) -> tuple[str, str]:
    return code, f"The quota of {name} is exceeded."


def test_without_the_setting_there_are_none() -> None:
    service = make_service()
    for _ in range(QUOTAS["datastores"] + 1):
        create(service)
    update(service, size=QUOTAS["update-bytes"] + 1)


@pytest.mark.parametrize("quotas", [["aws", "copies=2"], ["copies=2", "AWS"]])
def test_aws_stands_for_all_and_a_number_of_ones_own_wins(quotas: list[str]) -> None:
    settings = Settings(quotas=quotas)
    assert {name: settings.quota(name) for name in QUOTAS} == QUOTAS | {"copies": 2}
    assert Settings(quotas=["copies=2"]).quota("updates") is None


def test_data_stores_that_are_not_deleted_are_counted() -> None:
    service = make_service("datastores=2")
    first = create(service)["datastoreId"]
    assert refusal(lambda: create(service)) == exceeded("datastores")
    service.emulator.finish_transitions()
    service.client.delete_datastore(datastoreId=first)
    service.emulator.finish_transitions()
    create(service)


def test_import_jobs_under_way_are_counted() -> None:
    service = make_service("import-jobs=1")
    job = start(service)["jobId"]
    assert refusal(lambda: start(service)) == exceeded("import jobs")
    service.emulator.finish_transitions()
    until(lambda: get(service, job)["jobStatus"] == "FAILED")  # when its thread has found no S3
    start(service)


@pytest.mark.parametrize(
    ("quota", "write", "expected"),
    [
        ("updates", update, exceeded("updates")),
        ("copies", copy, exceeded("copies")),
        ("deletions", delete, exceeded("deletions", "ThrottlingException")),
    ],
)
def test_operations_under_way_are_counted_for_a_data_store(quota: str, write: Any, expected: Any) -> None:
    service = make_service(f"{quota}=1")
    write(service)
    assert refusal(lambda: write(service, TWO)) == expected
    service.emulator.finish_transitions()
    write(service, TWO)


def test_a_quota_comes_after_all_other_errors() -> None:
    service = make_service("updates=0", "copies=0", "deletions=0")
    assert refusal(lambda: update(service, "9" * 32))[0] == "ResourceNotFoundException"
    assert refusal(lambda: copy(service, "9" * 32))[0] == "ResourceNotFoundException"
    assert refusal(lambda: delete(service, "9" * 32))[0] == "ResourceNotFoundException"
    service.emulator.image_set(DATASTORE, ONE).append(image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    assert refusal(lambda: update(service))[0] == "ConflictException"


def test_the_size_of_an_update_is_limited() -> None:
    service = make_service("aws")
    assert refusal(lambda: update(service, size=QUOTAS["update-bytes"] + 1)) == exceeded("update bytes")
    update(service, size=QUOTAS["update-bytes"])


def test_the_frames_of_a_copy_are_limited() -> None:
    assert refusal(lambda: copy(make_service("copy-frames=2"))) == exceeded("copy frames")
    copy(make_service("copy-frames=3"))


def test_frames_that_the_destination_has_are_not_copied() -> None:
    service = make_service("copy-frames=0")
    information = {
        "sourceImageSet": {"latestVersionId": "1"},
        "destinationImageSet": {"imageSetId": TWO, "latestVersionId": "1"},
    }
    service.client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=ONE, copyImageSetInformation=information, force=True
    )


def test_metadata_that_would_be_too_large_fails_the_write() -> None:
    service = make_service("metadata-bytes=10")
    update(service)
    copied = copy(service, TWO)["destinationImageSetProperties"]["imageSetId"]
    service.emulator.finish_transitions()
    for id, status in ((ONE, "UPDATE_FAILED"), (copied, "COPY_FAILED")):
        answer = service.client.get_image_set(datastoreId=DATASTORE, imageSetId=id)
        assert (answer["imageSetWorkflowStatus"], answer["message"]) == (
            status,
            "INVALID_REQUEST:  Metadata is larger than its quota.",
        )


# Imports.


def make_importer(tmp_path: Path, **settings: Any) -> tuple[Service, Bucket]:
    bucket = Bucket(tmp_path)
    imports = [{"inputS3Uri": "s3://input/scan", "imageSets": [{"metadata": make_document("1.1")}, {}]}]
    seed = {"datastores": [{"datastoreId": DATASTORE}], "imports": imports}
    return Service(Emulator.from_seed(seed, s3=bucket.root, transition_seconds=None, **settings)), bucket


def failures(bucket: Bucket, job: dict[str, Any]) -> dict[str, tuple[str, str]]:
    lines = bucket.read(job, "FAILURE/failure.ndjson")
    return {line["inputFile"]: (line["exception"]["exceptionType"], line["exception"]["message"]) for line in lines}


def test_the_files_of_a_job_are_limited(tmp_path: Path) -> None:
    service, _ = make_importer(tmp_path, quotas=["import-files=1"])
    job = run(service)
    assert (job["jobStatus"], job["message"]) == ("FAILED", "INVALID_REQUEST:  The job has more than 1 files.")
    assert found(service) == {}


def test_files_whose_metadata_would_be_too_large_fail(tmp_path: Path) -> None:
    service, bucket = make_importer(tmp_path, quotas=["metadata-bytes=10"])
    job = run(service)
    assert job["jobStatus"] == "COMPLETED"
    assert set(failures(bucket, job).values()) == {
        ("ValidationException", "INVALID_REQUEST:  Metadata is larger than its quota.")
    }
    assert found(service) == {}


@pytest.mark.parametrize("tombstones", [True, False])
def test_a_deleted_instance_is_not_imported_again_with_tombstones(tmp_path: Path, tombstones: bool) -> None:
    service, bucket = make_importer(tmp_path, tombstones=tombstones)
    run(service)
    deleted = next(id for id in found(service) if "1.1" in metadata(service, id)["Study"]["Series"])
    delete(service, deleted)
    service.emulator.finish_transitions()
    job = run(service)
    assert job["jobStatus"] == "COMPLETED"
    refused = {
        "scan/1.1.1.dcm": ("CreateImageSetVersionsException", "The image set of this instance was deleted."),
    }
    assert failures(bucket, job) == (refused if tombstones else {})
    summary = bucket.read(job, "job-output-manifest.json")[0]["jobSummary"]
    assert summary["numberOfFilesWithCustomerError"] == len(failures(bucket, job))
    assert len(found(service)) == (1 if tombstones else 2)


def test_an_instance_whose_deletion_is_under_way_is_not_imported_again(tmp_path: Path) -> None:
    service, bucket = make_importer(tmp_path, tombstones=True)
    run(service)
    for id in found(service):
        delete(service, id)
    assert len(failures(bucket, run(service))) == 2
