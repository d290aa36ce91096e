"""Benchmarks of an import job: 5,000 files without frames, beside pydicom reading the same files alone.

``python -m benchmarks.imports read FOLDER`` and ``... import FOLDER`` are the variants, each a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from typing import Any

import pydicom
from pydicom.uid import UID

from healthimaging_emulator import Emulator

from . import peers
from .measure import Row, Seconds, compare, pick, summarize, time_calls

FILES = pick(5_000, 50)
FILES_IN_SERIES = 25
ROUNDS = 2
DURATION = pick(2.0, 0.1)
JOB = {
    "datastoreId": peers.DATASTORE,
    "dataAccessRoleArn": "arn:aws:iam::123456789012:role/any",
    "inputS3Uri": "s3://input/",
    "outputS3Uri": "s3://output/",
}


def write_files(folder: Path, files: int) -> None:
    """Write files of nobody, with the elements of a CT that pydicom ships, but without its pixels."""
    (folder / "input").mkdir()
    dataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm")
    dataset.remove_private_tags()
    del dataset.PixelData
    for number in range(files):
        series = number // FILES_IN_SERIES
        dataset.StudyInstanceUID = UID(f"1.2.{series}")
        dataset.SeriesInstanceUID = UID(f"1.2.{series}.1")
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.{series}.1.{number}")
        dataset.save_as(folder / "input" / f"{number}.dcm")


def read_all(folder: Path) -> None:
    """Read the value of every element of all files."""
    for path in sorted((folder / "input").iterdir()):
        for element in pydicom.dcmread(path).iterall():
            assert element.value is not element


def import_all(folder: Path) -> None:
    """Import all files."""
    emulator = Emulator.from_seed(s3=folder, transition_reads=None, transition_seconds=0.001)
    start_job(emulator)
    finish_job(emulator)


def start_job(emulator: Emulator) -> None:
    """Start the import of all files."""
    emulator.client().start_dicom_import_job(**JOB)


def finish_job(emulator: Emulator) -> None:
    """Wait until the job has ended, and check that it did what it should."""
    while (job := list_job(emulator))["jobStatus"] not in ("COMPLETED", "FAILED"):
        time.sleep(0.05)
    if job["jobStatus"] != "COMPLETED":
        raise RuntimeError(f"the job failed: {job}")


def list_job(emulator: Emulator) -> Any:
    """Return the only job."""
    return emulator.client().list_dicom_import_jobs(datastoreId=peers.DATASTORE)["jobSummaries"][0]


def take(variant: str, folder: str) -> dict[str, float]:
    """Run a variant in a process of its own, and return its seconds and the megabytes that it used at most."""
    command = [sys.executable, "-m", "benchmarks.imports", variant, folder]
    return dict(json.loads(subprocess.check_output(command, cwd=peers.ROOT)))


def job_of_many_files() -> Iterator[Row]:
    """Import 5,000 files without frames."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder), FILES)
        runs = [{variant: take(variant, folder) for variant in ("read", "import")} for _ in range(ROUNDS)]
    times: dict[str, list[Seconds]] = {
        variant: [each[variant]["seconds"] for each in runs] for variant in ("read", "import")
    }
    name = f"a job of {FILES:,} files without frames"
    yield compare(name, times, "import", "read", most=2, remark="beside pydicom reading every value")
    kilobytes = [(each["import"]["megabytes"] - each["read"]["megabytes"]) * 1000 / FILES for each in runs]
    yield summarize("memory of that job, beside pydicom's", kilobytes, most=64, unit="KB a file")


def listing_meanwhile() -> Iterator[Row]:
    """List versions while a job runs."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder), FILES)
        emulator = Emulator.from_seed(s3=folder, transition_reads=None, transition_seconds=0.001)
        with emulator.serve() as server:
            load = partial(_latency, server.port)
            before, after = [], []
            for _ in range(ROUNDS):
                before.append(load())
                start_job(emulator)
                after.append(load())
                finish_job(emulator)
                emulator.reset()
    times = {"before": before, "meanwhile": after}
    yield compare("a listing over HTTP while a job runs", times, "meanwhile", "before", most=1.5)


def _latency(port: int) -> Seconds:
    """Return the median latency of a client with one request at a time."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.load",
        "127.0.0.1",
        str(port),
        "1",
        str(DURATION),
        "POST",
        peers.TARGET,
    ]
    return float(json.loads(subprocess.check_output(command, cwd=peers.ROOT))["p50"])


if __name__ == "__main__":
    variant = {"read": read_all, "import": import_all}[sys.argv[1]]
    seconds = time_calls(partial(variant, Path(sys.argv[2])), 1)
    used = getrusage(RUSAGE_SELF).ru_maxrss + getrusage(RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"seconds": seconds, "megabytes": used / 1000}))
