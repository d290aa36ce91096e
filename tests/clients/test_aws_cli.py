"""The AWS CLI: its paging options, its output, its exit code, every operation."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.demo import DATASTORE, MANY, OTHER_DATASTORE, SAMPLE, UNKNOWN

from .conftest import DOCUMENT, HEAD, Program

Run = Callable[..., subprocess.CompletedProcess[str]]
Expected = dict[tuple[str, str], list[dict[str, Any]]]


@pytest.fixture
def aws(the: Callable[[str], Program], demo_server: Server) -> Run:
    def run(*options: str, image_set_id: str = MANY, datastore_id: str = DATASTORE) -> subprocess.CompletedProcess[str]:
        ids = ["--datastore-id", datastore_id, "--image-set-id", image_set_id]
        endpoint = ["--endpoint-url", make_endpoint(demo_server.url)]
        return the("aws-cli").run("list-image-set-versions", *ids, *endpoint, *options)

    return run


def page(finished: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert finished.returncode == 0, finished.stderr
    return dict(json.loads(finished.stdout))


def numbers(page: dict[str, Any]) -> list[int]:
    return [int(entry["versionId"]) for entry in page["imageSetPropertiesList"]]


@pytest.mark.parametrize(
    ("datastore", "image_set"),
    [(DATASTORE, MANY), (DATASTORE, SAMPLE), (OTHER_DATASTORE, "forced"), (OTHER_DATASTORE, "primary")],
)
def test_every_version_with_every_field(aws: Run, expected: Expected, datastore: str, image_set: str) -> None:
    image_set = image_set.ljust(32, "0")
    printed = page(aws(image_set_id=image_set, datastore_id=datastore))
    assert printed["imageSetPropertiesList"] == expected[datastore, image_set]


def test_page_size(aws: Run) -> None:
    assert numbers(page(aws("--page-size", "20"))) == list(range(137, 0, -1))


def test_max_items_and_starting_token(aws: Run) -> None:
    first = page(aws("--max-items", "30", "--page-size", "20"))
    second = page(aws("--max-items", "30", "--page-size", "20", "--starting-token", first["NextToken"]))
    assert numbers(first) + numbers(second) == list(range(137, 77, -1))


def test_no_paginate(aws: Run) -> None:
    first = page(aws("--no-paginate"))
    assert numbers(first) == list(range(137, 87, -1))
    rest = page(aws("--starting-token", first["nextToken"]))  # a token of ours, not one of the CLI's own
    assert numbers(rest) == list(range(87, 0, -1))
    second = page(aws("--no-paginate", "--next-token", first["nextToken"], "--max-results", "7"))
    assert numbers(second) == list(range(87, 80, -1))


@pytest.mark.parametrize(
    ("options", "ids", "error"),
    [
        ([], {"image_set_id": UNKNOWN}, "(ResourceNotFoundException)"),
        ([], {"datastore_id": UNKNOWN}, "(ResourceNotFoundException)"),
        (["--starting-token", "not-ours"], {}, "(ValidationException)"),
        (["--max-results", "51"], {}, "(ValidationException)"),
        ([], {"image_set_id": "UPPER"}, "(ValidationException)"),
    ],
)
def test_errors(aws: Run, options: list[str], ids: dict[str, str], error: str) -> None:
    finished = aws(*options, **ids)
    assert finished.returncode == 255  # of version 1; version 2 exits with 254
    assert finished.stdout == ""
    assert f"An error occurred {error} when calling the ListImageSetVersions operation: " in finished.stderr


def ask(the: Callable[[str], Program], server: Server, operation: str, *options: str) -> Any:
    """Call an operation about the sample."""
    ids = ["--datastore-id", DATASTORE, "--image-set-id", SAMPLE]
    return page(the("aws-cli").run(operation, *ids, "--endpoint-url", make_endpoint(server.url), *options))


def refusal(the: Callable[[str], Program], server: Server, operation: str, *options: str) -> str:
    ids = ["--datastore-id", DATASTORE, "--image-set-id", SAMPLE]
    finished = the("aws-cli").run(operation, *ids, "--endpoint-url", make_endpoint(server.url), *options)
    assert (finished.returncode, finished.stdout) == (255, "")
    return finished.stderr.strip()


def test_the_properties_of_an_image_set(the: Callable[[str], Program], demo_server: Server) -> None:
    assert ask(the, demo_server, "get-image-set", "--version-id", "3") == {
        "datastoreId": DATASTORE,
        "imageSetId": SAMPLE,
        "versionId": "3",
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "UPDATED",
        "createdAt": 1680027126.436,
        "updatedAt": 1680029163.325,
        "imageSetArn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}/imageset/{SAMPLE}",
        "storageTier": "FREQUENT_ACCESS",
    }


def test_the_metadata_of_an_image_set_comes_in_gzip(
    the: Callable[[str], Program], stepwise: Server, tmp_path: Path
) -> None:
    file = tmp_path / "metadata.json.gz"
    assert ask(the, stepwise, "get-image-set-metadata", str(file)) == {
        "contentType": "application/json",
        "contentEncoding": "gzip",
    }
    assert json.loads(gzip.decompress(file.read_bytes())) == HEAD | DOCUMENT


def test_an_update_is_locked_until_it_has_become_a_second_version(
    the: Callable[[str], Program], stepwise: Server
) -> None:
    """The refused update is the first request that sees LOCKED, the first look at the image set the second."""
    attributes = json.dumps({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Roe^Ann"}}})
    updates = json.dumps({"DICOMUpdates": {"updatableAttributes": attributes}})

    def update(latest: str) -> tuple[str, ...]:
        options = ("--latest-version-id", latest, "--update-image-set-metadata-updates", updates)
        return ("update-image-set-metadata", *options)

    begun = ask(the, stepwise, *update("1"))
    assert (begun["latestVersionId"], begun["imageSetState"]) == ("2", "LOCKED")
    failed = "calling the UpdateImageSetMetadata operation"
    assert refusal(the, stepwise, *update("2")) == (
        f"An error occurred (ConflictException) when {failed}: ImageSet {SAMPLE} is LOCKED."
    )
    assert [ask(the, stepwise, "get-image-set")["imageSetState"] for _ in range(2)] == ["LOCKED", "ACTIVE"]
    assert numbers(ask(the, stepwise, "list-image-set-versions")) == [2, 1]
    assert refusal(the, stepwise, *update("1")) == (
        f"An error occurred (ResourceNotFoundException) when {failed}: "
        "Requested version(s) of ImageSet(s) is not the latest."
    )


def test_a_fault_answers_for_an_operation_that_is_not_emulated(
    the: Callable[[str], Program], emulator: Emulator, server: Server
) -> None:
    properties = {"datastoreId": DATASTORE, "datastoreName": "mine", "datastoreStatus": "ACTIVE"}
    emulator.faults.add(Fault.respond({"datastoreProperties": properties}, operation="GetDatastore"))
    endpoint = ["--endpoint-url", make_endpoint(server.url)]
    answer = page(the("aws-cli").run("get-datastore", "--datastore-id", DATASTORE, *endpoint))
    assert answer == {"datastoreProperties": properties}
