"""A command, run in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from emulator.cli import main


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=input)
