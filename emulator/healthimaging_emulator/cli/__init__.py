"""The command line: one file a group of commands."""

from __future__ import annotations

import logging
import sys

import click

from healthimaging_emulator.cli.exec import env, exec_
from healthimaging_emulator.cli.seed import seed
from healthimaging_emulator.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="healthimaging-emulator")
def main() -> None:
    """Emulate AWS HealthImaging's version history, for testing code that calls it.

    Example: healthimaging-emulator serve
    """
    logging.basicConfig(format="%(message)s", stream=sys.stderr)


for command in (serve, exec_, env, seed):
    main.add_command(command)
