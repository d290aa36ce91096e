"""The AWS CLI: its paging options, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports import environment
from tests.demo import DATASTORE, MANY, OTHER_DATASTORE, SAMPLE, UNKNOWN

from .conftest import Program

Run = Callable[..., subprocess.CompletedProcess[str]]
Expected = dict[tuple[str, str], list[dict[str, Any]]]


@pytest.fixture
def aws(the: Callable[[str], Program], demo_server: Server) -> Run:
    def run(*options: str, image_set_id: str = MANY, datastore_id: str = DATASTORE) -> subprocess.CompletedProcess[str]:
        ids = ["--datastore-id", datastore_id, "--image-set-id", image_set_id]
        endpoint = ["--endpoint-url", environment.endpoint(demo_server.url)]
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
