"""Commands: run in this process, or as a program that serves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

from click.testing import CliRunner, Result

from healthimaging_emulator.cli import main
from tests.demo import path
from tests.raw import BANNER_END, Client, Reply, request


def run(*arguments: str, input: bytes | None = None) -> Result:
    separate: dict[str, Any] = {} if "mix_stderr" not in signature(CliRunner).parameters else {"mix_stderr": False}
    return CliRunner(**separate).invoke(main, arguments, input=input)


@contextmanager
def serving(
    *arguments: str, cwd: str | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start ``serve`` on a free port and wait for its banner."""
    command = [sys.executable, "-m", "healthimaging_emulator", "serve", *arguments]
    settings = {"HEALTHIMAGING_EMULATOR_PORT": "0"} | environment
    with subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd
    ) as process:
        assert process.stdout
        try:
            banner = []
            for line in process.stdout:
                banner.append(line)
                if line.startswith(BANNER_END):
                    break
            yield process, banner
        finally:
            process.kill()


class Address:
    """The parts of a ``Server`` that a raw client needs."""

    def __init__(self, banner: list[str]) -> None:
        found = re.search(r"https?://([\d.]+):(\d+)", banner[0])
        assert found, banner
        self.host, self.port = found[1], int(found[2])


def ask(banner: list[str], target: str = path()) -> Reply:
    with Client(Address(banner)) as client:  # type: ignore[arg-type]
        client.send(request("POST", target))
        return client.receive()
