"""Runs of pytest of their own, as the test suites of users."""

from __future__ import annotations

from typing import Protocol

import pytest

from tests.demo import DATASTORE, MANY, ONE, SAMPLE

HEAD = f"""
import boto3, os, subprocess, sys
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from healthimaging_emulator import Fault

DATASTORE, SAMPLE, MANY, ONE = {DATASTORE!r}, {SAMPLE!r}, {MANY!r}, {ONE!r}

def listed(client=None, image_set_id=SAMPLE):
    client = client or boto3.client("medical-imaging")
    page = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return [entry["versionId"] for entry in page["imageSetPropertiesList"]]
"""
HANG_SECONDS = 120
WITHOUT = ["-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:randomly"]
"""Plugins that our other tests need and that take seconds to load, and one that changes the order of tests."""


class Run(Protocol):
    def __call__(self, tests: str, *arguments: str) -> pytest.RunResult: ...


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test file. The plugin is found by its entry point, as it is in every installation."""
    for name in ("PYTEST_ADDOPTS", "CI"):  # with CI, pytest prints every failure twice
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "example.com")

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + tests)
        return pytester.runpytest_subprocess(*WITHOUT, *arguments, timeout=HANG_SECONDS)

    return run
