"""Benchmarks against the commit before: another checkout, whose path is in the environment variable ``BASE``.

Each side runs in processes of its own, with its checkout as working folder. Ours leaves unset members out, since the
package ``emulator``, as it was called once, always does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import peers, size
from .cases import ask_for_page, take_program, take_start
from .measure import Row, Seconds, compare, interleave, time_calls


class Checkout(NamedTuple):
    """The code of one commit: a package, and the folder from which Python imports it."""

    package: str
    folder: Path

    @property
    def settings(self) -> str:
        """The arguments of ``from_seed`` that leave unset members out."""
        return "" if self.package == "emulator" else "omit_unset=True"

    def command(self, port: int) -> list[str]:
        """Return the command that serves."""
        options = ["--omit-unset"] if self.settings else []
        command = [sys.executable, "-m", self.package, "serve", "--port", str(port), "--log-level", "error"]
        return [*command, *options]

    def program(self, text: str) -> list[str]:
        """Return the command of a program that imports the package as ``package``."""
        return [sys.executable, "-c", f"import {self.package} as package\n{text}"]


def find_checkout(path: Path) -> Checkout:
    """Return the package of a checkout."""
    if (path / "emulator" / "__init__.py").exists():
        return Checkout("emulator", path)
    return Checkout("healthimaging_emulator", path / "emulator")


OURS = find_checkout(peers.ROOT)
BASE = Path(os.environ["BASE"]).absolute() if os.environ.get("BASE") else None


def _sides() -> dict[str, Checkout]:
    assert BASE is not None
    return {"ours": OURS, "base": find_checkout(BASE)}


def describe_base() -> str:
    """Return the commit of the other checkout."""
    command = ["git", "describe", "--always", "--exclude=*"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=BASE)
    return finished.stdout.strip() or "unknown"


LISTING = f"""
import sys, time
from botocore.config import Config
options = dict(config=Config(retries={{"total_max_attempts": 1}}), **{peers.CREDENTIALS})
client = package.Emulator.from_seed(SETTINGS).client(**options)
for calls in map(int, sys.stdin):
    begun = time.perf_counter()
    for _ in range(calls):
        client.list_image_set_versions(**{peers.IDS})
    print((time.perf_counter() - begun) / calls, flush=True)
"""


@contextmanager
def _lister(side: Checkout) -> Iterator[Callable[[], Seconds]]:
    """Run a program that lists pages in process, and times them when it is asked to."""
    command = side.program(LISTING.replace("SETTINGS", side.settings))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=side.folder
    ) as program:
        assert program.stdin
        assert program.stdout
        print(1, file=program.stdin, flush=True)
        if not program.stdout.readline():
            raise RuntimeError(f"{side.package} cannot list")
        yield partial(_ask, program)
        program.stdin.close()


def _ask(program: subprocess.Popen[str]) -> Seconds:
    assert program.stdin
    assert program.stdout
    print(30, file=program.stdin, flush=True)
    return float(program.stdout.readline())


def list_in_process() -> Iterator[Row]:
    """List a page of 50 with boto3 in process."""
    with ExitStack() as stack:
        takes = {name: stack.enter_context(_lister(side)) for name, side in _sides().items()}
        yield compare("boto3 in process, a page of 50", interleave(takes, rounds=30), "ours", "base")


def list_over_http() -> Iterator[Row]:
    """List a page of 50 with boto3 over HTTP."""
    with ExitStack() as stack:
        ports = _serve(stack)
        clients = {name: peers.list_versions(peers.make_client(port)) for name, port in ports.items()}
        times = interleave({name: partial(time_calls, each, 30) for name, each in clients.items()}, rounds=30)
        yield compare("boto3 over HTTP, a page of 50", times, "ours", "base")


def throughput() -> Iterator[Row]:
    """Count requests a second at 16 connections."""
    with ExitStack() as stack:
        takes = {name: partial(_take_rate, port) for name, port in _serve(stack).items()}
        yield compare("requests a second, 16 connections", interleave(takes, rounds=7), "ours", "base")


def _serve(stack: ExitStack) -> dict[str, int]:
    return {name: stack.enter_context(peers.serving(side.command, cwd=side.folder)) for name, side in _sides().items()}


def _take_rate(port: int) -> float:
    return peers.load(port, 16).rate


def start_of_a_server() -> Iterator[Row]:
    """Start a server and list the first page."""
    takes = {name: partial(take_start, side.command, ask_for_page, side.folder) for name, side in _sides().items()}
    yield compare("process start to the first boto3 page", interleave(takes, rounds=10), "ours", "base")


def start_in_process() -> Iterator[Row]:
    """Start a program that makes an emulator and a client of it in process."""
    takes = {
        name: partial(take_program, *side.program("package.Emulator.from_seed().client()"), cwd=side.folder)
        for name, side in _sides().items()
    }
    times = interleave(takes, rounds=10)
    yield compare("a program that makes an emulator and a client of it in process", times, "ours", "base")


LOADING = """
import sys, time
package.Emulator
begun = time.perf_counter()
package.Emulator.from_seed(sys.argv[1])
print(time.perf_counter() - begun)
"""


def loading() -> Iterator[Row]:
    """Load a seed of a million versions."""
    with tempfile.TemporaryDirectory() as folder:
        file = size.write_a_million(folder)
        takes = {name: partial(_take_loading, side, file) for name, side in _sides().items()}
        yield compare("loading a seed of a million versions", interleave(takes, rounds=5), "ours", "base")


def _take_loading(side: Checkout, file: Path) -> Seconds:
    return float(peers.run_program(*side.program(LOADING), str(file), cwd=side.folder))
