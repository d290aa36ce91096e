"""The command line: one file per group of commands, which is imported when one of them is called."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from ..server.access_log import to_printable
from .variables import normalize_variables

COMMANDS = {
    "serve": "serve",
    "exec": "exec.exec_",
    "env": "exec.env",
    "seed": "seed",
    "ls": "ls",
    "image-set": "image_set",
    "calls": "calls",
    "faults": "faults",
    "clock": "clock",
    "reset": "reset",
}
"""The module of each command, in the order of the help, and the name that it has there if that is another."""


class _Commands(click.Group):
    """Commands whose output may not be writable, or closed: that is one line, as any other mistake."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        """Return the names of all commands."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(".")
        command: click.Command = getattr(import_module(f".{module}", __name__), name or module)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Its mistakes are reported without characters that a terminal would obey."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = to_printable(error.message)  # type: ignore[misc]  # only its annotation is final
            raise

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "binary stream" not in str(error):  # click's, for a closed stream
                raise
            with suppress(OSError):
                click.echo(f"Error: {getattr(error, 'strerror', None) or error}", err=True)
            with suppress(OSError, ValueError, AttributeError):  # at exit, Python would try to write the rest again
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="healthimaging-emulator")
def main() -> None:
    """Emulate AWS HealthImaging, for testing code that calls it.

    Example: healthimaging-emulator serve
    """
    normalize_variables()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
