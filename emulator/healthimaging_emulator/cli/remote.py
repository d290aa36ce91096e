"""Commands for a running emulator: where it is, how its answers are shown, and its refusals in one line."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import click
import msgspec

from ..control.client import RemoteAccount
from ..credentials import DEFAULT_ACCOUNT
from ..errors import EmulatorError, ForbiddenError, InvalidError, UnreachableError
from ..server.access_log import to_printable_json
from ..settings import DEFAULT_PORT, PREFIX
from .options import InvalidDocument, Port, account_option
from .tables import Rows, print_table
from .variables import option

Answer = TypeVar("Answer")


class Running:
    """A running emulator. ``form`` is how a command shows its answers: as a table, or as JSON."""

    def __init__(self, account: RemoteAccount, form: str) -> None:
        self.account = account
        self.is_json = form == "json"

    def ask(self, method: str, *path: str, body: Any = None, query: dict[str, Any] | None = None) -> bytes:
        """Send a request to the control API and return its answer, which is ``null`` if it has no content."""
        given = urlencode({name: value for name, value in (query or {}).items() if value is not None})
        target = "/".join(quote(part, safe="") for part in path) + (f"?{given}" if given else "")
        return bytes(self.account.request(method, target, body, type=msgspec.Raw))

    def show(self, answer: bytes, type: type[Answer], make_rows: Callable[[Answer], Rows]) -> None:
        """Print an answer. One without content prints nothing."""
        if answer == b"null":
            return
        if self.is_json:
            print_json(answer)
        else:
            print_table(make_rows(msgspec.json.decode(answer, type=type)))


def print_json(answer: bytes, indent: int = 2) -> None:
    """Print an answer as the control API gives it, on lines of their own; with an indent of -1 on one."""
    click.echo(to_printable_json(msgspec.json.format(answer, indent=indent).decode(errors="replace")))


def _default_url() -> str:
    port = Port(1, 65535).convert(os.environ.get(PREFIX + "PORT") or DEFAULT_PORT, None, None)
    return f"http://127.0.0.1:{port}"


CONNECTION_OPTIONS = (
    option(
        "--url", default=_default_url, show_default="this machine, at the port of serve", help="URL of the emulator."
    ),
    account_option("The emulator's account.", DEFAULT_ACCOUNT),
    option("--control-token", "--token", help="Secret that the emulator requires.  [default: none]"),
)
format_option = click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    type=click.Choice(["table", "json"]),
    help="A table, or the answer of the control API in JSON.",
)


def for_running(command: Any) -> Any:
    """Give a command the options that say where an emulator runs, and hand it over as ``running``."""

    @functools.wraps(command)
    def convert(url: str, account: str, control_token: str | None, **options: Any) -> Any:
        form = options.pop("form", "json")
        with _report_refusals(url):
            running = Running(RemoteAccount(url, account, control_token=control_token), form)
            return command(running=running, **options)

    return functools.reduce(lambda command, add: add(command), reversed(CONNECTION_OPTIONS), convert)


def showing(command: Any) -> Any:
    """Give a command the options of ``for_running`` and the form of its output."""
    return for_running(format_option(command))


@contextmanager
def _report_refusals(url: str) -> Iterator[None]:
    """Report in one line, and in the emulator's own words, what it refused; or that there is none."""
    try:
        yield
    except InvalidError as error:
        raise InvalidDocument(str(error)) from None
    except ForbiddenError as error:
        hint = "; give it with --control-token" if "x-emulator-token" in error.message else ""
        raise click.ClickException(f"{error}{hint}") from None
    except UnreachableError as error:
        is_closed = isinstance(error.__cause__, ConnectionRefusedError)
        raise click.ClickException(f"nothing listens at {url}" if is_closed else str(error)) from None
    except EmulatorError as error:
        raise click.ClickException(str(error)) from None
