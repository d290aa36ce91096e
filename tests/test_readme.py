"""Every command and snippet of the README, run as it stands; only the port is another one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulator.reach.server import Server
from emulator.scenario import seeds

from .clients.conftest import Program, program
from .conftest import ROOT
from .demo import path
from .raw import exchange, request

HANG_SECONDS = 300
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SETUP = ("make", "python3 -m venv", "uv run")


def blocks(language: str, *, is_setup: bool = False) -> list[str]:
    found = [text for name, text in BLOCKS if name == language and text.startswith(SETUP) == is_setup]
    assert found
    return found


def lines(block: str) -> list[str]:
    return [line.partition("   #")[0] for line in block.splitlines()]


@pytest.fixture
def shell(demo_server: Server) -> Callable[[str], str]:
    """Run a command as a reader does, with the AWS CLI and the emulator on the path."""

    def run(command: str) -> str:
        aws = program("aws-cli")
        finished = subprocess.run(
            ["bash", "-ec", README_EXPORT + command.replace("4580", str(demo_server.port))],
            env={
                "PATH": f"{aws.folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(aws.folder),
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


README_EXPORT = next(text for text in blocks("sh") if text.startswith("export AWS_ACCESS_KEY_ID"))


def test_every_block_is_run_by_a_test() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "sh", "python", "javascript", "yaml"}


@pytest.mark.parametrize("block", blocks("console"))
def test_a_session(shell: Callable[[str], str], block: str) -> None:
    command, output = re.fullmatch(r"\$ ((?:[^\n]*\\\n)*[^\n]*\n)(.*)", block, re.DOTALL).groups()  # type: ignore[union-attr]
    assert shell(command) == output


@pytest.mark.parametrize("block", blocks("sh"))
def test_a_command(shell: Callable[[str], str], block: str) -> None:
    shell(block)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_snippet(demo_server: Server, block: str) -> None:
    client = program("aiobotocore") if "aiobotocore" in block else Program("", [sys.executable], ROOT)
    run(client, "-c", block.replace("4580", str(demo_server.port)), folder=ROOT, command=[client.command[0]])


@pytest.mark.parametrize("block", blocks("javascript"))
def test_a_javascript_snippet(demo_server: Server, block: str) -> None:
    client = program("javascript")
    (client.folder / "readme.mjs").write_text(block.replace("4580", str(demo_server.port)))
    run(client, "readme.mjs", folder=client.folder, command=["node"])


def run(client: Program, *arguments: str, folder: Path, command: list[str]) -> None:
    finished = client._replace(command=command, folder=folder).run(*arguments)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_seed(tmp_path: Path, caplog: pytest.LogCaptureFixture, block: str) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(block)
    assert seeds.load(seed)
    assert not caplog.messages


# Setting up, in a copy of the checkout that has nothing yet.


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@contextmanager
def started(command: str, checkout: Path) -> Iterator[subprocess.Popen[str]]:
    # A run of all tests inside the tests would have no end: collecting them shows that everything they need is there.
    variables = {"HEALTHIMAGING_EMULATOR_PORT": "0", "PYTEST_ADDOPTS": "--collect-only -q --cov-fail-under=0"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "VIRTUAL_ENV"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if command.startswith("uv") else os.environ["PATH"]
    with subprocess.Popen(
        shlex.split(command),
        cwd=checkout,
        env=inherited | variables | {"PATH": path},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


class Address:
    """What of a ``Server`` a raw client needs."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)


@pytest.mark.parametrize("block", blocks("sh", is_setup=True), ids=lambda block: block.split()[0])
def test_setting_up(checkout: Path, block: str) -> None:
    for command in lines(block):
        with started(command, checkout) as process:
            assert process.stdout
            if "serve" in command:
                ready = next(line for line in process.stdout if "is ready at" in line)
                address = Address(ready.split()[-1])
                assert exchange(address, request("POST", path())).status == 200  # type: ignore[arg-type]
            else:
                output = process.stdout.read()
                assert process.wait(HANG_SECONDS) == 0
                assert "test" not in command or "tests collected" in output or "install" in command
