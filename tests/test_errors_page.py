"""Errors and their cure: each message of the page is provoked here, and must be as the page shows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import boto3
import pytest

from healthimaging_emulator import Emulator, Fault, RemoteAccount
from healthimaging_emulator.cli.save import open_saved
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.botocore_patch import forbid_aws

from .clients.conftest import HANG_SECONDS, installed, program
from .conftest import ROOT
from .demo import DATASTORE, SAMPLE
from .plugin.conftest import WITHOUT
from .raw import reserve_port

IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
REGION = {"region_name": "us-east-1"}
OPTIONS = {**REGION, "aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
UPDATE = {"DICOMUpdates": {"updatableAttributes": json.dumps({"Patient": {"DICOM": {"PatientName": "A"}}}).encode()}}

PAGE = (ROOT / "docs" / "errors.md").read_text()
ROWS = [row.split(" | ")[0] for row in re.findall(r"^\| (?!you see|---)(.*)$", PAGE, re.MULTILINE)]
MESSAGES = [re.findall("`([^`]+)`", row)[0] for row in ROWS if row.startswith("`")]

PROVOCATIONS: dict[str, Callable[[Server], str]] = {}
"""What provokes a message, by the beginning of the message; it returns the text that a user sees."""


def provokes(beginning: str) -> Callable[[Callable[[Server], Any]], Callable[[Server], Any]]:
    """Register a provocation: it returns the text, or raises the error that has it."""

    def register(provoke: Callable[[Server], Any]) -> Callable[[Server], Any]:
        def run(server: Server) -> str:
            try:
                return str(provoke(server))
            except Exception as error:  # any, as a user sees it
                return str(error)

        PROVOCATIONS[beginning] = run
        return provoke

    return register


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_is_as_the_page_shows_it(message: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (provoke,) = (each for beginning, each in PROVOCATIONS.items() if message.startswith(beginning))
    expected = re.escape(message).replace(r"\.\.\.", ".*")
    assert re.search(expected, provoke(server)), message


def test_every_provocation_is_used() -> None:
    unused = [each for each in PROVOCATIONS if not any(message.startswith(each) for message in MESSAGES)]
    assert unused == []


def test_only_a_silence_has_no_message() -> None:
    assert [row for row in ROWS if not row.startswith("`")] == ["no error at all, but a list that is too short"]


def make_client(endpoint: str, **options: str) -> Any:
    return boto3.client("medical-imaging", endpoint_url=endpoint, **(options or OPTIONS))


# Clients.


@provokes("Could not connect")
def _(server: Server) -> None:
    make_client(server.url).get_image_set(**IDS)


@provokes("getaddrinfo ENOTFOUND")
def _(server: Server) -> str:
    code = (
        'import { MedicalImagingClient, GetImageSetCommand } from "@aws-sdk/client-medical-imaging";'
        f'const client = new MedicalImagingClient({{ endpoint: "{server.url}", region: "us-east-1", maxAttempts: 1,'
        ' credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" } });'
        f"await client.send(new GetImageSetCommand({json.dumps(IDS)}));"
    )
    program("javascript")
    return run_command("node", "--input-type", "module", "--eval", code, folder=str(installed("javascript")))


@provokes("You must specify")
def _(server: Server) -> None:
    make_client(server.url, aws_access_key_id="emulator", aws_secret_access_key="emulator")


@provokes("Unable to locate")
def _(server: Server) -> None:
    make_client(server.url, **REGION).list_datastores()


@provokes("[SSL")
def _(server: Server) -> None:
    make_client(server.url.replace("http:", "https:")).list_datastores()


@provokes("Unable to determine")
def _(server: Server) -> str:
    return ask(server, "/nothing")


# Tests with the plugin.


@provokes("a request of medical-imaging")
def _(_: Server) -> None:
    with forbid_aws(lambda: "no fixture"):
        boto3.client("medical-imaging", **OPTIONS).list_datastores()


@provokes("fault ... of account")
def _(_: Server) -> str:
    return run_test("""
        import boto3, pytest
        from healthimaging_emulator import Fault
        @pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", page=2)])
        def test_it(healthimaging):
            boto3.client("medical-imaging").list_datastores()
    """)


@provokes("Account ... is that of")
def _(server: Server) -> None:
    account = RemoteAccount(server.url, "900000000001")
    account.open("test_it")
    account.forget()
    key = {**OPTIONS, "aws_access_key_id": account.id}
    make_client(server.url.replace("//", "//emulator@"), **key).list_datastores()


@provokes("Account ... is a test account")
def _(server: Server) -> None:
    key = {**OPTIONS, "aws_access_key_id": "900000000002"}
    make_client(server.url.replace("//", "//emulator@"), **key).list_datastores()


# Answers of the service.


@provokes("ImageSet ... is LOCKED")
def _(_: Server) -> None:
    client = Emulator.from_seed(transition_seconds=None).client()
    client.update_image_set_metadata(**IDS, latestVersionId="4", updateImageSetMetadataUpdates=UPDATE)
    client.delete_image_set(**IDS)


@provokes("Requested version")
def _(_: Server) -> None:
    client = Emulator.from_seed().client()
    client.update_image_set_metadata(**IDS, latestVersionId="3", updateImageSetMetadataUpdates=UPDATE)


@provokes("Datastore ... was not found")
def _(_: Server) -> None:
    Emulator.from_seed().client().get_datastore(datastoreId="0" * 32)


@provokes("Invalid nextToken")
def _(_: Server) -> None:
    token = Emulator.from_seed(token_key="one").client().list_datastores(maxResults=1)["nextToken"]
    Emulator.from_seed(token_key="other").client().list_datastores(nextToken=token)


@provokes("INVALID_REQUEST:  The emulator has no S3")
def _(_: Server) -> str:
    client = Emulator.from_seed().client()
    job = client.start_dicom_import_job(
        datastoreId=DATASTORE,
        dataAccessRoleArn="arn:aws:iam::123456789012:role/any",
        inputS3Uri="s3://scans/",
        outputS3Uri="s3://results/",
    )
    while True:
        properties = client.get_dicom_import_job(datastoreId=DATASTORE, jobId=job["jobId"])["jobProperties"]
        if properties["jobStatus"] == "FAILED":
            return str(properties["message"])


# Control API.


@provokes("host ... is not loopback")
def _(server: Server) -> str:
    return ask(server, "/_emulator/faults", Host="emulator:4580")


@provokes("origin ... is not allowed")
def _(server: Server) -> str:
    return ask(server, "/_emulator/faults", Origin="http://localhost:3000")


@provokes("the body must be JSON")
def _(server: Server) -> str:
    return ask(server, "/_emulator/faults", method="POST", body="{}")


@provokes("the header x-emulator-token")
def _(_: Server) -> str:
    with Emulator.from_seed(control_token="secret").serve() as server:
        return ask(server, "/_emulator/faults")


@provokes("cannot reach")
def _(_: Server) -> None:
    with reserve_port() as port:
        RemoteAccount(f"http://127.0.0.1:{port}").reset()


# Settings, seeds and faults.


@provokes("the port is in use")
def _(server: Server) -> str:
    return run_command("healthimaging-emulator", "serve", "--port", str(server.port))


@provokes("cannot save to")
def _(_: Server) -> str:
    with TemporaryDirectory() as folder:
        file = str(Path(folder, "state.json"))
        with open_saved(file):  # as an emulator that saves to it
            return run_command("healthimaging-emulator", "serve", "--port", "0", "--save", file)


@provokes("warning: no option has")
def _(_: Server) -> str:
    return run_command("healthimaging-emulator", "exec", "--", "true", HEALTHIMAGING_EMULATOR_PAGESIZE="10")


@provokes("no setting")
def _(_: Server) -> None:
    Emulator.from_seed(page_sise=10)  # type: ignore[call-arg]  # misspelt on purpose


@provokes("boto3 is needed")
def _(_: Server) -> str:
    code = "from healthimaging_emulator import Emulator; Emulator.from_seed().client()"
    blocked = f"import sys; sys.modules['boto3'] = sys.modules['botocore'] = None; {code}"
    return run_command(sys.executable, "-c", blocked)


@provokes("can never do anything")
def _(_: Server) -> None:
    Emulator.from_seed().faults.add(Fault.pagination("cycle", operation="GetDatastore"))


# Tools.


def ask(server: Server, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> str:
    connection = HTTPConnection(server.host, server.port, timeout=HANG_SECONDS)
    connection.request(method, path, body, headers)
    text = connection.getresponse().read().decode()
    connection.close()
    return str(json.loads(text))


def run_command(*command: str, folder: str | None = None, **variables: str) -> str:
    """Run a command of this environment, and return all that it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    finished = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    return finished.stdout + finished.stderr


def run_test(source: str) -> str:
    """Run a test file in a process of its own, and return its report."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "test_it.py").write_text(dedent(source))
        return run_command(sys.executable, "-m", "pytest", *WITHOUT, folder=folder)
