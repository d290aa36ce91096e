"""A load generator in a process of its own: a number of connections, each with one request under way.

    python -m benchmarks.load HOST PORT CONNECTIONS SECONDS METHOD TARGET [KEY]

prints requests a second and the latencies' quantiles, in seconds, as JSON. The access key is by default x; {} in it is
the number of the connection.
"""

from __future__ import annotations

import json
import re
import resource
import selectors
import socket
import sys
import time


def allow_descriptors() -> int:
    """Let this process open as many files as the system allows it, and return the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Connection:
    """A client's connection; one that the server closes after an answer is opened anew."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.address, self.request = address, request
        self.received = bytearray()
        self.wanted: int | None = None
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        self.received.clear()
        self.wanted = None
        self.begun = time.perf_counter()
        self.socket.sendall(self.request)

    def receive(self) -> tuple[bool, bool]:
        """Read on; return whether the answer is whole, and whether the server has closed the connection."""
        data = self.socket.recv(65536)
        self.received += data
        if self.wanted is None and (end := self.received.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"content-length: *(\d+)", self.received[:end].lower())
            if length:
                self.wanted = end + 4 + int(length[1])
        is_whole = self.wanted is not None and len(self.received) >= self.wanted
        if is_whole and not re.match(rb"HTTP/1\.[01] 200", self.received):
            raise SystemExit(f"an answer was {bytes(self.received[:100])!r}")
        if not data and not is_whole:
            raise SystemExit("a connection was closed in the middle of an answer")
        return is_whole, b"connection: close" in self.received[:500].lower() or self.received.startswith(b"HTTP/1.0")


def generate(host: str, port: int, connections: int, seconds: float, request: bytes) -> dict[str, float]:
    """Load a server, and return the requests a second and the quantiles."""
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        for number in range(connections):
            connection = Connection((host, port), request.replace(b"{}", b"%012d" % number))
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds or not latencies:
            for key, _ in selector.select(1):
                connection = key.data
                is_whole, is_closed = connection.receive()
                if not is_whole:
                    continue
                latencies.append(time.perf_counter() - connection.begun)
                if is_closed:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    connection.open()
                    selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send()
        elapsed = time.perf_counter() - begun
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    latencies.sort()
    return {
        "rate": len(latencies) / elapsed,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
    }


if __name__ == "__main__":
    host, port, connections, seconds, method, target, key = [*sys.argv[1:], "x"][:7]
    line = f"{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    auth = f"Authorization: AWS4-HMAC-SHA256 Credential={key}/20240101/us-east-1/emr-serverless/aws4_request\r\n"
    request = (line + auth + "Content-Length: 0\r\n\r\n").encode()
    print(json.dumps(generate(host, int(port), int(connections), float(seconds), request)))
