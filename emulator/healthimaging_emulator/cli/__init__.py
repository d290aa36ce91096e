"""The command line: one file per group of commands."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Any

import click

from .exec import env, exec_
from .options import normalize_variables
from .seed import seed
from .serve import serve


class _Commands(click.Group):
    """Commands whose output may not be writable, or closed: that is one line, as any other mistake."""

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


for command in (serve, exec_, env, seed):
    main.add_command(command)
