"""The command line: one file per group of commands."""

from __future__ import annotations

import logging
import sys

import click

from .exec import env, exec_
from .options import normalize_variables
from .seed import seed
from .serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="healthimaging-emulator")
def main() -> None:
    """Emulate AWS HealthImaging, for testing code that calls it.

    Example: healthimaging-emulator serve
    """
    normalize_variables()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)


for command in (serve, exec_, env, seed):
    main.add_command(command)
