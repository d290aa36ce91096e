"""The examples, run as readers run them: in an environment that holds the wheel and nothing else of this repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from healthimaging_emulator.server.listener import Server

from .clients.conftest import HANG_SECONDS, PROGRAMS, bash, installed, program
from .conftest import ROOT
from .demo import SAMPLE

EXAMPLES = ROOT / "examples"
WORKFLOW = yaml.safe_load((EXAMPLES / "audit-trail/.github/workflows/test.yml").read_text())
COMPOSE = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the example."""
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".mypy_cache")
    return Path(shutil.copytree(EXAMPLES / "audit-trail", tmp_path / "audit-trail", ignore=ignored))


@pytest.fixture
def step(tmp_path: Path, folder: Path, server: Server) -> Callable[[str], str]:
    """Run a step of the workflow in a copy of the example. The next steps have the variables in GITHUB_ENV."""
    github_env = tmp_path / "github.env"
    github_env.touch()

    def run(command: str) -> str:
        variables = dict(line.split("=", 1) for line in github_env.read_text().splitlines())
        own = {
            "PATH": f"{installed('user') / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "GITHUB_ENV": str(github_env),
            "HEALTHIMAGING_EMULATOR_PORT": str(server.port),
        }
        return bash(command.replace("4580", str(server.port)), folder, own | variables)

    return run


SUITE, OWN_SEED, DEMO_SEED = r"\d+ passed", "last good version: 2\n", "last good version: 4\n"


@pytest.mark.parametrize(
    ("job", "shown"), [("pytest", [SUITE]), ("any-command", [OWN_SEED]), ("service-container", [DEMO_SEED, SUITE])]
)
def test_the_steps_of_the_workflow(step: Callable[[str], str], job: str, shown: list[str]) -> None:
    commands = [each["run"] for each in WORKFLOW["jobs"][job]["steps"] if "run" in each]
    assert commands.pop(0).startswith("pip install boto3 ")  # as the environment is
    output = "".join(map(step, commands))
    assert all(re.search(each, output) for each in shown)


def test_every_job_of_the_workflow_is_run() -> None:
    assert set(WORKFLOW["jobs"]) == {"pytest", "any-command", "service-container"}


@pytest.mark.parametrize("module", ["pytest", "mypy"])
def test_the_example_passes_its_own_tests_and_the_strict_type_check(folder: Path, module: str) -> None:
    """Here without an environment of its own, which is quick."""
    finished = subprocess.run(
        [sys.executable, "-m", module], cwd=folder, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert re.search(r"\d+ passed|Success: no issues found in 2 source files", finished.stdout)


def test_the_workflow_waits_for_the_port_that_the_image_serves() -> None:
    (port,) = re.findall(r"EXPOSE (\d+)", DOCKERFILE)
    assert WORKFLOW["jobs"]["service-container"]["services"]["emulator"]["ports"] == [f"{port}:{port}"]


# Compose, as far as it can be tried where no Docker engine runs.


def service(name: str) -> dict[str, Any]:
    return dict(COMPOSE["services"][name])


def test_the_emulator_has_the_name_that_sdks_make_of_its_own() -> None:
    endpoint = re.search(r"http://(\w+):(\d+)", service("app")["command"])
    assert endpoint
    assert endpoint[1] in COMPOSE["services"]
    assert service("emulator")["networks"]["default"]["aliases"] == [f"runtime-{endpoint[1]}"]
    assert f"EXPOSE {endpoint[2]}\n" in DOCKERFILE


def test_the_control_api_is_reached_by_that_name() -> None:
    host = service("emulator")["environment"]["HEALTHIMAGING_EMULATOR_CONTROL_HOST"]
    assert f"http://{host}:" in service("app")["command"]
    assert host in COMPOSE["services"]


def test_the_files_that_the_image_copies_are_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    lines = re.findall(r"^COPY (?!--from)(?:--chown=\S+ )?(.*) \S+$", DOCKERFILE, re.M)
    copied = [name for line in lines for name in line.split()]
    assert {f"!{name.partition('/')[0]}" for name in copied} == {line for line in let_through if line.startswith("!")}


def test_the_image_is_built_from_here_and_says_when_it_is_healthy() -> None:
    assert (EXAMPLES / service("emulator")["build"] / "Dockerfile").samefile(ROOT / "Dockerfile")
    assert service("app")["depends_on"] == {"emulator": {"condition": "service_healthy"}}
    assert "\nHEALTHCHECK " in DOCKERFILE


def test_the_command_reaches_it_where_the_name_resolves(demo_server: Server) -> None:
    arguments = shlex.split(service("app")["command"].replace("4580", str(demo_server.port)))
    resolver = {"PYTHONPATH": str(PROGRAMS / "resolver")}
    finished = program("aws-cli").run(*arguments[1:], environment=service("app")["environment"] | resolver)
    assert finished.returncode == 0, finished.stderr
    assert SAMPLE in finished.stdout
