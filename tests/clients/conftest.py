"""Real clients, each installed from its registry into an environment of its own: together they downgrade each other."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from healthimaging_emulator.seeds import loader as seeds
from tests.conftest import DEMO, ROOT

ENVIRONMENTS = ROOT / ".clients"
PROGRAMS = Path(__file__).parent / "programs"
HANG_SECONDS = 120

WHEEL = "the emulator's wheel, with the extra "
REQUIREMENTS = {
    "boto3": ["boto3", WHEEL + "boto3"],
    "boto3-1.28.6": ["boto3==1.28.6", "botocore==1.31.6", WHEEL + "boto3"],  # the first with this service
    "aws-cli": ["awscli"],
    "aiobotocore": ["aiobotocore"],
    "javascript": ["@aws-sdk/client-medical-imaging@3"],
    "mcp-server": ["awslabs.healthimaging-mcp-server==0.1.1", "mcp<3"],  # what is seen of it belongs to the version
    "capo": ["capo-medical-imaging==0.10.0"],
    "user": [WHEEL + "pytest,sigv4,tls"],  # and nothing else
}
UV = [sys.executable, "-m", "uv"]


@functools.cache
def wheel() -> Path:
    """Build the emulator as it is installed by who has no checkout."""
    folder = ENVIRONMENTS / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([*UV, "build", "--quiet", "--wheel", "--out-dir", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def installed(name: str) -> Path:
    """Return the environment of a client, made anew when its requirements, this Python or our wheel have changed."""
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
        if name == "javascript":
            npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", str(folder)]
            subprocess.run([*npm, *requirements], check=True, cwd=folder)
        else:
            subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
            python = str(folder / "bin" / "python")
            subprocess.run([*UV, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
        stamp.write_text(wanted)
    return folder


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
    baseline = seeds.load(DEMO).baseline
    return {
        (datastore_id, image_set_id): [msgspec.to_builtins(version) for version in history[::-1]]
        for datastore_id, image_sets in baseline.items()
        for image_set_id, history in image_sets.items()
    }
