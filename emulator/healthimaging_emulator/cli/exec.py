"""``exec`` and ``env``: a command, or a shell, whose SDK finds the emulator."""

from __future__ import annotations

import json
import re
import shlex
import signal
from typing import Any

import click

from healthimaging_emulator.cli.process import FORWARDED, background_log, end, run, signals_blocked
from healthimaging_emulator.cli.settings import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    Port,
    account,
    emulating,
    emulator_settings,
    listen,
    load,
    log_level,
    setting,
)
from healthimaging_emulator.emulator import Emulator
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.transports import environment

account_option = click.option("--account", callback=account, help="Set the credentials of this account.")


@click.command("exec", context_settings={"allow_interspersed_args": False})
@emulator_settings
@log_level("warning")
@account_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(
    command: tuple[str, ...],
    account: str | None,
    seed: tuple[str, ...],
    faults: str | None,
    log_level: str,
    **settings: Any,
) -> None:
    """Run a command with an emulator of its own, and return the command's exit code.

    The emulator listens on a free port, and the variables that env prints are set for the command; with
    --require-signature, also a credential: that of the account, or the first.

    Example: healthimaging-emulator exec --seed my-seed.json -- pytest
    """
    loaded = load(seed or [seeds.fixture("demo")], faults)
    with signals_blocked(FORWARDED | {signal.SIGCHLD}):
        with background_log(log_level):
            emulator = emulating(loaded, **settings)
            own = _own(emulator, account)
            server = listen(emulator, DEFAULT_HOST, 0)
            try:
                code = run(command, environment.child(server.url, account or own.get("AWS_ACCESS_KEY_ID")) | own)
            except (OSError, ValueError) as error:
                click.echo(f"Error: cannot run {command[0]}: {getattr(error, 'strerror', error)}", err=True)
                code = 127 if isinstance(error, FileNotFoundError) else 126  # as a shell says it
            server.stop()
        end(code)


def _own(emulator: Emulator, account: str | None) -> dict[str, str]:
    """Return the variables that clients of this emulator need, and of no other: to sign, and for the control API."""
    try:
        signing = emulator.signing(account)
    except LookupError as error:
        raise click.BadParameter(str(error), param_hint="--account") from None
    token = emulator.guard.token
    return signing | ({"HEALTHIMAGING_EMULATOR_CONTROL_TOKEN": token} if token else {})


@click.command()
@setting("--host", default=DEFAULT_HOST, show_default=True, help="Where the emulator listens.")
@setting("--port", default=DEFAULT_PORT, show_default=True, type=Port(1, 65535), help="Its port.")
@account_option
@click.option(
    "--format",
    "form",
    default="shell",
    show_default=True,
    type=click.Choice(["shell", "dotenv", "json", "github"]),
    help="github is for a file that GITHUB_ENV names.",
)
def env(host: str, port: int, account: str | None, form: str) -> None:
    """Print the variables that point SDKs at an emulator: region and credentials only where none are set.

    Example: eval "$(healthimaging-emulator env)"
    """
    if not re.fullmatch("[A-Za-z0-9_.:-]+", host):
        raise click.BadParameter(f"{host} is not the name or the address of a host", param_hint="--host")
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    variables = environment.variables(url, account)
    if form == "json":
        click.echo(json.dumps(variables, indent=2))
        return
    line = {"shell": _shell, "dotenv": _dotenv, "github": "{}={}".format}[form]
    for name, value in variables.items():
        click.echo(line(name, value))


def _shell(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _dotenv(name: str, value: str) -> str:
    return f"{name}={shlex.quote(value)}"
