"""What commands share: the emulator's settings as options and variables, and the seed that they name."""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Callable
from dataclasses import fields
from ssl import SSLContext
from typing import Any

import click
import msgspec

from healthimaging_emulator.aws.credentials import Credentials
from healthimaging_emulator.emulator import DEFAULT_TOKEN_KEY, Emulator
from healthimaging_emulator.healthimaging.store import Baseline
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.loader import Seed
from healthimaging_emulator.seeds.reader import SeedError, documents
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.settings import Limits

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 4580


def setting(name: str, *names: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return an option that an environment variable sets as well."""
    variable = "HEALTHIMAGING_EMULATOR_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *names, envvar=variable, show_envvar=True, **attributes)


class Port(click.IntRange):
    """Kubernetes sets our variable to ``tcp://10.0.0.1:4580`` beside a service that is called as we are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return DEFAULT_PORT if str(value).startswith("tcp://") else super().convert(value, param, ctx)


def account(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Check the option ``--account``."""
    if value is not None and not re.fullmatch("[0-9]{12}", value):
        raise click.BadParameter("an account has 12 digits")
    return value


def _credential(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[Credentials]:
    """Read the option ``--credential``, without showing what it holds."""
    pairs = [value.partition(":") for value in values]
    try:
        return [
            msgspec.convert({"AccessKeyId": key, "SecretAccessKey": secret}, Credentials) for key, _, secret in pairs
        ]
    except msgspec.ValidationError:
        raise click.BadParameter("a credential is ACCESS_KEY:SECRET") from None


EMULATOR = (
    setting(
        "--seed",
        multiple=True,
        type=click.Path(readable=False),
        help="A file, or a folder of them; repeatable (with : in the variable).  [default: the demo]",
    ),
    setting("--faults", type=click.Path(readable=False), help="A file with a list of fault rules."),
    setting(
        "--page-size",
        default=50,
        show_default=True,
        type=click.IntRange(1, 50),
        help="Entries a page where the request has no maxResults.",
    ),
    setting("--token-key", default=DEFAULT_TOKEN_KEY, help="Seals the tokens; replicas share it."),
    setting(
        "--token-lifetime",
        type=click.FloatRange(0, min_open=True),
        help="Seconds for which a token is good.  [default: for ever]",
    ),
    setting("--control-token", help="Asked for by the control API.  [default: none]"),
    setting(
        "--control-host",
        "control_hosts",
        multiple=True,
        metavar="HOST",
        help="A name by which the control API may be called besides loopback's, without a token; repeatable.",
    ),
    setting(
        "--cors-origin",
        "cors_origins",
        multiple=True,
        metavar="ORIGIN",
        help="Whose pages may read the answers in a browser, or *; repeatable.  [default: nobody's]",
    ),
    setting("--require-signature", is_flag=True, help="Refuse requests that no credential has signed."),
    setting(
        "--credential",
        multiple=True,
        metavar="KEY:SECRET",
        callback=_credential,
        help="An access key that signs; repeatable.",
    ),
    setting(
        "--credentials",
        "credentials_file",
        type=click.Path(readable=False),
        help="A file with some, or a folder of them; a session has its token there.",
    ),
    setting("--region", help="The only region that is signed for.  [default: any]"),
    *(
        setting(
            f"--max-{limit.name.replace('_', '-')}",
            default=limit.default,
            show_default=True,
            type=click.IntRange(1),
            help=limit.metadata["what"],
        )
        for limit in fields(Limits)
    ),
)


def emulator_settings(command: Any) -> Any:
    """Give a command the emulator's settings."""

    @functools.wraps(command)
    def converted(
        require_signature: bool, credential: list[Credentials], credentials_file: str | None, **options: Any
    ) -> Any:
        limits = Limits(**{limit.name: options.pop(f"max_{limit.name}") for limit in fields(Limits)})
        credentials = credential + (read_credentials(credentials_file) if credentials_file else [])
        if require_signature and not credentials:
            raise click.UsageError("--require-signature wants a --credential, or --credentials with one at least")
        if credentials and not require_signature:
            raise click.UsageError("credentials are only looked at with --require-signature")
        return command(credentials=credentials, limits=limits, **options)

    return functools.reduce(lambda command, option: option(command), reversed(EMULATOR), converted)


def read_credentials(path: str) -> list[Credentials]:
    """Read a file with one or more credentials, or a folder of such files."""
    try:
        given = [read(list[Credentials] | Credentials) for _, read in documents([path])]
    except SeedError as error:
        raise BadSeed(str(error)) from None
    return [each for one in given for each in (one if isinstance(one, list) else [one])]


def log_level(default: str) -> Callable[[Any], Any]:
    """Return the option for how much is logged."""
    return setting(
        "--log-level",
        default=default,
        help="From info on, one line a request.",
        type=click.Choice(["debug", "info", "warning", "error"]),
        show_default=True,
    )


def load(sources: Any, faults: str | None = None) -> Seed:
    """Load a seed; what is wrong with it is one line, and exit code 2."""
    try:
        return seeds.load(*sources, faults=faults)
    except SeedError as error:
        raise BadSeed(str(error)) from None


class BadSeed(click.ClickException):
    """A seed that cannot be served."""

    exit_code = 2


def emulating(seed: Seed, **settings: Any) -> Emulator:
    """Make an emulator; why that cannot be is one line."""
    try:
        return Emulator(seed, **settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except ImportError as error:
        raise click.ClickException(f"{error}; install the extra sigv4: healthimaging-emulator[sigv4]") from None


def listen(emulator: Emulator, host: str, port: int, tls: SSLContext | None = None) -> Server:
    """Serve an emulator; why that cannot be is one line."""
    try:
        return emulator.serve(host, port, tls=tls)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--host") from None
    except OSError as error:
        in_use = "the port is in use; choose another with --port or HEALTHIMAGING_EMULATOR_PORT"
        reason = in_use if error.errno == errno.EADDRINUSE else error.strerror or error
        raise click.ClickException(f"cannot listen on {host} port {port}: {reason}") from None


def summary(baseline: Baseline) -> str:
    """Count what a seed holds."""
    histories = [history for image_sets in baseline.values() for history in image_sets.values()]
    counts = {"data store": len(baseline), "image set": len(histories), "version": sum(map(len, histories))}
    return ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
