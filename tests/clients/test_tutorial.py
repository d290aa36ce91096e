"""AWS's tutorial from its first step to its last, by boto3, the AWS CLI and JavaScript, as installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import boto3
import pydicom
import pytest
from moto import mock_aws

from healthimaging_emulator import Emulator

from .conftest import PROGRAMS, Program

Clients = Callable[[str], Program]
CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"


def command(the: Clients, name: str) -> Program:
    program = the(name)
    if name == "aws-cli":
        return program._replace(
            command=["env", f"AWS={program.command[0]}", "bash", str(PROGRAMS / "tutorial_program.sh")]
        )
    ending = "mjs" if name == "javascript" else "py"
    return program._replace(command=[program.command[0], str(PROGRAMS / f"tutorial_program.{ending}")])


@pytest.mark.frames
@pytest.mark.parametrize("name", ["boto3", "aws-cli", "javascript"])
def test_every_step_has_its_result(the: Clients, name: str, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    shutil.copy(CT, tmp_path / "scans")
    with Emulator.from_seed({}, s3=tmp_path).serve() as server:
        endpoint = server.url if name == "javascript" else server.url.replace("//", "//emulator@")
        finished = command(the, name).run(endpoint)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {
        "created": "ACTIVE",
        "imported": "COMPLETED",
        "found": [1, 1, 1, 0],
        "patient": "1CT1",
        "frame": "image/jph",
        "versions": [["2", "UPDATED"], ["1", "COPIED"]],
        "deleted": "DELETED",
    }
    assert len(list((tmp_path / "results").rglob("job-output-manifest.json"))) == 1


def test_an_import_reads_and_writes_the_s3_of_moto_in_the_same_process() -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        for bucket in ("scans", "results"):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket="scans", Key="a/ct.dcm", Body=CT.read_bytes())
        client = Emulator.from_seed({"datastores": [{"datastoreId": "d" * 32}]}, s3=s3).client()
        job = client.start_dicom_import_job(
            datastoreId="d" * 32,
            dataAccessRoleArn="arn:aws:iam::123456789012:role/any",
            inputS3Uri="s3://scans/a/",
            outputS3Uri="s3://results/",
        )
        for _ in range(3):
            properties = client.get_dicom_import_job(datastoreId="d" * 32, jobId=job["jobId"])["jobProperties"]
        assert (properties["jobStatus"], properties.get("message", "")[:30]) == ("COMPLETED", "")
        written = s3.list_objects_v2(Bucket="results")["Contents"]
        assert [each["Key"].rpartition("/")[2] for each in written] == ["success.ndjson", "job-output-manifest.json"]
