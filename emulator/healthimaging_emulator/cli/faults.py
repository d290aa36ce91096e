"""``faults``: list, add, switch and remove the faults of a running emulator."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from ..control.bodies import FaultList
from ..faults.engine import FaultStatus
from ..faults.fault import Fault
from .arguments import read_document
from .remote import Running, for_running, showing
from .tables import Rows

COUNTED = ("id", "match", "matched", "fired", "isOn")
"""Members that have a column of their own; all others are one text."""


@click.group()
def faults() -> None:
    """List, add, switch and remove the faults of a running emulator."""


@faults.command("list")
@showing
@click.option("--unfired", is_flag=True, help="Only those that were added and never fired, and why.")
def list_(running: Running, unfired: bool) -> None:
    """List the faults in the order in which they are tried, and how often each matched and fired.

    Example: healthimaging-emulator faults list --unfired
    """
    running.show(running.ask("GET", "faults", query={"unfired": "1"} if unfired else {}), FaultList, _faults)


@faults.command()
@showing
@click.argument("fault", metavar="JSON|FILE|-")
def add(running: Running, fault: str) -> None:
    """Add a fault or a list of faults, all or none.

    Example: healthimaging-emulator faults add '{"match": {"page": 2}, "times": 2, "error": {"code":
    "ThrottlingException"}}'
    """
    running.show(running.ask("POST", "faults", body=read_document(fault, Fault | list[Fault])), FaultList, _faults)


@faults.command()
@for_running
@click.option("--all", "removes_all", is_flag=True, help="Remove all faults.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
def remove(running: Running, ids: tuple[str, ...], removes_all: bool) -> None:
    """Remove faults by their ids; the stalls and delays that they cause end.

    Example: healthimaging-emulator faults remove fault-1
    """
    if bool(ids) == removes_all:
        raise click.UsageError("give the ids of faults, or --all")
    for id in ids:
        running.account.faults.remove(id)
    if removes_all:
        running.account.faults.clear()


@faults.command()
@for_running
@click.argument("id")
@click.argument("state", type=click.Choice(["on", "off"]))
def switch(running: Running, id: str, state: str) -> None:
    """Switch a fault on or off; off, it keeps its place and its counts.

    Example: healthimaging-emulator faults switch fault-1 off
    """
    running.account.faults.switch(id, on=state == "on")


def _faults(answer: FaultList) -> Rows:
    rows = [_row(each, answer.misses.get(str(each.id), "")) for each in answer.faults]
    return [["FAULT", "STATE", "MATCHED", "FIRED", "MATCH", "EFFECT"], *rows]


def _row(fault: FaultStatus, miss: str) -> list[Any]:
    members: dict[str, Any] = msgspec.to_builtins(fault)
    effect = {name: value for name, value in members.items() if name not in COUNTED}
    match = ", ".join(f"{name} {_to_text(value)}" for name, value in members.get("match", {}).items())
    state = "on" if fault.is_on else "off"
    whole = _to_text(effect) + (f": {miss}" if miss else "")
    return [fault.id, state, fault.matched, fault.fired, match or "all", whole]


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
