"""Options that commands share: the settings of the emulator as options and variables, and the seed."""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..credentials import Credentials, is_account_id
from ..documents import Source, Stream, find_documents
from ..emulator import Emulator
from ..errors import InvalidError, invalid
from ..healthimaging.baseline import Baseline, count_versions
from ..objects import FolderObjects
from ..seeds.build import OnRead
from ..seeds.loader import Seed, find_fixture, load_seed
from ..settings import DECLARED, DEFAULT_PORT, Setting, Settings, split_list
from .variables import option, warn_of_unknown_variables

if TYPE_CHECKING:
    from ..server.listener import Server

DEFAULT_HOST = "127.0.0.1"
DEFAULT_S3 = "s3"
"""Folder of buckets, below the present one; made when something is written there."""


class SettingType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A value of a setting, checked as the setting declares it. In a variable, commas or spaces separate several."""

    def __init__(self, name: str, setting: Setting) -> None:
        self.name = "text" if setting.read is str else "number"
        self._setting_name = name
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read and check a value."""
        if not isinstance(value, str):
            return value
        try:
            read = self._setting.read(value)
        except ValueError:
            read = None
        if (read is None and value.lower() != "none") or not self._setting.is_valid(read):
            self.fail(f"invalid value{self._setting.show(value)}: expected {self._setting.expected}", param, ctx)
        return read

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split the value of a variable."""
        return split_list(rv)


class Port(click.IntRange):
    """A port. Ignores ``tcp://10.0.0.1:4580``, which Kubernetes puts in our variable if a service has our name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a port."""
        return DEFAULT_PORT if str(value).startswith("tcp://") else super().convert(value, param, ctx)


def _check_account(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Check the option ``--account``."""
    if value is not None and not is_account_id(value):
        raise click.BadParameter(str(invalid("account id", value, "12 digits")))
    return value


def account_option(help: str, default: str | None = None) -> Callable[[Any], Any]:
    """Return the option for an account."""
    return option("--account", default=default, show_default=default is not None, callback=_check_account, help=help)


def _read_credential(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[Credentials]:
    """Read the option ``--credential``, without showing the secret."""
    pairs = [value.partition(":") for value in values]
    try:
        return [
            msgspec.convert({"AccessKeyId": key, "SecretAccessKey": secret}, Credentials) for key, _, secret in pairs
        ]
    except msgspec.ValidationError:
        raise click.BadParameter("invalid credential: expected ACCESS_KEY:SECRET") from None


def setting_option(name: str, setting: Setting, default: Any) -> Callable[[Any], Any]:
    """Return the option of a setting. The option of a list has a singular name and is repeatable."""
    text = (name.removesuffix("s") if setting.is_list else name).replace("_", "-")
    if setting.read is bool:
        return option(f"--{text}", name, is_flag=True, help=setting.help)
    has_default = not setting.is_list and default is not None and name != "token_key"
    return option(
        f"--{text}",
        name,
        type=SettingType(name, setting),
        multiple=setting.is_list,
        default=None if setting.is_list else default,
        show_default=has_default,
        metavar=text.upper().rpartition("-")[2] if setting.is_list else None,
        help=setting.help,
    )


_ANSWERS = ("page_size", "token", "omit_unset", "transition", "s3", "events", "quotas", "tombstones")
GROUPS = {
    "The answers of the service": _ANSWERS,
    "Access": ("control", "cors", "require_signature", "credential", "region"),
    "TLS": ("tls",),
    "Limits": ("max",),
}
"""Titles in the help of a command, and how the names of their options begin; the others have none."""


class GroupedCommand(click.Command):
    """A command with many options, which its help shows in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list of options for each group."""
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *GROUPS)}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                titles = [title for title, names in GROUPS.items() if str(param.name).startswith(names)]
                groups[titles[0] if titles else "Options"].append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


_DEFAULTS = {each.name: each.default for each in fields(Settings)}


class _ListType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A text. In a variable, commas or spaces separate several."""

    name = "text"

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split the value of a variable."""
        return split_list(rv)


SEED_OPTIONS = (
    option(
        "--seed",
        multiple=True,
        type=click.Path(readable=False),
        help="A file, a folder, or - for standard input; repeatable (with : in the variable).  [default: the demo]",
    ),
    option("--faults", type=click.Path(readable=False), help="A file with a list of faults."),
)
SIGNATURE_OPTIONS = (
    option("--require-signature", is_flag=True, help="Reject requests that none of the credentials has signed."),
    option(
        "--credential",
        multiple=True,
        metavar="KEY:SECRET",
        type=_ListType(),
        callback=_read_credential,
        help="An access key that may sign; repeatable.",
    ),
    option(
        "--credentials",
        "credentials_file",
        type=click.Path(readable=False),
        help="A file with credentials, or a folder of them; those of a session have its token.",
    ),
)
SETTING_OPTIONS = tuple(setting_option(name, setting, _DEFAULTS[name]) for name, setting in DECLARED.items())


def emulator_options(command: Any) -> Any:
    """Give a command the seed, the signature and the settings as options."""

    @functools.wraps(command)
    def convert(
        require_signature: bool, credential: list[Credentials], credentials_file: str | None, **options: Any
    ) -> Any:
        warn_of_unknown_variables()
        credentials = credential + (read_credentials(credentials_file) if credentials_file else [])
        if require_signature and not credentials:
            raise click.UsageError("--require-signature needs a --credential, or --credentials with at least one")
        if credentials and not require_signature:
            raise click.UsageError("credentials are only used with --require-signature")
        settings = {name: options.pop(name) for name in DECLARED}
        if settings["s3"] is None:  # the demo has a bucket, too
            is_demo = not (options["seed"] or options.get("seeds"))
            settings["s3"] = FolderObjects(Path(DEFAULT_S3), find_fixture("s3")) if is_demo else DEFAULT_S3
        return command(settings=settings | {"credentials": credentials}, **options)

    every = (*SEED_OPTIONS, *SIGNATURE_OPTIONS, *SETTING_OPTIONS)
    return functools.reduce(lambda command, add: add(command), reversed(every), convert)


def read_credentials(path: str) -> list[Credentials]:
    """Read a file with one or more credentials, or a folder of such files."""
    try:
        given = [read(list[Credentials] | Credentials) for _, _, read in find_documents([path])]
    except InvalidError as error:
        raise InvalidDocument(str(error)) from None
    return [each for one in given for each in (one if isinstance(one, list) else [one])]


def log_options(default_level: str) -> Callable[[Any], Any]:
    """Return the options for how much is logged, and in which form."""
    level = option(
        "--log-level",
        default=default_level,
        help="Log level; info logs one line per request, but no reads of the control API.",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        show_default=True,
    )
    form = option(
        "--log-format",
        default="text",
        help="Lines for people, or a JSON object on each line.",
        type=click.Choice(["text", "json"], case_sensitive=False),
        show_default=True,
    )
    return lambda command: level(form(command))


STANDARD_INPUT = "standard input"


def read_streams(sources: Iterable[str]) -> list[str | Stream]:
    """Read the sources that can be read once: ``-``, which is standard input, and pipes."""
    return list(map(read_stream, sources))


def read_stream(source: str) -> str | Stream:
    """Read a source if it can be read once."""
    return _read_whole(source) if source == "-" or _is_pipe(source) else source


def _is_pipe(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _read_whole(name: str) -> Stream:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except AttributeError:
        raise click.ClickException("cannot read -: standard input is closed") from None
    except OSError as error:
        raise click.ClickException(f"cannot read {name}: {error.strerror or error}") from None
    return Stream(STANDARD_INPUT if name == "-" else name, content)


def load(sources: Any, faults: Source | None = None, on_read: OnRead | None = None) -> Seed:
    """Load a seed. A mistake in it is reported in one line, with exit code 2."""
    try:
        return load_seed(*sources, faults=faults, on_read=on_read)
    except InvalidError as error:
        raise InvalidDocument(str(error)) from None


class InvalidDocument(click.ClickException):
    """A file that cannot be used."""

    exit_code = 2


def make_emulator(seed: Seed, settings: dict[str, Any]) -> Emulator:
    """Make an emulator. A mistake in the settings is reported in one line."""
    try:
        return Emulator(seed, **settings)
    except InvalidError as error:
        raise click.UsageError(str(error)) from None
    except ImportError as error:
        raise click.ClickException(str(error)) from None


def listen(emulator: Emulator, host: str, port: int, tls: SSLContext | None = None) -> Server:
    """Serve an emulator. If it cannot listen, the reason is reported in one line."""
    try:
        return emulator.serve(host, port, tls=tls)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--host") from None
    except OSError as error:
        in_use = "the port is in use; choose another with --port or HEALTHIMAGING_EMULATOR_PORT"
        reason = in_use if error.errno == errno.EADDRINUSE else error.strerror or error
        raise click.ClickException(f"cannot listen on {host} port {port}: {reason}") from None


def deliver_events(emulator: Emulator) -> None:
    """Let the receiver of events have the last ones, if it does not take too long."""
    with suppress(TimeoutError):
        emulator.deliver_events()


def summarize(baseline: Baseline) -> str:
    """Count the contents of a seed."""
    counts = {
        "data store": len(baseline),
        "image set": sum(map(len, baseline.values())),
        "version": count_versions(baseline),
    }
    return ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
