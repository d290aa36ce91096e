"""Every command and snippet of the README, run as it stands; only the port is another one."""

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
from itertools import islice
from pathlib import Path
from typing import get_args

import click
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from emulator import Emulator
from emulator.cli.serve import serve
from emulator.reach.server import Server
from emulator.scenario import seeds
from emulator.scenario.control import ENDPOINTS
from emulator.scenario.rules import BodyEffect, ConnectionEffect, PageEffect

from .clients.conftest import program
from .conftest import DEMO, ROOT
from .demo import DATASTORE, MANY, path
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
def shell(server: Server) -> Callable[[str], str]:
    """Run a command as a reader does, with the AWS CLI and the emulator on the path."""

    def run(command: str) -> str:
        aws = program("aws-cli")
        finished = subprocess.run(
            ["bash", "-ec", EXPORT + re.sub(r"(?m)^\.venv/bin/", "", command.replace("4580", str(server.port)))],
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


EXPORT = next(text for text in blocks("sh") if text.startswith("export AWS_ACCESS_KEY_ID"))


def test_every_block_is_run_by_a_test() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "sh", "python", "javascript", "yaml"}


@pytest.mark.parametrize("block", blocks("console"))
def test_a_session(shell: Callable[[str], str], block: str) -> None:
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*\n)", block, re.MULTILINE)
    assert shell("".join(commands)) == re.sub(r"^\$ ((?:.*\\\n)*.*\n)", "", block, flags=re.MULTILINE)


@pytest.mark.parametrize("block", blocks("sh"))
def test_a_command(shell: Callable[[str], str], block: str) -> None:
    shell(block)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_snippet(shell: Callable[[str], str], block: str) -> None:
    python = program("aiobotocore").command[0] if "aiobotocore" in block else sys.executable
    shell(f"{python} -c {shlex.quote(block)}")


@pytest.mark.parametrize("block", blocks("javascript"))
def test_a_javascript_snippet(shell: Callable[[str], str], block: str) -> None:
    client = program("javascript")
    shell(f"cd {client.folder} && node --input-type module --eval {shlex.quote(block)}")


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_seed_or_a_list_of_rules(tmp_path: Path, caplog: pytest.LogCaptureFixture, block: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(block)
    loaded = seeds.load({}, faults=file) if block.startswith("- ") else seeds.load(file)
    assert loaded.baseline or loaded.faults
    assert not caplog.messages


def table(first: str) -> list[list[str]]:
    """Return the rows of the table whose head begins with a word."""
    rows = README[README.index(f"| {first} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]


def outcome(emulator: Emulator) -> str:
    client = emulator.client(config=Config(retries={"mode": "standard"}))
    pages = client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY)
    if emulator.faults["fault-1"].page == "cycle":
        firsts = [page["imageSetPropertiesList"][0]["versionId"] for page in islice(pages, 20)]
        return "never ends" if firsts[-2:] == ["37", "87"] or firsts[-2:] == ["87", "37"] else "ends"
    try:
        listed = pages.build_full_result()["imageSetPropertiesList"]
    except (BotoCoreError, ClientError) as error:
        name = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        attempts = len(emulator.calls[-1].attempts)
        return f"{name} after {attempts} attempt{'s' if attempts > 1 else ''}"
    return f"{len(listed)} versions, no error"


@pytest.mark.parametrize(("rule", "boto3"), [(row[0].strip("`"), row[2]) for row in table("rule")])
def test_the_table_of_effects(monkeypatch: pytest.MonkeyPatch, rule: str, boto3: str) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    page = {"match": {"page": 3 if "cycle" in rule else 2}} if "rate" not in rule else {}
    emulator = Emulator.from_seed(DEMO, {"faults": [json.loads(rule) | page]})
    assert outcome(emulator) == boto3


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
