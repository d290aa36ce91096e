"""Benchmarks of whole test runs: a test of five operations, and 500 tests with the plugin under pytest-xdist.

moto has no HealthImaging. Of its mocks, that of EMR Serverless is the closest in kind: it speaks REST-JSON as well, its
resources have states and are listed by pages, and each of the five operations below has a counterpart there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
from moto import mock_aws

from healthimaging_emulator import Emulator

from . import peers
from .measure import Row, Seconds, compare, interleave, pick, time_calls

TESTS = pick(500, 4)
OURS = "boto3.client('medical-imaging', **peers.OPTIONS)"
CANNED = "peers.canned_pages(PAGES)"
ALONE = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Without the plugins that other packages of the same environment install."""

SUITE = """
import boto3
import pytest
from benchmarks import peers

PAGES = peers.pages()

@pytest.mark.parametrize("number", range({tests}))
def test_three_listings({fixture}number):
    client = {client}
    for _ in range(3):
        peers.list_all_versions(client)
"""


def use_datastore(client: Any) -> None:
    """Make an application's five calls of the emulator: create, read, change, list and delete."""
    created = client.create_datastore(datastoreName="test")["datastoreId"]
    arn = client.get_datastore(datastoreId=created)["datastoreProperties"]["datastoreArn"]
    client.tag_resource(resourceArn=arn, tags={"a": "b"})
    client.list_datastores(maxResults=50)
    client.delete_datastore(datastoreId=created)


def use_application(client: Any) -> None:
    """Make the same five calls of moto."""
    created = client.create_application(name="test", releaseLabel="emr-6.6.0", type="SPARK")["applicationId"]
    client.get_application(applicationId=created)
    client.stop_application(applicationId=created)  # which an application must be before it is deleted
    client.list_applications(maxResults=50)
    client.delete_application(applicationId=created)


def five_operations() -> Iterator[Row]:
    """Run a test of five operations with a fresh emulator."""
    seed = Emulator.from_seed().seed

    def ours() -> None:
        use_datastore(Emulator(seed, transition_reads=0).client(**peers.OPTIONS))

    def moto() -> None:
        with mock_aws():
            use_application(boto3.client("emr-serverless", **peers.OPTIONS))

    times = interleave({"ours": partial(time_calls, ours, 10), "moto": partial(time_calls, moto, 5)}, rounds=9)
    name = "a test of five operations with a fresh emulator, against the same with moto's mock of EMR Serverless"
    yield compare(name, times, "ours", "moto", most=0.2)


def plugin_under_xdist() -> Iterator[Row]:
    """Run 500 tests with the plugin under pytest-xdist."""
    variants = {"ours": ("healthimaging, ", OURS), "canned": ("", CANNED)}
    with TemporaryDirectory() as folder:
        takes: dict[str, Callable[[], Seconds]] = {}
        for name, (fixture, client) in variants.items():
            file = Path(folder) / f"test_{name}.py"
            file.write_text(SUITE.format(tests=TESTS, fixture=fixture, client=client))
            takes[name] = partial(_take_suite, file, uses_ours=name == "ours")
        times = interleave(takes, rounds=5)
    name = "500 tests with the plugin under pytest-xdist, against the same with a canned client"
    remark = "a test makes nine calls, each slower as in the first row, and opens an account"
    yield compare(name, times, "ours", "canned", most=1.1, remark=remark)


def _take_suite(file: Path, *, uses_ours: bool) -> Seconds:
    options = ["-n", "2", "-q", "-p", "no:cacheprovider", "--rootdir", str(file.parent)]
    plugins = ["-p", "xdist.plugin", *(["-p", "healthimaging_emulator.pytest_plugin"] if uses_ours else [])]
    begun = time.perf_counter()
    said = peers.run_program(sys.executable, "-m", "pytest", *plugins, *options, str(file), env=ALONE)
    if f"{TESTS} passed" not in said:
        raise RuntimeError(f"not all tests passed: {said[-300:]}")
    return time.perf_counter() - begun
