"""The peers of the emulator: servers as processes of their own, and clients that need no server."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from healthimaging_emulator import Emulator

from .measure import pick

ROOT = Path(__file__).parents[1]
DATASTORE, MANY = "12345678901234567890123456789012", "00000000000000000000000000000137"
IDS = {"datastoreId": DATASTORE, "imageSetId": MANY}
TARGET = f"/datastore/{DATASTORE}/imageSet/{MANY}/listImageSetVersions"
APPLICATIONS = 137
CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
OPTIONS: dict[str, Any] = {**CREDENTIALS, "config": Config(retries={"total_max_attempts": 1})}
HANG_SECONDS = 60


# Clients.


def pages() -> list[bytes]:
    """Return the bodies of the three pages of 137 versions, as the emulator sends them."""
    client, bodies, target = Emulator.from_seed().app.test_client(), [], TARGET
    while target:
        response = client.post(target)
        bodies.append(response.get_data())
        token = response.json.get("nextToken") if response.json else None
        target = f"{TARGET}?nextToken={token}" if token else ""
    return bodies


class Raw(io.BytesIO):
    """The part of a response that botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def canned(body_for: Callable[[str], bytes]) -> Any:
    """Return a boto3 client whose requests are answered with constant bytes, by their URL: the floor of any client."""
    client = boto3.client("medical-imaging", **OPTIONS)
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": "00000000-0000-0000-0000-000000000000"}

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, headers, Raw(body_for(request.url)))

    client.meta.events.register("before-send.medical-imaging", answer)
    return client


def canned_pages(bodies: list[bytes]) -> Any:
    """Return a client that lists pages from constant bytes."""
    by_token = dict(zip([None, *map(token_of, bodies)], bodies, strict=False))
    return canned(lambda url: by_token[url.partition("nextToken=")[2].replace("%7E", "~") or None])


def token_of(body: bytes) -> str | None:
    found = body.rpartition(b'"nextToken":"')[2]
    return found.removesuffix(b'"}').decode() if found != body else None


def list_versions(client: Any) -> Callable[[], object]:
    return lambda: client.list_image_set_versions(**IDS)


def list_applications(client: Any) -> Callable[[], object]:
    """Moto has no HealthImaging; this operation of it is REST-JSON, and lists 50 a page, too."""
    return lambda: client.list_applications(maxResults=50)


def list_all_versions(client: Any) -> None:
    for _ in client.get_paginator("list_image_set_versions").paginate(**IDS):
        pass


def list_all_applications(client: Any) -> None:
    for _ in client.get_paginator("list_applications").paginate(PaginationConfig={"PageSize": 50}):
        pass


def create_applications(client: Any, number: int = APPLICATIONS) -> None:
    for index in range(number):
        client.create_application(name=f"application-{index}", releaseLabel="emr-6.6.0", type="SPARK")


def make_client(port: int) -> Any:
    return boto3.client("medical-imaging", endpoint_url=f"http://emulator@127.0.0.1:{port}", **OPTIONS)


def make_moto_client(port: int) -> Any:
    return boto3.client("emr-serverless", endpoint_url=f"http://127.0.0.1:{port}", **OPTIONS)


# Processes.


def run_program(*command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a program and return its output. Raises ``RuntimeError`` with the last line of its errors."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    if finished.returncode:
        raise RuntimeError(f"exit code {finished.returncode}: {_last_line(finished.stderr)}")
    return finished.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


class Process(NamedTuple):
    """A program that runs, and the file of its standard error."""

    running: subprocess.Popen[bytes]
    errors: IO[bytes]

    def wait_for(self, port: int) -> None:
        """Return when the program listens. Raises ``RuntimeError`` if it ends instead."""
        deadline = time.monotonic() + HANG_SECONDS
        while self.running.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)  # not every server says when it listens
        self.errors.seek(0)
        raise RuntimeError(f"a server ended: {_last_line(self.errors.read().decode())}")

    @property
    def resident(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def process(*command: str, cwd: Path = ROOT) -> Iterator[Process]:
    """Run a program inside a ``with`` block."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=cwd) as running,
    ):
        try:
            yield Process(running, errors)
        finally:
            running.terminate()
            try:
                running.wait(HANG_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# Servers.

Command = Callable[[int], list[str]]
"""Makes the command of a server from its port."""


@contextmanager
def serving(command: Command, *, cwd: Path = ROOT) -> Iterator[int]:
    """Start a server on a free port and wait until it listens."""
    port = free_port()
    with process(*command(port), cwd=cwd) as started:
        started.wait_for(port)
        yield port


def emulator_command(port: int) -> list[str]:
    return [sys.executable, "-m", "healthimaging_emulator", "serve", "--port", str(port), "--log-level", "error"]


def moto_command(port: int) -> list[str]:
    return [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]


def granian_command(port: int) -> list[str]:
    granian = str(Path(sys.executable).parent / "granian")
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return [granian, "--interface", "wsgi", *address, "--no-ws", "benchmarks.replica:app"]


def bare_flask_command(port: int, page: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.bare_flask", str(page), str(port)]


def find_nginx() -> str | None:
    """Return the path of nginx, if it is installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def nginx_serving(body: bytes) -> Iterator[int]:
    """Serve one page with nginx: the floor of HTTP."""
    location = "try_files /page.json =404; error_page 405 =200 /page.json; default_type application/json;"
    with _nginx(location, body=body) as port:
        yield port


@contextmanager
def nginx_before(ports: list[int]) -> Iterator[int]:
    """Let nginx hand requests to servers, to each in turn."""
    servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
    proxy = 'proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Connection "";'
    with _nginx(proxy, upstream=f"upstream replicas {{ {servers} keepalive 64; }}") as port:
        yield port


@contextmanager
def _nginx(location: str, *, body: bytes = b"", upstream: str = "") -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.json").write_bytes(body)
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(
            f"""
            daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; master_process off;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 100000000; tcp_nodelay on;
                client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
                {upstream}
                server {{ listen 127.0.0.1:{port}; root {folder}; location / {{ {location} }} }}
            }}"""
        )
        os.chmod(folder, 0o755)
        with process(str(find_nginx()), "-c", str(configuration), "-p", folder) as started:
            started.wait_for(port)
            yield port


class Load(NamedTuple):
    """The result of a burst of load: requests a second, and quantiles of the latency in seconds."""

    rate: float
    p50: float
    p99: float


BURST_SECONDS = pick(1.5, 0.1)


def load(port: int, connections: int, method: str = "POST", target: str = TARGET, *, key: str = "x") -> Load:
    """Load a server from a process of its own; ``{}`` in the access key is the number of a connection."""
    command = [sys.executable, "-m", "benchmarks.load", "127.0.0.1", str(port), str(connections), str(BURST_SECONDS)]
    return Load(**json.loads(run_program(*command, method, target, key)))
