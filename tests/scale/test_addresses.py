"""A replica that comes back at another address, as a pod does, keeps its accounts."""

from __future__ import annotations

import socketserver
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from ipaddress import IPv4Address

import pytest

from healthimaging_emulator import Emulator, RemoteAccount, UnreachableError
from tests.conftest import DEMO
from tests.raw import until

from .balancers import ENVOY, HAPROXY, Balancer, free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has addresses such as 127.0.0.2")

NO_SUCH_NAME, ONE_ANSWER = b"\x81\x83\0\1\0\0\0\0\0\0", b"\x81\x80\0\1\0\1\0\0\0\0"
TYPE_A = b"\0\1"


class NameServer(socketserver.UDPServer):
    """Answers from a table of addresses by the first label of a name (RFC 1035)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.addresses: dict[str, str] = {}

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Answer(socketserver.BaseRequestHandler):
    server: NameServer

    def handle(self) -> None:
        query, client = self.request
        end = query.index(b"\0", 12)
        address = self.server.addresses.get(query[13 : 13 + query[12]].decode().lower())
        head, record = NO_SUCH_NAME, b""
        if address is not None and query[end + 1 : end + 3] == TYPE_A:
            head, record = ONE_ANSWER, struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + IPv4Address(address).packed
        client.sendto(query[:2] + head + query[12 : end + 5] + record, self.client_address)


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


ENVOY_RESOLVER = """type: STRICT_DNS
      typed_dns_resolver_config:
        name: envoy.network.dns_resolver.cares
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
          resolvers: [{{socket_address: {{address: 127.0.0.1, port_value: {}}}}}]"""


def ask_own_server(names: NameServer) -> dict[str, str]:
    """Return the changes that let HAProxy and Envoy ask a name server of this test."""
    return {
        "parse-resolv-conf": f"nameserver own 127.0.0.1:{names.port}",
        "init-addr libc": "init-addr 127.0.0.9",  # this machine does not know the names
        "type: STRICT_DNS": ENVOY_RESOLVER.format(names.port),
    }


# nginx asks for addresses only when it starts, as its configuration says.
@pytest.mark.parametrize("balancer", [HAPROXY, ENVOY], ids=lambda software: software.name, indirect=True)
def test_its_accounts_follow_it(balancer: Balancer, names: NameServer) -> None:
    port = free_port()
    names.addresses |= {"emulator-0": "127.0.0.2", "emulator-1": "127.0.0.3"}
    accounts = [RemoteAccount(balancer.url, f"{number:012}") for number in range(20)]
    with ExitStack() as stack:
        for host in names.addresses.values():
            stack.enter_context(Emulator.from_seed(DEMO).serve(host, port))
        balancer.start([(f"{name}.replicas.test", port) for name in names.addresses], ask_own_server(names))
        until(lambda: find_generations(accounts))
        before = find_generations(accounts)
        moved = stack.enter_context(Emulator.from_seed(DEMO).serve("127.0.0.4", port))
        names.addresses["emulator-1"] = "127.0.0.4"
        new = RemoteAccount(moved.url).generation
        until(lambda: new in find_generations(accounts))
        after = find_generations(accounts)
    stayed, replaced = sorted(set(before) & set(after)), set(before) - set(after)
    assert (len(stayed), len(replaced)) == (1, 1)
    assert after == [new if each in replaced else each for each in before]


def find_generations(accounts: list[RemoteAccount]) -> list[str]:
    """Return the replicas of accounts; none if one of them cannot be reached yet."""
    with suppress(UnreachableError):
        return [account.generation for account in accounts]
    return []
