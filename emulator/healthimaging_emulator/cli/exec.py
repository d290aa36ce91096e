"""``exec`` and ``env``: point the SDKs of a command or a shell at an emulator."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

import click

from ..emulator import Emulator
from ..errors import NotFoundError
from ..seeds.loader import find_fixture
from ..settings import DEFAULT_PORT, PREFIX
from ..transports.environment import build_child_environment, build_variables, find_variables_of_emulator
from .log import background_log
from .options import (
    DEFAULT_HOST,
    GroupedCommand,
    Port,
    account_option,
    deliver_events,
    emulator_options,
    listen,
    load,
    log_options,
    make_emulator,
    read_stream,
    read_streams,
)
from .process import BLOCKED, end, run, signals_blocked
from .variables import option

PLAIN = re.compile(r"[^\s#'\"\\$`]*").fullmatch
"""Whether a value needs no quotes in a dotenv file: ``docker run --env-file`` would keep them."""

signing_account_option = account_option("Sign as this account.")


@click.command("exec", cls=GroupedCommand, context_settings={"allow_interspersed_args": False})
@emulator_options
@log_options("warning")
@signing_account_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(
    command: tuple[str, ...],
    account: str | None,
    seed: tuple[str, ...],
    faults: str | None,
    log_level: str,
    log_format: str,
    settings: dict[str, Any],
) -> None:
    """Run a command with an emulator of its own, and return the command's exit code.

    The emulator listens on a free port. The command gets the variables that env prints; with --require-signature,
    also the account's credentials, or the first.

    Example: healthimaging-emulator exec --seed my-seed.json -- pytest
    """
    rules = read_stream(faults) if faults else None
    loaded = load(read_streams(seed) or [find_fixture("demo.json")], rules)
    with signals_blocked(BLOCKED):
        with background_log(log_level, log_format):
            emulator = make_emulator(loaded, settings)
            variables = _private_variables(emulator, account)
            server = listen(emulator, DEFAULT_HOST, 0)
            try:
                shared = build_child_environment(server.url, account or variables.get("AWS_ACCESS_KEY_ID"))
                code = run(command, shared | _own_variables(server.url, account) | variables)
            except (OSError, ValueError) as error:
                click.echo(f"Error: cannot run {command[0]}: {getattr(error, 'strerror', error)}", err=True)
                code = 127 if isinstance(error, FileNotFoundError) else 126  # as a shell returns
            server.stop()
            deliver_events(emulator)
        end(code)


def _private_variables(emulator: Emulator, account: str | None) -> dict[str, str]:
    """Return the variables that clients of this emulator need: to sign, and for the control API."""
    try:
        signing = emulator.signing_variables(account)
    except NotFoundError as error:
        raise click.BadParameter(str(error), param_hint="--account") from None
    token = emulator.settings.control_token
    return signing | ({PREFIX + "CONTROL_TOKEN": token} if token else {})


def _own_variables(url: str, account: str | None) -> dict[str, str]:
    """Return the variables that lead the commands for a running emulator to this one."""
    return {PREFIX + "URL": url} | ({PREFIX + "ACCOUNT": account} if account else {})


@click.command()
@option("--host", default=DEFAULT_HOST, show_default=True, help="Host of the emulator.")
@option("--port", default=DEFAULT_PORT, show_default=True, type=Port(1, 65535), help="Port of the emulator.")
@signing_account_option
@click.option(
    "--format",
    "form",
    default="shell",
    show_default=True,
    type=click.Choice(["shell", "dotenv", "json", "github"]),
    help="Output format; github is for $GITHUB_ENV.",
)
@click.option("--unset", is_flag=True, help="Print the commands that remove the variables of env.")
def env(host: str, port: int, account: str | None, form: str, unset: bool) -> None:
    """Print the variables that point SDKs at an emulator: region and credentials only if none are set.

    Example: eval "$(healthimaging-emulator env)"
    """
    if unset:
        _unset(form)
        return
    if not re.fullmatch("[A-Za-z0-9_.:-]+", host):
        raise click.BadParameter(f"invalid host {host!r}: expected a name or an address", param_hint="--host")
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    variables = build_variables(url, account) | _own_variables(url, account)
    if form == "json":
        click.echo(json.dumps(variables, indent=2))
        return
    write = {"shell": _shell, "dotenv": _dotenv, "github": "{}={}".format}[form]
    for name, value in variables.items():
        click.echo(write(name, value))


def _unset(form: str) -> None:
    if form != "shell":
        raise click.UsageError("--unset is for a shell")
    own = [name for name in (PREFIX + "URL", PREFIX + "ACCOUNT") if name in os.environ]
    if names := find_variables_of_emulator() + own:
        click.echo(f"unset {' '.join(names)}")


def _shell(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _dotenv(name: str, value: str) -> str:
    return f"{name}={value if PLAIN(value) else shlex.quote(value)}"
