"""Imports whose outcome a seed gives: no file is read."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError
from healthimaging_emulator.seeds.loader import load_seed
from tests.raw import until

from .conftest import Service
from .jobs import DATASTORE, Bucket, found, metadata, run

FRAME = "f" * 32
DOCUMENT = {
    "Patient": {"DICOM": {"PatientID": "P-1", "PatientName": "TEST^ONE"}},
    "Study": {
        "DICOM": {"StudyInstanceUID": "1.2", "StudyDate": "20240101"},
        "Series": {
            "1.2.3": {
                "DICOM": {"Modality": "CT", "SeriesNumber": "1"},
                "Instances": {
                    "1.2.3.1": {"DICOM": {"InstanceNumber": "1"}, "ImageFrames": [{"ID": FRAME}]},
                    "1.2.3.2": {"DICOM": {"InstanceNumber": "2"}},
                },
            },
        },
    },
}


def make_seed(*imports: dict[str, Any]) -> dict[str, Any]:
    return {"datastores": [{"datastoreId": DATASTORE}], "imports": list(imports)}


def make_service(*imports: dict[str, Any], **settings: Any) -> Service:
    return Service(Emulator.from_seed(make_seed(*imports), transition_seconds=None, **settings))


def scan(**members: Any) -> dict[str, Any]:
    return {"inputS3Uri": "s3://input/scan/"} | members


def test_a_job_yields_the_image_sets_and_failures_of_the_seed(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path)
    frames = {FRAME: {"base64": "AAEC"}}
    failed = {"scan/notes.txt": "DICOM attributes does not exist"}
    given = scan(imageSets=[{"metadata": DOCUMENT, "frames": frames}], failedFiles=failed)
    service = make_service(given, s3=bucket.root)
    job = run(service)
    assert job["jobStatus"] == "COMPLETED"
    ((id, summary),) = found(service).items()
    assert summary["DICOMTags"]["DICOMPatientName"] == "TEST^ONE"
    imported = metadata(service, id)
    instances = imported["Study"]["Series"]["1.2.3"]["Instances"]
    assert [each["DICOM"]["InstanceNumber"] for each in instances.values()] == ["1", "2"]
    frame = service.client.get_image_frame(
        datastoreId=DATASTORE, imageSetId=id, imageFrameInformation={"imageFrameId": FRAME}
    )
    assert frame["imageFrameBlob"].read() == b"\0\1\2"
    lines = bucket.read(job, "SUCCESS/success.ndjson")
    assert [line["inputFile"] for line in lines] == ["scan/1.2.3.1.dcm", "scan/1.2.3.2.dcm"]
    assert {line["importResponse"]["imageSetId"] for line in lines} == {id}
    assert bucket.read(job, "FAILURE/failure.ndjson") == [
        {
            "inputFile": "scan/notes.txt",
            "exception": {"exceptionType": "ValidationException", "message": "DICOM attributes does not exist"},
        }
    ]
    summary = bucket.read(job, "job-output-manifest.json")[0]["jobSummary"]
    assert [summary[f"numberOf{name}"] for name in ("ScannedFiles", "ImportedFiles", "GeneratedImageSets")] == [3, 2, 1]


def test_a_job_can_fail() -> None:
    service = make_service(scan(failure="INVALID_REQUEST:  Access to the bucket is denied."))
    job = run(service)
    assert (job["jobStatus"], job["message"]) == ("FAILED", "INVALID_REQUEST:  Access to the bucket is denied.")
    assert found(service) == {}


def test_without_s3_no_outputs_are_written_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    service = make_service(scan(imageSets=[{}]))
    job = run(service)
    assert job["jobStatus"] == "COMPLETED"
    assert f"import job {job['jobId']}: no outputs are written, without the setting s3" in caplog.messages


@pytest.mark.parametrize(
    ("given", "asked"),
    [("s3://input/scan", "s3://input/scan/"), ("s3://input", "s3://input/"), ("s3://a.b/c", "s3://a.b/c")],
)
def test_a_slash_at_the_end_of_the_location_does_not_count(given: str, asked: str) -> None:
    service = make_service({"inputS3Uri": given, "imageSets": [{}]})
    assert run(service, inputS3Uri=asked)["jobStatus"] == "COMPLETED"
    assert len(found(service)) == 1


def test_another_location_is_read_from_s3() -> None:
    service = make_service(scan(imageSets=[{}]))
    job = run(service, inputS3Uri="s3://input/scan/other/")
    assert job["message"] == "INVALID_REQUEST:  The emulator has no S3 - see the setting s3."


def test_ids_that_are_left_out_are_made_and_stay_the_same() -> None:
    service = make_service(scan(imageSets=[{"metadata": {"Patient": {"DICOM": {"PatientID": "P-1"}}}}, {}]))
    run(service)
    assert len(found(service)) == 2
    run(service)  # joins both, whose UIDs are the same
    assert sorted(each["version"] for each in found(service).values()) == [2, 2]


def test_documents_of_one_series_are_one_image_set() -> None:
    further = json.loads(json.dumps(DOCUMENT).replace("1.2.3.1", "1.2.3.7").replace("1.2.3.2", "1.2.3.8"))
    service = make_service(scan(imageSets=[{"metadata": DOCUMENT}, {"metadata": further}]))
    run(service)
    (id,) = found(service)
    assert len(metadata(service, id)["Study"]["Series"]["1.2.3"]["Instances"]) == 4


def test_image_sets_can_be_generated() -> None:
    service = make_service(scan(generate={"imageSets": 30, "patients": 3}))
    run(service)
    tags = [each["DICOMTags"] for each in found(service).values()]
    assert (len(tags), len({each["DICOMPatientId"] for each in tags})) == (30, 3)


def test_some_of_the_files_can_fail_by_chance(tmp_path: Path) -> None:
    bucket = Bucket(tmp_path)
    service = make_service(scan(generate={"imageSets": 50}), s3=bucket.root)
    service.emulator.faults.add(Fault.workflow(failed_files=0.2, seed=3))
    first, second = run(service), run(service)
    failed = [[line["inputFile"] for line in bucket.read(job, "FAILURE/failure.ndjson")] for job in (first, second)]
    summary = bucket.read(first, "job-output-manifest.json")[0]["jobSummary"]
    assert summary["numberOfFilesWithServerError"] == len(failed[0]) == 15
    assert summary["numberOfFilesWithCustomerError"] == 0
    assert summary["numberOfImportedFiles"] == 100 - len(failed[0])
    assert failed[0] != failed[1]  # so that importing again helps
    assert bucket.read(first, "FAILURE/failure.ndjson")[0]["exception"] == {
        "exceptionType": "InternalServerException",
        "message": "The file could not be imported.",
    }
    again = make_service(scan(generate={"imageSets": 50}), s3=bucket.root)
    again.emulator.faults.add(Fault.workflow(failed_files=0.2, seed=3))
    assert [line["inputFile"] for line in bucket.read(run(again), "FAILURE/failure.ndjson")] == failed[0]


def test_a_job_can_stay_in_progress() -> None:
    service = make_service(scan(imageSets=[{}]))
    service.emulator.faults.add(Fault.workflow(reads=None, seconds=None))
    job = service.client.start_dicom_import_job(
        datastoreId=DATASTORE,
        dataAccessRoleArn="arn:aws:iam::111122223333:role/import",
        inputS3Uri="s3://input/scan",
        outputS3Uri="s3://output/",
    )["jobId"]

    def status() -> str:
        properties = service.client.get_dicom_import_job(datastoreId=DATASTORE, jobId=job)["jobProperties"]
        return str(properties["jobStatus"])

    assert [status() for _ in range(10)] == ["SUBMITTED"] + ["IN_PROGRESS"] * 9
    service.emulator.finish_transitions()
    until(lambda: status() == "COMPLETED")  # when its thread has done its work


# The seed.


def test_an_exported_seed_has_the_imports() -> None:
    given = scan(imageSets=[{"metadata": DOCUMENT, "frames": {FRAME: {"base64": "AAEC"}}}], failedFiles={"a": "No."})
    emulator = Emulator.from_seed(make_seed(given, {"inputS3Uri": "s3://failing", "failure": "No."}))
    again = load_seed(json.loads(emulator.account().export_seed()))
    assert again.baseline.imports == emulator.seed.baseline.imports
    assert [each.input_s3_uri for each in again.baseline.imports] == ["s3://input/scan/", "s3://failing"]


def test_imports_can_be_added_over_http_until_a_reset() -> None:
    service = make_service(scan(imageSets=[{}]))
    app = service.emulator.app.test_client()
    added = {"imports": [{"inputS3Uri": "s3://more/", "imageSets": [{}, {}]}]}
    assert app.post("/_emulator/seed", json=added).status_code == 204
    refused = app.post("/_emulator/seed", json=added)
    assert (refused.status_code, refused.json) == (
        409,
        {"error": {"code": "Conflict", "message": "there is an import of s3://more/ already"}},
    )
    run(service, inputS3Uri="s3://more")
    assert len(found(service)) == 2
    service.emulator.reset("changes")
    assert run(service, inputS3Uri="s3://more")["jobStatus"] == "FAILED"
    assert run(service)["jobStatus"] == "COMPLETED"


MISTAKES = [
    (scan(failure="No.", imageSets=[{}]), "$.imports[0].failure: a job that fails imports nothing"),
    (scan(imageSets=[{"metadata": "nowhere.json"}]), "$.imports[0].imageSets[0].metadata: "),
    (scan(imageSets=[{"metadata": {"Study": 1}}]), "$.imports[0].imageSets[0].metadata.Study: expected an object"),
    (
        scan(imageSets=[{"frames": {FRAME: {"base64": "AA=="}}}]),
        f"$.imports[0].imageSets[0].frames.{FRAME}: its metadata does not name the frame {FRAME}",
    ),
    (
        scan(imageSets=[{"metadata": DOCUMENT}, {"metadata": DOCUMENT}]),
        "$.imports[0].imageSets: the instance 1.2.3.1 is given twice",
    ),
    (scan(input=1), "$.imports[0]: Object contains unknown field `input`"),
    ({"inputS3Uri": "http://a"}, "$.imports[0].inputS3Uri: "),
]


@pytest.mark.parametrize(("given", "mistake"), MISTAKES)
def test_a_mistake_is_refused_with_its_path(given: dict[str, Any], mistake: str) -> None:
    with pytest.raises(InvalidError) as raised:
        load_seed(make_seed(given))
    assert str(raised.value).removeprefix("document: ").startswith(mistake)


def test_one_location_has_one_outcome() -> None:
    with pytest.raises(InvalidError) as raised:
        load_seed(make_seed(scan()), make_seed({"inputS3Uri": "s3://input/scan"}))
    mistake = "document: $.imports[0].inputS3Uri: an import of s3://input/scan is in document already"
    assert str(raised.value) == mistake


def test_imports_count_for_the_limits_before_anything_is_made() -> None:
    emulator = Emulator.from_seed(make_seed(), max_versions=10, max_metadata=100)
    app = emulator.app.test_client()
    for given in (
        scan(generate={"imageSets": 1, "instances": 11}),
        scan(generate={"imageSets": 1_000_000, "instances": 10_000}),
        scan(failedFiles={str(number): "No." for number in range(11)}),
        scan(imageSets=[{"metadata": DOCUMENT, "frames": {FRAME: {"base64": "A" * 400}}}]),
    ):
        for method in (app.put, app.post):
            refused = method("/_emulator/seed", json=make_seed(given))
            assert (refused.status_code, refused.json and refused.json["error"]["code"]) == (400, "LimitExceeded")


@pytest.mark.parametrize("frames", [[1], [{"ID": {}}], [{"ID": []}], [None]])
def test_entries_that_are_no_frames_are_kept_as_they_are(frames: list[Any]) -> None:
    series = {"Series": {"1": {"Instances": {"2": {"ImageFrames": frames}}}}}
    service = make_service(scan(imageSets=[{"metadata": {"Study": series}}]))
    run(service)
    (id,) = found(service)
    assert metadata(service, id)["Study"]["Series"]["1"]["Instances"]["2"]["ImageFrames"] == frames


def test_a_time_that_nothing_can_have_is_refused() -> None:
    with pytest.raises(InvalidError, match=r"\$\.imports\[0\]\.generate: "):
        load_seed(make_seed(scan(generate={"imageSets": 1, "createdAt": 1e18})))


def test_uids_that_a_document_does_not_have_are_made_and_are_the_same_in_every_run() -> None:
    bare = {"Patient": {"DICOM": {"PatientID": "P-1"}}}
    documents = []
    for _ in range(2):
        service = make_service(scan(imageSets=[{"metadata": bare}]))
        run(service)
        (id,) = found(service)
        documents.append(metadata(service, id)["Study"])
    assert documents[0] == documents[1]
    ((series_uid, series),) = documents[0]["Series"].items()
    ((uid, instance),) = series["Instances"].items()
    uids = [documents[0]["DICOM"]["StudyInstanceUID"], series_uid, uid]
    assert len(set(uids)) == 3
    assert all(each.startswith("2.25.") for each in uids)
    assert (instance["DICOMVRs"], instance["ImageFrames"]) == ({}, [])
