"""``serve``: the emulator until it is told to stop."""

from __future__ import annotations

import os
import signal
import ssl
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from healthimaging_emulator.cli.process import allow_descriptors, background_log, end, end_at_next, signals_blocked
from healthimaging_emulator.cli.settings import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    Port,
    emulating,
    emulator_settings,
    listen,
    load,
    log_level,
    setting,
    summary,
)
from healthimaging_emulator.control.access import is_loopback
from healthimaging_emulator.healthimaging.store import Baseline
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.server import tls
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports import environment

DESCRIPTORS = 200
"""Files that are open besides connections."""

STOPPING = {signal.SIGINT, signal.SIGTERM}
OPEN = "who reaches {host} from elsewhere may change what this emulator answers; --control-token asks for a secret"


@click.command()
@setting("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@setting("--port", default=DEFAULT_PORT, show_default=True, type=Port(0, 65535), help="0 takes a free one.")
@emulator_settings
@setting("--tls-cert", type=click.Path(readable=False), help="A certificate in PEM, to be reached over TLS.")
@setting("--tls-key", type=click.Path(readable=False), help="Its key.")
@setting(
    "--tls-self-signed",
    metavar="[FILE]",
    is_flag=False,
    flag_value="healthimaging-emulator-ca.pem",
    help="Make a certificate, and write the authority that clients trust to FILE.  [default: in this folder]",
)
@log_level("info")
def serve(
    host: str,
    port: int,
    seed: tuple[str, ...],
    faults: str | None,
    log_level: str,
    tls_cert: str | None,
    tls_key: str | None,
    tls_self_signed: str | None,
    **settings: Any,
) -> None:
    """Serve the emulator until it is told to stop.

    Example: healthimaging-emulator serve --seed my-seed.json --port 0
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))  # as process 1 of a container, nobody else would
    sources = seed or (str(seeds.fixture("demo")),)
    loaded = load(sources, faults)
    names = [name for name in (host, *settings["control_hosts"]) if name not in ("", "0.0.0.0", "::")]
    context, authority = _tls(tls_cert, tls_key, tls_self_signed, names)
    allow_descriptors(settings["limits"].connections + DESCRIPTORS)
    with signals_blocked(STOPPING):
        with background_log(log_level):
            emulator = emulating(loaded, **settings)
            server = listen(emulator, host, port, context)
            if not settings["control_token"] and not is_loopback(host):
                _say(f"warning: {OPEN.format(host=host or 'it')}", err=True)
            _say(_banner(server, ", ".join(sources), loaded.baseline, _exports(emulator.signing(), authority)))
            signal.sigwait(STOPPING)
            end_at_next(STOPPING)
            server.stop()
        end(0)


def _say(text: str, *, err: bool = False) -> None:
    with suppress(OSError):  # of a full disk, say: it serves all the same
        click.echo(text, err=err)


def _tls(
    cert: str | None, key: str | None, made: str | None, names: list[str]
) -> tuple[ssl.SSLContext | None, Path | None]:
    """Return what the server needs for TLS, and what a client needs: the file of the authority to trust."""
    if (cert is None) != (key is None) or (cert is not None and made is not None):
        raise click.UsageError("give --tls-cert and --tls-key, or --tls-self-signed")
    try:
        if cert is not None and key is not None:
            return tls.loaded(cert, key), None
        if made is None:
            return None, None
        context, authority = tls.self_signed(names)
        Path(made).write_bytes(authority)
        return context, Path(made).absolute()
    except ImportError:
        raise click.ClickException("trustme is needed, the extra tls: healthimaging-emulator[tls]") from None
    except ValueError as error:
        raise click.UsageError(f"no certificate can be made for {', '.join(names)}: {error}") from None
    except ssl.SSLError:
        raise click.ClickException(
            f"TLS: {cert} and {key} are no certificate and its key in PEM, unencrypted"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"TLS: {made if cert is None else f'{cert}, {key}'}: {error.strerror or error}"
        ) from None


def _exports(signing: dict[str, str], authority: Path | None) -> str:
    key, region = signing.get("AWS_ACCESS_KEY_ID", "emulator"), signing.get("AWS_REGION", environment.REGION)
    secret = "..." if signing else "emulator"
    lines = [
        f"AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret}",
        f"AWS_REGION={region} AWS_DEFAULT_REGION={region}",
    ]
    lines += ["AWS_SESSION_TOKEN=..."] if "AWS_SESSION_TOKEN" in signing else []
    lines += [f"AWS_CA_BUNDLE={authority} NODE_EXTRA_CA_CERTS={authority}"] if authority else []
    return "\n             ".join(f"export {line}" for line in lines)


def _banner(server: Server, sources: str, baseline: Baseline, exports: str) -> str:
    endpoint = environment.endpoint(server.url)
    key = next(((datastore, image_set) for datastore in baseline for image_set in baseline[datastore]), ("...", "..."))
    return f"""\
healthimaging-emulator {version("healthimaging-emulator")} is ready at {server.url}
with {summary(baseline)} from {sources}

any client   {exports}
boto3        boto3.client("medical-imaging", endpoint_url="{endpoint}")
AWS CLI      aws medical-imaging list-image-set-versions --endpoint-url {endpoint} \\
                 --datastore-id {key[0]} --image-set-id {key[1]}
JavaScript   new MedicalImagingClient({{ endpoint: "{server.url}", disableHostPrefix: true }})

Ctrl-C stops it.
"""
