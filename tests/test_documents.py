"""The documents: every block of a page is run, in order, with only the extras that the page has named before it.

Only the port differs. The tables are compared with the code.
"""

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
import msgspec
import pytest

import healthimaging_emulator
from healthimaging_emulator import Attempt, Call, Emulator, Fault, Settings, pytest_plugin
from healthimaging_emulator.cli.options import read_credentials
from healthimaging_emulator.cli.serve import serve
from healthimaging_emulator.control.client import KINDS
from healthimaging_emulator.control.endpoints import ENDPOINTS
from healthimaging_emulator.control.routes import STATUSES
from healthimaging_emulator.faults.check import EFFECTS
from healthimaging_emulator.faults.connection import ConnectionKind
from healthimaging_emulator.faults.corrupt import CorruptKind
from healthimaging_emulator.faults.fault import Match
from healthimaging_emulator.faults.pagination import PaginationKind
from healthimaging_emulator.healthimaging import metadata_updates
from healthimaging_emulator.healthimaging.operations import OPERATIONS_BY_NAME
from healthimaging_emulator.objects import FolderObjects
from healthimaging_emulator.seeds.loader import find_fixture, load_seed
from healthimaging_emulator.server.listener import Server

from .clients.conftest import REQUIREMENTS, WHEEL, bash, installed, program
from .conftest import ROOT
from .demo import path
from .raw import exchange, request
from .test_imports import LAYERS

HANG_SECONDS = 300
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SETUP = ("make", "python3 -m venv", "uv run")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""A reader has set these, as the documents say; nothing leads to the emulator."""


class Block(NamedTuple):
    """A snippet, its place, and the extras that its page has named so far."""

    file: str
    line: int
    language: str
    text: str
    extras: frozenset[str]

    @property
    def is_setup(self) -> bool:
        return self.text.startswith(SETUP)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks_of(file: Path) -> Iterator[Block]:
    text = file.read_text()
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: found.start()]
        yield Block(file.name, before.count("\n") + 1, found[1], found[2], extras_in(before))


def extras_in(text: str) -> frozenset[str]:
    """Return the extras that a text tells the reader to install."""
    named = re.findall(r"\bextras? ((?:`\w+`(?:, | and )?)+)", text)
    installed = re.findall(r"pip install '[^'\[]*\[([a-z0-9,]+)\]'", text)
    return frozenset(re.findall(r"\w+", " ".join(named + installed))) - {"and"}


BLOCKS = {file: list(blocks_of(file)) for file in FILES}


# Blocks, as a reader runs them.


class Reader:
    """Runs blocks in the checkout or in a new folder, with a server at hand and nothing else of this machine's."""

    def __init__(self, server: Server, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._server = server
        self._home = folder
        self._caplog = caplog

    def run(self, block: Block) -> None:
        """Run a block; it fails with its place in the message."""
        runners: dict[str, Callable[[Block], None]] = {
            "console": self._run_session,
            "ini": self._run_configuration,
            "javascript": self._run_javascript,
            "python": self._run_python,
            "sh": self._run_command,
            "yaml": self._load_yaml,
        }
        try:
            runners[block.language](block)
        except AssertionError as error:
            raise AssertionError(f"{block}: {error}") from error

    def _run(self, block: Block, command: str, *, client: Path | None = None, folder: Path | None = None) -> str:
        folder = folder or (self._home if block.file == "tutorial.md" else ROOT)
        environments = [client or install_extras(block.extras), installed("aws-cli")]
        variables = {
            "PATH": ":".join([*(f"{each}/bin" for each in environments), os.environ["PATH"]]),
            "HOME": str(self._home),
            "HEALTHIMAGING_EMULATOR_PORT": str(self._server.port),
        }
        return bash(self._with_port(command).replace(".venv/bin/", ""), folder, CREDENTIALS | variables)

    def _run_command(self, block: Block) -> None:
        self._run(block, block.text)

    def _with_port(self, text: str) -> str:
        return text.replace("4580", str(self._server.port))

    def _make_folder(self, block: Block) -> Path:
        folder = self._home / f"line-{block.line}"
        folder.mkdir()
        return folder

    def _run_session(self, block: Block) -> None:
        commands = re.findall(r"^\$ ((?:.*\\\n)*.*\n)", block.text, re.MULTILINE)
        shown = re.sub(r"^\$ ((?:.*\\\n)*.*\n)", "", block.text, flags=re.MULTILINE)
        session = "$HOME/.session"  # the variables of the sessions before, as a shell keeps them
        before = f'[ ! -f "{session}" ] || . "{session}"\nset -a\n'
        after = f'export -p | grep -v " PATH=" > "{session}"\n'
        assert self._run(block, before + "".join(commands) + after) == shown

    def _run_python(self, block: Block) -> None:
        folder = self._make_folder(block)
        is_test = "\ndef test_" in block.text
        file = folder / ("test_snippet.py" if is_test else "snippet.py")
        file.write_text(self._with_port(block.text))
        client = installed("aiobotocore") if "aiobotocore" in block.text else None
        if client and is_test:
            client = install_extras(frozenset({"pytest"}), "aiobotocore")
        self._run(block, f"{'pytest' if is_test else 'python'} {file.name}", client=client, folder=folder)

    def _run_javascript(self, block: Block) -> None:
        program("javascript")
        command = f"node --input-type module --eval {shlex.quote(block.text)}"
        self._run(block, command, folder=installed("javascript"))

    def _run_configuration(self, block: Block) -> None:
        folder = self._make_folder(block)
        (folder / "pytest.ini").write_text(block.text)
        (named,) = re.findall(r"seed = (.*)", block.text)
        (folder / named).parent.mkdir()
        (folder / named).write_text("{datastores: []}")
        (folder / "test_it.py").write_text("def test_it(healthimaging): assert not healthimaging.seed.baseline")
        self._run(block, "pytest", folder=folder)

    def _load_yaml(self, block: Block) -> None:
        file = self._make_folder(block) / "file.yaml"
        file.write_text(block.text)
        if "AccessKeyId" in block.text:
            assert [each.session_token for each in read_credentials(str(file))] == [None, "its-token"]
            return
        loaded = load_seed({}, faults=file) if block.text.startswith("- ") else load_seed(file)
        assert loaded.baseline or loaded.faults
        assert not self._caplog.messages


def install_extras(extras: frozenset[str], *libraries: str) -> Path:
    """Return an environment that holds the emulator with some extras, and nothing else but the libraries given."""
    name = "-".join(["reader", *sorted(extras), *libraries])
    REQUIREMENTS.setdefault(name, [*libraries, WHEEL + ",".join(sorted(extras))])
    return installed(name)


@pytest.mark.parametrize("file", [file for file in FILES if BLOCKS[file]], ids=lambda file: file.name)
def test_the_blocks_of_a_page_work_in_their_order(file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    demo = Emulator.from_seed(s3=FolderObjects(tmp_path / "s3", find_fixture("s3")))  # as of ``serve``
    with demo.serve() as server:
        reader = Reader(server, tmp_path, caplog)
        for block in BLOCKS[file]:
            if not block.is_setup:
                reader.run(block)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", file.read_text()):
        if not target.startswith("https://"):
            page = file.parent / target if target else file
            assert page.exists(), target
            assert not anchor or anchor in headings_of(page), f"{target}#{anchor}"


def headings_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Tables.


def table(first: str) -> list[list[str]]:
    """Return the rows of all tables whose head begins with a word."""
    rows = []
    for text in map(Path.read_text, FILES):
        for found in re.finditer(rf"^\| {re.escape(first)} \|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE):
            rows += [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in found[1].splitlines()]
    assert rows
    return rows


def names(cell: str) -> list[str]:
    """Return the words of a cell that are marked as code."""
    return re.findall(r"`([^`]+)`", cell)


def first_names(first: str) -> list[str]:
    return [name for row in table(first) for name in names(row[0])]


def test_the_table_of_effects_is_whole() -> None:
    named = []
    for row in table("fault"):
        (value,) = json.loads(row[0].strip("`")).values()
        named += [value] if isinstance(value, str) else [value["kind"]] if "kind" in value else []
    kinds = [kind for kinds in (PaginationKind, CorruptKind, ConnectionKind) for kind in get_args(kinds)]
    assert sorted(named) == sorted(kinds)


def test_the_table_of_kinds_is_whole() -> None:
    assert sorted(first_names("kind")) == sorted(EFFECTS)


@pytest.mark.parametrize("row", table("kind"), ids=lambda row: row[0])
def test_the_example_of_a_kind_is_a_fault_of_it(row: list[str]) -> None:
    (kind,), (example,) = names(row[0]), names(row[1])
    (fault,) = Emulator.from_seed().faults.add(json.loads(example))
    assert [*fault.effects, *(["latency"] if fault.latency_effect else [])] == [kind]
    (constructor,) = re.findall(r"`Fault\.(\w+)\(", row[3])
    assert callable(getattr(Fault, constructor))


def test_the_table_of_matches_is_whole() -> None:
    assert first_names("member") == [field.encode_name for field in msgspec.structs.fields(Match)]


def test_the_table_of_the_control_api_is_whole() -> None:
    named = [
        (method, path)
        for cell, *_ in table("request")
        if "`/" in cell or " /" in cell
        for path in re.findall(r"/[^`]*", cell)
        for method in re.findall(r"GET|PUT|POST|DELETE", cell)
    ]
    assert sorted(named) == sorted((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)


def test_the_table_of_control_errors_is_whole() -> None:
    shown = [(int(row[0]), names(row[1])[0], names(row[2])[0]) for row in table("status")]
    assert shown[-1] == (500, "InternalError", "EmulatorError")
    assert sorted(shown[:-1]) == sorted((status, code, kind.__name__) for kind, (status, code) in STATUSES.items())
    assert {code: kind for _, code, kind in shown[:-1]} == {code: kind.__name__ for code, kind in KINDS.items()}


def test_the_tables_of_settings_are_whole() -> None:
    shown = {names(row[0])[0]: (names(row[1])[0], row[2], row[3]) for row in table("option")}
    assert shown == dict(map(describe_option, filter(is_setting, serve.params)))


def is_setting(option: click.Parameter) -> bool:
    return bool(option.envvar)


def describe_option(option: click.Parameter) -> tuple[str, tuple[str, str, str]]:
    described = option.to_info_dict()
    help, _, default = described["help"].partition("  [default: ")
    value = described["default"]
    if value is False:
        default = "off"
    elif not default:
        default = f"`{value}`" if isinstance(value, (str, int, float)) else "none"
    return option.opts[0], (str(described["envvar"]), default.removesuffix("]"), help)


def test_the_table_of_limits_is_whole() -> None:
    limits = [f"--{each.name.replace('_', '-')}" for each in fields(Settings) if each.name.startswith("max_")]
    assert [name for name in first_names("limit") if name.startswith("--")] == limits


def test_the_table_of_extras_is_whole() -> None:
    declared = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")[2]
    assert first_names("extra") == re.findall(r"^(\w+) = ", declared.partition("\n\n")[0], re.MULTILINE)


def test_the_table_of_fixtures_is_whole() -> None:
    source = Path(pytest_plugin.__file__).read_text()
    fixtures = re.findall(
        r"@pytest\.fixture.*\ndef (healthimaging\w*)|^(healthimaging\w*) = pytest", source, re.MULTILINE
    )
    assert sorted(first_names("fixture")) == sorted(one or other for one, other in fixtures)


def test_the_table_of_the_mark_is_whole() -> None:
    arguments = [name.partition("=")[0] for name in first_names("argument")]
    assert arguments == [each.name for each in fields(pytest_plugin.Options)]


@pytest.mark.parametrize(("first", "record"), [("of a `Call`", Call), ("of an `Attempt`", Attempt)])
def test_the_table_of_a_record_is_whole(first: str, record: type[msgspec.Struct]) -> None:
    properties = [name for name, value in vars(record).items() if isinstance(value, property)]
    assert sorted(first_names(first)) == sorted([*record.__struct_fields__, *properties])


def test_the_table_of_public_names_is_whole() -> None:
    assert sorted(first_names("name")) == sorted(healthimaging_emulator.__all__)


def test_the_table_of_operations_is_whole() -> None:
    shown = [name.strip() for row in table("operations") for name in row[0].split(",")]
    assert sorted(shown) == sorted(OPERATIONS_BY_NAME)


def test_the_messages_of_failed_updates_are_whole() -> None:
    (row,) = (row for row in table("question") if row[0] == "messages of UPDATE_FAILED")
    beginning = "INVALID_REQUEST:  "
    constants = {value for value in vars(metadata_updates).values() if str(value).startswith(beginning)}
    assert {beginning + each.removeprefix(beginning) for each in names(row[1])} == constants


def test_the_table_of_layers_is_whole() -> None:
    shown = [tuple(names(row[1])) for row in table("layer")]
    assert shown[::-1] == [layer for layer in LAYERS if not layer[0].startswith("__")]


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
    for name in filter(lambda name: (ROOT / name).exists(), listed.stdout.splitlines()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def lines(text: str) -> list[str]:
    return [line.partition("   #")[0].rstrip() for line in text.splitlines()]


@contextmanager
def started(command: str, checkout: Path) -> Iterator[subprocess.Popen[str]]:
    # A run of all tests inside the tests would have no end: collecting them shows that everything they need is there.
    variables = {"HEALTHIMAGING_EMULATOR_PORT": "0", "PYTEST_ADDOPTS": "--collect-only -q --cov-fail-under=0"}
    variables["PIP_NO_COMPILE"] = "0"  # which is no: compiling all that is installed takes long
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
    """The part of a ``Server`` that a raw client needs."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)


def find_setups() -> dict[str, list[str]]:
    """Return the commands of each block that sets something up, but those that CI runs on a clean checkout."""
    by_ci = (ROOT / ".ci" / "run").read_text().splitlines()
    blocks = [block for blocks in BLOCKS.values() for block in blocks if block.is_setup]
    setups = {str(block): [line for line in lines(block.text) if line not in by_ci] for block in blocks}
    return {block: commands for block, commands in setups.items() if commands}


SETUPS = find_setups()


@pytest.mark.parametrize("block", SETUPS)
def test_setting_up(checkout: Path, block: str) -> None:
    for command in SETUPS[block]:
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
