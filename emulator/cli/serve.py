"""``serve``: the emulator until it is told to stop."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from typing import Any

import click

from ..reach import environment
from ..reach.server import Server
from ..scenario import seeds
from ..service.store import Baseline
from .process import background_log, end, signals_blocked
from .settings import DEFAULT_HOST, DEFAULT_PORT, Port, emulator_settings, listen, load, log_level, setting, summary

STOPPING = {signal.SIGINT, signal.SIGTERM}


@click.command()
@setting("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
@setting("--port", default=DEFAULT_PORT, show_default=True, type=Port(0, 65535), help="0 takes a free one.")
@emulator_settings
@log_level("info")
def serve(host: str, port: int, seed: tuple[str, ...], faults: str | None, log_level: str, **settings: Any) -> None:
    """Serve the emulator until it is told to stop.

    Example: healthimaging-emulator serve --seed my-seed.json --port 0
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as process 1 of a container, nobody else would
    sources = seed or (str(seeds.fixture("demo")),)
    loaded = load(sources, faults)
    with signals_blocked(STOPPING):
        with background_log(log_level):
            server = listen(loaded, host, port, **settings)
            click.echo(_banner(server, sources, loaded.baseline))
            signal.sigwait(STOPPING)
            server.stop()
        end(0)


def _banner(server: Server, sources: tuple[str, ...], baseline: Baseline) -> str:
    endpoint = environment.endpoint(server.url)
    key = next(((datastore, image_set) for datastore in baseline for image_set in baseline[datastore]), ("...", "..."))
    return f"""\
healthimaging-emulator {version("healthimaging-emulator")} is ready at {server.url}
with {summary(baseline)} from {", ".join(sources)}

any client   export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator
             export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
boto3        boto3.client("medical-imaging", endpoint_url="{endpoint}")
AWS CLI      aws medical-imaging list-image-set-versions --endpoint-url {endpoint} \\
                 --datastore-id {key[0]} --image-set-id {key[1]}
JavaScript   new MedicalImagingClient({{ endpoint: "{server.url}", disableHostPrefix: true }})

Ctrl-C stops it.
"""
