"""Real clients, each installed from its registry into an environment of its own: together they downgrade each other."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.seeds.writer import write_seed
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO, ROOT
from tests.demo import DATASTORE, SAMPLE

ENVIRONMENTS = ROOT / ".clients"
PROGRAMS = Path(__file__).parent / "programs"
HANG_SECONDS = 120
LOCK_SECONDS = 600.0
"""Seconds to wait for another process that builds the same environment."""

WHEEL = "the emulator's wheel, with the extra "
REQUIREMENTS = {
    "boto3": ["boto3", WHEEL + "boto3"],
    "boto3-1.28.6": ["boto3==1.28.6", "botocore==1.31.6", WHEEL + "boto3"],  # the first with this service
    "aws-cli": ["awscli"],
    "aiobotocore": ["aiobotocore"],
    "aiobotocore-in-process": ["aiobotocore", "httpx", WHEEL + "boto3"],
    "aioboto3-in-process": ["aioboto3", "httpx", WHEEL + "boto3"],  # which holds an older aiobotocore
    "javascript": ["@aws-sdk/client-medical-imaging@3"],
    # what is seen of a published program belongs to its version, and to boto3's; mcp 2.0.0 is the last that tells an
    # assistant why a tool failed
    "mcp-server": ["awslabs.healthimaging-mcp-server==0.1.1", "boto3==1.44.8", "mcp==2.0.0"],
    "capo": ["capo-medical-imaging==0.10.0"],
    "ahi": ["AHItoDICOMInterface==0.1.3.4", "pydicom<4"],  # it passes an argument that pydicom 4 will not know
    "htj2k": ["imagecodecs==2026.3.6"],  # the encoder of frames; a later version loses pixels of the narrowest ones
    "other-servers": ["a2wsgi", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress", WHEEL + "boto3"],
    "user": [WHEEL + "pytest,sigv4,tls"],  # and nothing else
}
PYTHONS = {"htj2k": ">=3.11"} if sys.version_info < (3, 11) else {}
"""Programs that this Python cannot run, and one that can: imagecodecs encodes HTJ2K on Python 3.11 and newer."""

UV = [sys.executable, "-m", "uv"]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock file of an environment: the workers of pytest-xdist are processes that share the folder."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as file:
        waiting = threading.Thread(target=fcntl.flock, args=(file, fcntl.LOCK_EX), daemon=True)
        waiting.start()
        waiting.join(LOCK_SECONDS)
        if waiting.is_alive():
            raise TimeoutError(f"another process has held {file.name} for {LOCK_SECONDS:g} seconds")
        yield


@functools.cache
def wheel() -> Path:
    """Build the emulator's wheel, for environments that have no checkout.

    A wheel that has not changed stays where it is, since another process may be reading it.
    """
    with locked("wheel"), tempfile.TemporaryDirectory(dir=ENVIRONMENTS) as folder:
        subprocess.run([*UV, "build", "--quiet", "--wheel", "--out-dir", folder], cwd=ROOT, check=True)
        (built,) = Path(folder).glob("*.whl")
        kept = ENVIRONMENTS / "wheel" / built.name
        if not kept.exists() or kept.read_bytes() != built.read_bytes():
            kept.parent.mkdir(exist_ok=True)
            built.replace(kept)
        return kept


@functools.cache
def installed(name: str) -> Path:
    """Return the environment of a client, made anew if its requirements, this Python or our wheel have changed."""
    with locked(name):
        folder, stamp = ENVIRONMENTS / name, ENVIRONMENTS / name / "installed.json"
        requirements = list(REQUIREMENTS[name])
        content = ""
        if requirements[-1].startswith(WHEEL):
            content = hashlib.sha256(wheel().read_bytes()).hexdigest()
            requirements[-1] = f"{wheel()}[{requirements[-1].removeprefix(WHEEL)}]"
        wanted = json.dumps([requirements, content, sys.version])
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(name, folder, requirements)
            stamp.write_text(wanted)
        return folder


def install(name: str, folder: Path, requirements: list[str]) -> None:
    """Install a client from its registry."""
    if name == "javascript":
        npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", str(folder)]
        subprocess.run([*npm, *requirements], check=True, cwd=folder)
    else:
        interpreter = PYTHONS.get(name, sys.executable)
        subprocess.run([*UV, "venv", "--quiet", "--python", interpreter, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([*UV, "pip", "install", "--quiet", "--python", python, *requirements], check=True)


def bash(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command as a reader types it, and return what it printed."""
    finished = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


class Program(NamedTuple):
    """A client as a command to which arguments are added."""

    name: str
    command: list[str]
    folder: Path

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run it with no setting of this machine's user, and credentials that mean nothing."""
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        return subprocess.run(
            [*self.command, *arguments],
            env=settings | dict(environment or {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    def do(self, job: dict[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run a job of calls and return what the program printed."""
        finished = self.run(json.dumps(job), environment=environment)
        assert finished.returncode == 0, finished.stderr
        return dict(json.loads(finished.stdout))

    def execute(self, job: dict[str, Any], seed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a job as users of a program do: with the wheel's ``exec`` in front, and nothing changed in the program.

        A write is over when one request has seen LOCKED, and never by time.
        """
        command = [str(installed("boto3") / "bin" / "healthimaging-emulator"), "exec", "--transition-seconds", "none"]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(seed, file)
            file.flush()
            options = ["--seed", file.name] if seed else []
            return self._replace(command=[*command, *options, "--", *self.command]).do(job)


def program(name: str) -> Program:
    if name == "javascript":
        if not (shutil.which("node") and shutil.which("npm")):
            pytest.skip("node and npm are not on this machine")
        return Program(name, ["node", str(PROGRAMS / "javascript_program.mjs")], installed(name))
    folder = installed(name)
    if name == "aws-cli":
        return Program(name, [str(folder / "bin" / "aws"), "medical-imaging"], folder)
    script = {"boto3-1.28.6": "boto3", "mcp-server": "mcp"}.get(name, name)
    return Program(name, [str(folder / "bin" / "python"), str(PROGRAMS / f"{script}_program.py")], folder)


@pytest.fixture(scope="session")
def the() -> Callable[[str], Program]:
    """Return a client by its name, installing it first."""
    return program


@pytest.fixture(scope="session")
def expected() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Every entry of every image set of the demo, newest first, as the seed has it."""
    return {
        (datastore["datastoreId"], image_set["imageSetId"]): [
            {"imageSetId": image_set["imageSetId"]} | {name: version[name] for name in version if name != "metadata"}
            for version in image_set["versions"]
        ]
        for datastore in json.loads(write_seed(load_seed(DEMO).baseline))["datastores"]
        for image_set in datastore["imageSets"]
    }


FRAME = "0123456789abcdef" * 2
PIXELS = "AAEC/w=="

DOCUMENT: dict[str, Any] = {
    "Patient": {"DICOM": {"PatientID": "P1", "PatientName": "Doe^Jane"}},
    "Study": {
        "DICOM": {"StudyInstanceUID": "1.2.3", "StudyDescription": "Café, 東京"},
        "Series": {
            "1.2.3.4": {
                "DICOM": {"Modality": "CT", "SeriesInstanceUID": "1.2.3.4"},
                "Instances": {"1.2.3.4.5": {"DICOM": {"Rows": 512}, "ImageFrames": [{"ID": FRAME}]}},
            }
        },
    },
}
"""The metadata document of the image set of ``SEED``."""

HEAD = {"SchemaVersion": "1.1", "DatastoreID": DATASTORE, "ImageSetID": SAMPLE}


def seed_of(document: Mapping[str, Any], frames: Mapping[str, str]) -> dict[str, Any]:
    """Return the seed of one image set with one version; frames are in base64."""
    version = {"versionId": "1", "imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "CREATED", "createdAt": 1.5}
    image_set = {
        "imageSetId": SAMPLE,
        "versions": [version],
        "metadata": document,
        "frames": {id: {"base64": content} for id, content in frames.items()},
    }
    return {"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]}


SEED = seed_of(DOCUMENT, {FRAME: PIXELS})


@pytest.fixture
def stepwise() -> Iterator[Server]:
    """Serve an image set with one version. A write is over when two requests have seen LOCKED, and never by time."""
    with Emulator.from_seed(SEED, transition_reads=2, transition_seconds=None).serve() as server:
        yield server
