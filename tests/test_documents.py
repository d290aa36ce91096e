"""Every command and snippet of the documents, run as it stands; only the port is another one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple, get_args

import click
import pytest

from healthimaging_emulator import Limits, pytest_plugin
from healthimaging_emulator.cli.serve import serve
from healthimaging_emulator.cli.settings import read_credentials
from healthimaging_emulator.control.endpoints import ENDPOINTS
from healthimaging_emulator.faults.fault import BodyEffect, ConnectionEffect, PageEffect
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.server.listener import Server

from .clients.conftest import bash, installed, program
from .conftest import ROOT
from .demo import path
from .raw import exchange, request

HANG_SECONDS = 300
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SETUP = ("make", "python3 -m venv", "uv run")


class Block(NamedTuple):
    """A snippet, and where it stands."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks_of(file: Path) -> Iterator[Block]:
    text = file.read_text()
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(file.name, text[: found.start()].count("\n") + 1, found[1], found[2])


BLOCKS = [block for file in FILES for block in blocks_of(file)]


def blocks(language: str, *, is_setup: bool = False) -> pytest.MarkDecorator:
    found = [each for each in BLOCKS if each.language == language and each.text.startswith(SETUP) == is_setup]
    assert found
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Callable[..., str]:
    """Run a command as a reader does, with the clients and the emulator on the path, and nothing of this machine's."""

    def run(command: str, *, client: str = "user", folder: Path = ROOT) -> str:
        path = [installed(client), installed("aws-cli"), installed("user")]
        variables = {
            "PATH": ":".join([*(f"{each}/bin" for each in path), os.environ["PATH"]]),
            "HOME": str(tmp_path),
            "HEALTHIMAGING_EMULATOR_PORT": str(server.port),
        }
        return bash(
            command.replace(".venv/bin/", "").replace("4580", str(server.port)), folder, CREDENTIALS | variables
        )

    return run


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""What a reader has set, as the documents say; nothing that leads to the emulator."""


def test_every_block_is_run_by_a_test() -> None:
    assert {block.language for block in BLOCKS} == {"console", "ini", "sh", "python", "javascript", "yaml"}


@blocks("console")
def test_a_session(shell: Callable[..., str], block: Block) -> None:
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*\n)", block.text, re.MULTILINE)
    assert shell("".join(commands)) == re.sub(r"^\$ ((?:.*\\\n)*.*\n)", "", block.text, flags=re.MULTILINE)


@blocks("sh")
def test_a_command(shell: Callable[..., str], block: Block) -> None:
    shell(block.text)


@blocks("python")
def test_a_python_snippet(shell: Callable[..., str], server: Server, tmp_path: Path, block: Block) -> None:
    is_test = "\ndef test_" in block.text
    file = tmp_path / ("test_snippet.py" if is_test else "snippet.py")
    file.write_text(block.text.replace("4580", str(server.port)))
    client = "aiobotocore" if "aiobotocore" in block.text else "user"
    shell(f"{'pytest' if is_test else 'python'} {file.name}", client=client, folder=tmp_path)


@blocks("javascript")
def test_a_javascript_snippet(shell: Callable[..., str], block: Block) -> None:
    program("javascript")
    shell(f"node --input-type module --eval {shlex.quote(block.text)}", folder=installed("javascript"))


@blocks("yaml")
def test_a_seed_or_a_list_of_rules_or_of_credentials(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, block: Block
) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(block.text)
    if "AccessKeyId" in block.text:
        assert [each.session_token for each in read_credentials(str(file))] == [None, "its-token"]
        return
    loaded = seeds.load({}, faults=file) if block.text.startswith("- ") else seeds.load(file)
    assert loaded.baseline or loaded.faults
    assert not caplog.messages


@blocks("ini")
def test_a_configuration_of_pytest(shell: Callable[..., str], tmp_path: Path, block: Block) -> None:
    (tmp_path / "pytest.ini").write_text(block.text)
    (named,) = re.findall(r"seed = (.*)", block.text)
    (tmp_path / named).parent.mkdir()
    (tmp_path / named).write_text("{datastores: []}")
    (tmp_path / "test_it.py").write_text("def test_it(healthimaging): assert not healthimaging.seed.baseline")
    shell("pytest", folder=tmp_path)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", file.read_text()):
        assert target.startswith("https://") or (file.parent / target).exists(), target


def table(first: str) -> list[list[str]]:
    """Return the rows of the table whose head begins with a word."""
    (text,) = (text for text in map(Path.read_text, FILES) if f"| {first} |" in text)
    rows = text[text.index(f"| {first} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]


def test_the_table_of_effects_is_whole() -> None:
    named = {
        value for row in table("rule") for value in json.loads(row[0].strip("`")).values() if isinstance(value, str)
    }
    assert named == {effect for effects in (PageEffect, BodyEffect, ConnectionEffect) for effect in get_args(effects)}


def test_the_table_of_the_control_api_is_whole() -> None:
    named = set()
    for row in table("request"):
        methods = re.findall(r"GET|PUT|POST|DELETE", row[0])
        path = re.search(r"/[^`]*", row[0])
        assert path
        named |= {(method, path[0]) for method in methods}
    assert named == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


def test_the_table_of_settings_is_whole() -> None:
    named = {re.search(r"--[\w-]+", row[0])[0]: row[1].split("`")[1] for row in table("option of `serve`")}  # type: ignore[index]
    assert named == {
        option.opts[0]: option.envvar for option in serve.params if isinstance(option, click.Option) and option.envvar
    }


def test_the_table_of_limits_is_whole() -> None:
    named = {option for row in table("limit") for option in re.findall(r"--max-[\w-]+", row[0])}
    assert named == {f"--max-{limit.name.replace('_', '-')}" for limit in fields(Limits)}


def test_the_table_of_fixtures_is_whole() -> None:
    source = Path(pytest_plugin.__file__).read_text()
    fixtures = set(re.findall(r"@pytest\.fixture.*\ndef (healthimaging\w*)", source))
    assert {row[0].strip("`") for row in table("fixture")} == fixtures


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


def lines(text: str) -> list[str]:
    return [line.partition("   #")[0] for line in text.splitlines()]


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


@blocks("sh", is_setup=True)
def test_setting_up(checkout: Path, block: Block) -> None:
    for command in lines(block.text):
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
