"""Runs the blocks of a page as its reader would: in their order, with only the extras that the page has named.

Only the port and the path of the clone differ, and ``NOT_RUN`` lists the blocks that cannot be run.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from healthimaging_emulator.cli.options import read_credentials
from healthimaging_emulator.seeds.loader import load_seed

from .clients.conftest import REQUIREMENTS, WHEEL, bash, installed, program, wheel
from .conftest import ROOT

SETUP = ("make", "python3 -m venv", "uv run")

PROJECTS = ("node.md", "quick-start.md", "sandbox.md")
"""Pages whose blocks are the files of one folder, in which their commands are run."""

NOT_RUN = {
    "docker ": "no Docker engine runs where the tests run",
    "127.0.0.1  emulator": "a line of the hosts file of the machine; tests/clients resolve such a name without it",
}
"""The beginnings of blocks that are not run, and the reason."""

EXCERPTS = {
    "ci.md": ("examples/audit-trail/.github/workflows/test.yml", "jobs"),
    "docker.md": ("examples/compose.yaml", ""),
}
"""Pages whose YAML is a part of a file, which tests/test_examples.py runs, and the member that it is a part of."""

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""A reader has set these, as the documents say; nothing leads to the emulator."""

PIP_VARIABLES = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
PIP_VARIABLES["PIP_CACHE_DIR"] = str(Path("~/.cache/pip").expanduser())
PIP_VARIABLES["PIP_NO_COMPILE"] = "0"  # pip reads 0 as: do not compile, which would take long
"""Settings of pip that a reader has too, such as an index or a certificate."""


class Block(NamedTuple):
    """A snippet, its place, and the extras that its page has named so far."""

    file: str
    line: int
    language: str
    text: str
    extras: frozenset[str]
    saved_as: str

    @property
    def is_setup(self) -> bool:
        return self.text.startswith(SETUP) and not self.is_in_project

    @property
    def is_in_project(self) -> bool:
        return self.file in PROJECTS

    @property
    def is_run(self) -> bool:
        return not self.is_setup and not self.text.startswith(tuple(NOT_RUN))

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks_of(file: Path) -> Iterator[Block]:
    text = file.read_text()
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: found.start()]
        named = re.search(r"Save this as `([\w.]+)`:\n\n\Z", before)
        line = before.count("\n") + 1
        yield Block(file.name, line, found[1], found[2], extras_in(before), named[1] if named else "")


def extras_in(text: str) -> frozenset[str]:
    """Return the extras that a text tells the reader to install."""
    named = re.findall(r"\bextras? ((?:`\w+`(?:, | and )?)+)", text)
    installed = re.findall(r"pip install '[^'\[]*\[([a-z0-9,]+)\]'", text)
    return frozenset(re.findall(r"\w+", " ".join(named + installed))) - {"and"}


class Reader:
    """Runs blocks in the checkout or in a new folder, with a server at hand and nothing else of this machine's."""

    def __init__(self, port: int, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._port = port
        self._home = folder
        self._caplog = caplog
        self._started = ExitStack()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

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
            if block.saved_as:
                self._save(block)
            else:
                runners[block.language](block)
        except AssertionError as error:
            raise AssertionError(f"{block}: {error}") from error

    def _run(self, block: Block, command: str, *, client: Path | None = None, folder: Path | None = None) -> str:
        folder = folder or (self._home if block.is_in_project or block.file == "tutorial.md" else ROOT)
        environments = [client or self._find_environment(block), installed("aws-cli")]
        variables = {
            "PATH": ":".join([*(f"{each}/bin" for each in environments), os.environ["PATH"]]),
            "HOME": str(self._home),
            "HEALTHIMAGING_EMULATOR_PORT": str(self._port),
        }
        return bash(self._localize(command), folder, CREDENTIALS | PIP_VARIABLES | variables)

    def _find_environment(self, block: Block) -> Path:
        """Return the environment that the page has made, or else one with the extras that it has named."""
        made = self._home / ".venv"
        return made if block.file == "quick-start.md" else install_extras(block.extras)

    def _run_command(self, block: Block) -> None:
        if block.text.startswith("healthimaging-emulator serve"):
            self._serve(block)
        else:
            self._run(block, block.text)

    def _serve(self, block: Block) -> None:
        """Leave an emulator running until the page ends; the blocks that follow reach it."""
        command = f"{install_extras(block.extras)}/bin/{block.text}"
        process = self._started.enter_context(started(command, self._home))
        self._port = wait_until_ready(process).port

    def _save(self, block: Block) -> None:
        (self._home / block.saved_as).write_text(block.text)
        modules = self._home / "node_modules"
        if block.language == "javascript" and not modules.exists():
            program("javascript")
            modules.symlink_to(installed("javascript") / "node_modules")  # as after ``npm install``

    def _localize(self, text: str) -> str:
        """Replace the port and the clone by those of this run."""
        return text.replace("4580", str(self._port)).replace("/path/to/clone", str(wheel()))

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
        file.write_text(self._localize(block.text))
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
        if block.file in EXCERPTS:
            name, member = EXCERPTS[block.file]
            whole = yaml.safe_load((ROOT / name).read_text())
            assert is_part(yaml.safe_load(block.text), whole[member] if member else whole)
            return
        file = self._make_folder(block) / "file.yaml"
        file.write_text(block.text)
        if "AccessKeyId" in block.text:
            assert [each.session_token for each in read_credentials(str(file))] == [None, "its-token"]
            return
        loaded = load_seed({}, faults=file) if block.text.startswith("- ") else load_seed(file)
        assert loaded.baseline or loaded.faults
        assert not self._caplog.messages


def is_part(part: Any, whole: Any) -> bool:
    """Whether a document has only members that another one has too, with the same values."""
    if isinstance(part, dict):
        return all(name in whole and is_part(value, whole[name]) for name, value in part.items())
    return bool(part == whole)


def install_extras(extras: frozenset[str], *libraries: str) -> Path:
    """Return an environment that holds the emulator with some extras, and nothing else but the libraries given."""
    name = "-".join(["reader", *sorted(extras), *libraries])
    REQUIREMENTS.setdefault(name, [*libraries, WHEEL + ",".join(sorted(extras))])
    return installed(name)


# Emulators that a command starts.


@contextmanager
def started(command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    # A run of all tests inside the tests would have no end: collecting them shows that everything they need is there.
    variables = {"HEALTHIMAGING_EMULATOR_PORT": "0", "PYTEST_ADDOPTS": "--collect-only -q --cov-fail-under=0"}
    variables["PIP_NO_COMPILE"] = "0"  # pip reads 0 as: do not compile, which would take long
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "VIRTUAL_ENV"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if command.startswith("uv") else os.environ["PATH"]
    with subprocess.Popen(
        shlex.split(command),
        cwd=folder,
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


def wait_until_ready(process: subprocess.Popen[str]) -> Address:
    """Return the address of an emulator once it serves."""
    assert process.stdout
    ready = next(line for line in process.stdout if "is ready at" in line)
    return Address(ready.split()[-1])
