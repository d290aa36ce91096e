"""``serve``: the emulator until it is told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import click

from ..control.access import is_loopback
from ..credentials import DEFAULT_ACCOUNT, DEFAULT_REGION
from ..documents import Stream
from ..emulator import Emulator
from ..healthimaging.baseline import Baseline
from ..seeds.loader import Seed, find_fixture
from ..server.listener import Server
from ..settings import DEFAULT_PORT
from ..transports.environment import make_endpoint
from .log import background_log
from .options import (
    DEFAULT_HOST,
    GroupedCommand,
    Port,
    deliver_events,
    emulator_options,
    listen,
    log_options,
    make_emulator,
    read_stream,
    read_streams,
    summarize,
)
from .process import allow_descriptors, end, end_at_next, signals_blocked, wait_for
from .save import SavedAccounts, open_saved
from .tls import make_context
from .variables import option
from .watch import SeedFiles, watching

DESCRIPTORS = 200
"""Open files besides connections."""

STOPPING = {signal.SIGINT, signal.SIGTERM}
OPEN = "anybody who can reach {host} can control this emulator; set --control-token to require a secret"


@click.command(cls=GroupedCommand)
@click.argument("seeds", metavar="[SEED]...", nargs=-1, type=click.Path(readable=False))
@option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=Port(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@emulator_options
@option("--watch", is_flag=True, help="Load the seed and the faults again when their files change.")
@option(
    "--save",
    metavar="FILE",
    type=click.Path(dir_okay=False, readable=False),
    help="Write the accounts as seeds to FILE and beside it at the end, and begin with them if they are there.",
)
@option("--tls-cert", type=click.Path(readable=False), help="A certificate in PEM, to serve over TLS.")
@option("--tls-key", type=click.Path(readable=False), help="Its key.")
@option(
    "--tls-self-signed",
    metavar="[FILE]",
    is_flag=False,
    flag_value="healthimaging-emulator-ca.pem",
    help="Make a certificate, and write the authority that clients must trust to FILE.  "
    "[default: off; healthimaging-emulator-ca.pem without FILE]",
)
@log_options("info")
def serve(
    seeds: tuple[str, ...],
    host: str,
    port: int,
    seed: tuple[str, ...],
    faults: str | None,
    log_level: str,
    log_format: str,
    watch: bool,
    save: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_self_signed: str | None,
    settings: dict[str, Any],
) -> None:
    """Serve the emulator until it is told to stop, with seeds as of --seed.

    Example: healthimaging-emulator serve my-seed.json --port 0
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))  # process 1 of a container has no default handler
    if watch and save:
        raise click.UsageError("--save cannot be used with --watch, which would discard what was restored")
    sources = read_streams(seeds + seed) or [str(find_fixture("demo.json"))]
    rules = read_stream(faults) if faults else None
    files = SeedFiles(sources, rules)
    loaded = files.load()
    context = click.get_current_context()
    saved = context.with_resource(open_saved(save)) if save else None
    names = [name for name in (host, *settings["control_hosts"]) if name not in ("", "0.0.0.0", "::")]
    tls, authority = make_context(tls_cert, tls_key, tls_self_signed, names)
    allow_descriptors(settings["max_connections"] + DESCRIPTORS)
    with signals_blocked(STOPPING):
        with background_log(log_level, log_format):
            emulator = make_emulator(loaded, settings)
            if saved:
                saved.restore(emulator)
            server = listen(emulator, host, port, tls)
            if not settings["control_token"] and not is_loopback(host):
                _say(f"warning: {OPEN.format(host=host)}", err=True)
            _say(_banner(server, *_origin(sources, loaded, saved), _exports(emulator.signing_variables(), authority)))
            with watching(files, emulator) if watch else nullcontext():
                wait_for(STOPPING)
                end_at_next(STOPPING)
            server.stop()
            code = _save(saved, emulator)
            deliver_events(emulator)
        context.close()  # which ``end`` does not
        end(code)


def _save(saved: SavedAccounts | None, emulator: Emulator) -> int:
    """Save the accounts, if they are to be saved, and return the exit code."""
    reasons = saved.save(emulator) if saved else []
    for reason in reasons:
        _say(f"Error: {reason}", err=True)
    return 1 if reasons else 0


def _say(text: str, *, err: bool = False) -> None:
    with suppress(OSError):  # a full disk, for example: it serves all the same
        click.echo(text, err=err)


def _origin(
    sources: Sequence[str | Stream], loaded: Seed, saved: SavedAccounts | None
) -> tuple[Sequence[object], Baseline]:
    """Return the sources of the default account, and what it begins with."""
    if saved and DEFAULT_ACCOUNT in saved.seeds:
        return [saved.path], saved.seeds[DEFAULT_ACCOUNT].baseline
    return sources, loaded.baseline


def _exports(signing: dict[str, str], authority: Path | None) -> str:
    key, region = signing.get("AWS_ACCESS_KEY_ID", "emulator"), signing.get("AWS_REGION", DEFAULT_REGION)
    secret = "..." if signing else "emulator"
    lines = [
        f"AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret}",
        f"AWS_REGION={region} AWS_DEFAULT_REGION={region}",
    ]
    lines += ["AWS_SESSION_TOKEN=..."] if "AWS_SESSION_TOKEN" in signing else []
    lines += [f"AWS_CA_BUNDLE={authority} NODE_EXTRA_CA_CERTS={authority}"] if authority else []
    return "\n             ".join(f"export {line}" for line in lines)


def _banner(server: Server, sources: Sequence[object], baseline: Baseline, exports: str) -> str:
    from importlib.metadata import version  # slow to import; clients are answered meanwhile

    endpoint = make_endpoint(server.url)
    key = next(((datastore, image_set) for datastore in baseline for image_set in baseline[datastore]), ("...", "..."))
    return f"""\
healthimaging-emulator {version("healthimaging-emulator")} is ready at {server.url}
with {summarize(baseline)} from {", ".join(map(str, sources))}

any client   {exports}
boto3        boto3.client("medical-imaging", endpoint_url="{endpoint}")
AWS CLI      aws medical-imaging list-image-set-versions --endpoint-url {endpoint} \\
                 --datastore-id {key[0]} --image-set-id {key[1]}
JavaScript   new MedicalImagingClient({{ endpoint: "{server.url}", disableHostPrefix: true }})
browser      {server.url}/_emulator/

Ctrl-C stops it.
"""
