"""Fixtures of all tests: an emulator of the demo seed, in process and served."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ParamValidationError
from hypothesis import settings

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server

pytest.register_assert_rewrite("tests.reader")

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "fixtures" / "demo.json"

settings.register_profile("untimed", deadline=None)  # how long a test takes says nothing on a busy machine
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With ``CI=true`` nothing is skipped: what would be, fails with the reason."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """In ``make lowest``, expect the failure of a test whose parameters are newer than its boto3."""
    try:
        return (yield)
    except ParamValidationError as error:
        if "newest_boto3" in item.config.option.markexpr and "Unknown parameter" in str(error):
            pytest.xfail(f"boto3 {boto3.__version__} does not know a parameter of this test")
        raise


@pytest.fixture(autouse=True, scope="session")
def _own_environment() -> None:
    """Keep the developer's own AWS and emulator settings out of the tests, and a proxy away from loopback."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HEALTHIMAGING_EMULATOR_")) or name.lower().endswith("_proxy"):
            del os.environ[name]


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Let Python change threads as often as it can, so that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator of the demo. Its writes end when they are seen, however slow the machine is."""
    return Emulator.from_seed(DEMO, transition_seconds=None)


@pytest.fixture
def server(emulator: Emulator) -> Iterator[Server]:
    with emulator.serve() as server:
        yield server


@pytest.fixture(scope="session")
def demo_server() -> Iterator[Server]:
    """One server for the tests that change nothing."""
    with Emulator.from_seed(DEMO).serve() as server:
        yield server
