"""Environment variables: each has the name of an option, behind the prefix of the emulator."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import click

from ..errors import suggestion
from ..settings import PREFIX

KUBERNETES = re.compile(PREFIX + r"(SERVICE_(HOST|PORT).*|PORT_.*)")
"""Variables that Kubernetes sets if a service has the name of the emulator."""


def option(name: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return an option that an environment variable sets as well."""
    variable = PREFIX + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *names, envvar=variable, show_envvar=True, **attributes)


def normalize_variables() -> None:
    """Strip spaces, line ends and quotes that files of variables leave around a value."""
    for name, value in os.environ.items():
        if name.startswith(PREFIX):
            text = value.strip()
            os.environ[name] = text[1:-1] if re.fullmatch(r"\"[^\"]*\"|'[^']*'", text) else text


def warn_of_unknown_variables() -> None:
    """Warn of variables with the emulator's prefix that no option of any command reads."""
    context = click.get_current_context()
    unknown = _given() - set(_variables_of(context.command))
    if not unknown:
        return
    known = set(_variables_of(context.find_root().command))  # which imports all commands
    for name in sorted(unknown - known):
        nearest = suggestion(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
        hint = nearest.replace("mean ", f"mean {PREFIX}")  # with the prefix, every name would be near
        click.echo(f"warning: no option has the variable {name}{hint}", err=True)


def _given() -> set[str]:
    return {name for name in os.environ if name.startswith(PREFIX) and not KUBERNETES.fullmatch(name)}


def _variables_of(command: click.Command | None) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _variables_of(command.get_command(context, name))
    elif command is not None:
        yield from (str(each.envvar) for each in command.params if each.envvar)
