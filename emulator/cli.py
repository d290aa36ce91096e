"""The command line."""

from __future__ import annotations

import errno
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from logging.handlers import QueueHandler
from typing import Any

import click
import msgspec

from .emulator import DEFAULT_TOKEN_KEY, Emulator
from .reach import environment
from .reach.server import Server
from .scenario import seeds
from .scenario.documents import SeedError
from .scenario.generate import DEFAULT_CREATED_AT
from .scenario.seeds import Seed
from .service.store import Baseline

DEFAULT_PORT = 4580

STOPPING = {signal.SIGINT, signal.SIGTERM}

LOG_SECONDS = 1.0
"""How long the end of the log may take to be written."""


def setting(name: str, **attributes: Any) -> Callable[[Any], Any]:
    """Return an option that an environment variable sets as well."""
    variable = "HEALTHIMAGING_EMULATOR_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, **attributes)


class _Port(click.IntRange):
    """Kubernetes sets our variable to ``tcp://10.0.0.1:4580`` beside a service that is called as we are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return DEFAULT_PORT if str(value).startswith("tcp://") else super().convert(value, param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="healthimaging-emulator")
def main() -> None:
    """Emulate AWS HealthImaging's version history, for testing code that calls it."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)


@main.command()
@setting("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@setting("--port", default=DEFAULT_PORT, show_default=True, type=_Port(0, 65535), help="0 takes a free one.")
@setting(
    "--seed",
    multiple=True,
    type=click.Path(readable=False),
    help="A file, or a folder of them; repeatable (with : in the variable).  [default: the demo]",
)
@setting("--faults", type=click.Path(readable=False), help="A file with a list of fault rules.")
@setting(
    "--page-size",
    default=50,
    show_default=True,
    type=click.IntRange(1, 50),
    help="Entries a page where the request has no maxResults.",
)
@setting("--token-key", default=DEFAULT_TOKEN_KEY, help="Seals the tokens; replicas share it.")
@setting(
    "--token-lifetime",
    type=click.FloatRange(0, min_open=True),
    help="Seconds for which a token is good.  [default: for ever]",
)
@setting("--control-token", help="Asked for by the control API.  [default: none]")
@setting(
    "--log-level",
    default="info",
    help="From info on, one line a request.",
    type=click.Choice(["debug", "info", "warning", "error"]),
    show_default=True,
)
def serve(host: str, port: int, seed: tuple[str, ...], faults: str | None, log_level: str, **settings: Any) -> None:
    """Serve the emulator until it is told to stop.

    Example: healthimaging-emulator serve --seed my-seed.json --port 0
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as process 1 of a container, nobody else would
    sources = seed or (str(seeds.fixture("demo")),)
    loaded = _load(sources, faults)
    with signals_blocked():
        with background_log(log_level.upper()):
            server = _listen(loaded, host, port, **settings)
            click.echo(_banner(server, sources, loaded.baseline))
            signal.sigwait(STOPPING)
            server.stop()
        sys.stdout.flush()
        os._exit(0)  # a log that nobody reads would hold up the ordinary way out


def _listen(seed: Seed, host: str, port: int, **settings: Any) -> Server:
    try:
        return Emulator(seed, **settings).serve(host, port)
    except OSError as error:
        in_use = "the port is in use; choose another with --port"
        reason = in_use if error.errno == errno.EADDRINUSE else error.strerror or error
        raise click.ClickException(f"cannot listen on {host} port {port}: {reason}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Keep the signals that stop us for ``sigwait``: a handler can miss one that comes while another is handled.

    Threads that are started meanwhile keep them blocked, or the system would hand them a signal.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def background_log(level: str) -> Iterator[None]:
    """Log on standard error from a thread of its own: a pipe that nobody reads holds up no request, but loses lines."""
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(maxsize=10_000)
    handler = _LossyHandler(lines)
    writer = threading.Thread(target=_write, args=(lines,), daemon=True)
    logger = logging.getLogger("emulator")
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(handler)
    writer.start()
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with suppress(queue.Full):
            lines.put_nowait(None)
        writer.join(LOG_SECONDS)


class _LossyHandler(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


def _write(lines: queue.Queue[logging.LogRecord | None]) -> None:
    out = logging.StreamHandler(sys.stderr)
    while line := lines.get():
        out.handle(line)


@main.group("seed")
def seed_() -> None:
    """Check and make seeds."""


@seed_.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(readable=False))
def check(sources: tuple[str, ...]) -> None:
    """Say whether files or folders are a seed: exit code 0, or 2 and what is wrong.

    Example: healthimaging-emulator seed check my-seed.json
    """
    click.echo(f"ok: {_summary(_load(sources).baseline)}")


@seed_.command("generate")
@click.option("--versions", default=137, show_default=True, help="How many.")
@click.option("--failed", default=0, show_default=True, help="How many of them record a failed action.")
@click.option("--seed", default=0, show_default=True, help="The same number gives the same history.")
@click.option("--created-at", default=str(DEFAULT_CREATED_AT), show_default=True, help="Epoch seconds, or ISO 8601.")
@click.option("--datastore-id", default="1234567890" * 3 + "12", show_default=True)
@click.option("--image-set-id", default="0" * 31 + "1", show_default=True)
@click.option("--output", default="-", type=click.File("wb", lazy=True), help="A file.  [default: standard output]")
def generate_(datastore_id: str, image_set_id: str, output: Any, **numbers: Any) -> None:
    """Write a seed with one image set and a history made from a few numbers.

    Example: healthimaging-emulator seed generate --versions 1000 --failed 20 --output my-seed.json
    """
    renamed = {"createdAt" if name == "created_at" else name: value for name, value in numbers.items()}
    with suppress(ValueError):  # then it is ISO 8601
        renamed["createdAt"] = float(renamed["createdAt"])
    image_set = {"imageSetId": image_set_id, "generate": renamed}
    seed = _load([{"datastores": [{"datastoreId": datastore_id, "imageSets": [image_set]}]}])
    try:
        output.write(msgspec.json.format(seeds.dump(seed.baseline), indent=2) + b"\n")
        output.flush()
    except OSError as error:
        raise click.ClickException(f"cannot write {output.name}: {error.strerror}") from None


@seed_.command()
def schema() -> None:
    """Print the JSON Schema of a seed, for an editor.

    Example: healthimaging-emulator seed schema > seed.schema.json
    """
    click.echo(msgspec.json.format(msgspec.json.encode(seeds.schema()), indent=2))


def _load(sources: Any, faults: str | None = None) -> Seed:
    try:
        return seeds.load(*sources, faults=faults)
    except SeedError as error:
        raise _BadSeed(str(error)) from None


class _BadSeed(click.ClickException):
    exit_code = 2


def _summary(baseline: Baseline) -> str:
    histories = [history for image_sets in baseline.values() for history in image_sets.values()]
    counts = {"data store": len(baseline), "image set": len(histories), "version": sum(map(len, histories))}
    return ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())


def _banner(server: Server, sources: tuple[str, ...], baseline: Baseline) -> str:
    endpoint = environment.endpoint(server.url)
    key = next(((datastore, image_set) for datastore in baseline for image_set in baseline[datastore]), ("...", "..."))
    return f"""\
healthimaging-emulator {version("healthimaging-emulator")} is ready at {server.url}
with {_summary(baseline)} from {", ".join(sources)}

any client   export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator
             export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
boto3        boto3.client("medical-imaging", endpoint_url="{endpoint}")
AWS CLI      aws medical-imaging list-image-set-versions --endpoint-url {endpoint} \\
                 --datastore-id {key[0]} --image-set-id {key[1]}
JavaScript   new MedicalImagingClient({{ endpoint: "{server.url}", disableHostPrefix: true }})

Ctrl-C stops it.
"""
