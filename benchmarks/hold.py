"""A client that holds connections until its input ends.

    python -m benchmarks.hold HOST PORT CONNECTIONS TARGET idle|stalled

Each connection sends one request. ``idle`` reads the answer and leaves the connection open; ``stalled`` does not wait
for one. It prints a line when all requests are sent, and for ``idle`` answered.
"""

from __future__ import annotations

import sys

from .load import Connection, allow_descriptors


def main() -> None:
    host, port, number, target, kind = sys.argv[1:]
    allow_descriptors()
    request = f"POST {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 0\r\n\r\n".encode()
    held = []
    for _ in range(int(number)):
        connection = Connection((host, int(port)), request)
        connection.send()
        while kind == "idle" and not connection.receive()[0]:
            pass
        held.append(connection)
    print("held", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
