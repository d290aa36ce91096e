"""``serve``: the emulator until it is told to stop."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from ..control.access import is_loopback
from ..credentials import DEFAULT_REGION
from ..documents import Stream
from ..healthimaging.baseline import Baseline
from ..seeds.loader import find_fixture
from ..server.listener import Server
from ..server.tls import load_certificate, make_self_signed
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
@option("--tls-cert", type=click.Path(readable=False), help="A certificate in PEM, to serve over TLS.")
@option("--tls-key", type=click.Path(readable=False), help="Its key.")
@option(
    "--tls-self-signed",
    metavar="[FILE]",
    is_flag=False,
    flag_value="healthimaging-emulator-ca.pem",
    help="Make a certificate, and write the authority that clients must trust to FILE.  [default: in this folder]",
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
    tls_cert: str | None,
    tls_key: str | None,
    tls_self_signed: str | None,
    settings: dict[str, Any],
) -> None:
    """Serve the emulator until it is told to stop, with seeds as of --seed.

    Example: healthimaging-emulator serve my-seed.json --port 0
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))  # process 1 of a container has no default handler
    sources = read_streams(seeds + seed) or [str(find_fixture("demo.json"))]
    rules = read_stream(faults) if faults else None
    files = SeedFiles(sources, rules)
    loaded = files.load()
    names = [name for name in (host, *settings["control_hosts"]) if name not in ("", "0.0.0.0", "::")]
    context, authority = _tls(tls_cert, tls_key, tls_self_signed, names)
    allow_descriptors(settings["max_connections"] + DESCRIPTORS)
    with signals_blocked(STOPPING):
        with background_log(log_level, log_format):
            emulator = make_emulator(loaded, settings)
            server = listen(emulator, host, port, context)
            if not settings["control_token"] and not is_loopback(host):
                _say(f"warning: {OPEN.format(host=host)}", err=True)
            _say(
                _banner(
                    server,
                    sources,
                    loaded.baseline,
                    _exports(emulator.signing_variables(), authority),
                )
            )
            with watching(files, emulator) if watch else nullcontext():
                wait_for(STOPPING)
                end_at_next(STOPPING)
            server.stop()
            deliver_events(emulator)
        end(0)


def _say(text: str, *, err: bool = False) -> None:
    with suppress(OSError):  # a full disk, for example: it serves all the same
        click.echo(text, err=err)


def _tls(
    cert: str | None, key: str | None, made: str | None, names: list[str]
) -> tuple[ssl.SSLContext | None, Path | None]:
    """Return the context of the server, and the file of the authority that clients must trust."""
    if (cert is None) != (key is None) or (cert is not None and made is not None):
        raise click.UsageError("give --tls-cert and --tls-key, or --tls-self-signed")
    try:
        if cert is not None and key is not None:
            return load_certificate(cert, key), None
        if made is None:
            return None, None
        context, authority = make_self_signed(names)
        Path(made).write_bytes(authority)
        return context, Path(made).absolute()
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(f"no certificate can be made for {', '.join(names)}: {error}") from None
    except ssl.SSLError:
        raise click.ClickException(
            f"TLS: expected {cert} and {key} to be a certificate and its key in PEM, unencrypted"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"TLS: {made if cert is None else f'{cert}, {key}'}: {error.strerror or error}"
        ) from None


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


def _banner(server: Server, sources: Sequence[str | Stream], baseline: Baseline, exports: str) -> str:
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

Ctrl-C stops it.
"""
