"""``reset``: return an account of a running emulator to its seed."""

from __future__ import annotations

import click

from ..interfaces import RESET_SCOPES, ResetScope
from .remote import Running, for_running


@click.command()
@for_running
@click.option("--only", multiple=True, type=click.Choice(RESET_SCOPES), help="Reset only this part; repeatable.")
def reset(running: Running, only: tuple[ResetScope, ...]) -> None:
    """Return to the seed, or to the last one loaded: changes, faults, calls and clock.

    Example: healthimaging-emulator reset --only faults --only calls
    """
    running.account.reset(*only)
