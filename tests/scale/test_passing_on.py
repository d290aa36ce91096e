"""Each balancer passes requests, answers and broken connections on as they come, and asks once."""

from __future__ import annotations

import json
import os
import socket
import string

import boto3
import pytest

from healthimaging_emulator import Credentials, Emulator, Fault
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import CHEST_CT, OTHER_DATASTORE, path
from tests.raw import HANG_SECONDS, JSON, exchange, request

from .balancers import ENVOY, NGINX, Balancer

STALL_SECONDS = 70.0 if float(os.environ.get("SOAK", "0")) >= 60 else 0.2
"""In ``make soak``, longer than what balancers wait by default."""


@pytest.fixture
def running(balancer: Balancer, server: Server) -> Balancer:
    balancer.start([(server.host, server.port)])
    return balancer


@pytest.mark.parametrize(
    "target",
    [
        "/tags/arn%3Aaws%3Amedical-imaging%3Aus-east-1%3A0%3Adatastore%2F0",
        "/a%2fb%2Fc/%C3%A9/%20/%7e~",
        "//two//slashes/",
        "/dots/../of/./a/path",
        "/colon:at@semicolon;equals=plus+comma,/",
    ],
)
def test_the_path_is_sent_as_it_is(running: Balancer, emulator: Emulator, target: str) -> None:
    assert running.ask(request("GET", f"{target}?a=%2F&b&a=+")).status in (200, 400, 404)
    assert [call.path for call in emulator.calls] == [target.replace("//two", "/two")]  # which the emulator makes of it


def test_a_signature_is_valid_behind_it(balancer: Balancer) -> None:
    """So host, path, query, headers and body are as the client signed them."""
    key = Credentials(access_key_id="111111111111", secret_access_key="a-secret")
    with Emulator.from_seed(DEMO, credentials=[key]).serve() as server:
        balancer.start([(server.host, server.port)])
        client = boto3.client(
            "medical-imaging",
            endpoint_url=balancer.url.replace("//", "//emulator@"),
            region_name="us-east-1",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )
        arn = f"arn:aws:medical-imaging:us-east-1:111111111111:datastore/{OTHER_DATASTORE}"
        client.tag_resource(resourceArn=arn, tags={"a/b+c=d": "é %2F"})
        client.untag_resource(resourceArn=arn, tagKeys=["a/b+c=d", "+"])
        assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def metadata_request() -> bytes:
    target = path(CHEST_CT, OTHER_DATASTORE).replace("listImageSetVersions", "getImageSetMetadata")
    return request("POST", target, "Accept-Encoding: identity")


def test_an_answer_comes_as_it_is(running: Balancer, server: Server) -> None:
    direct, passed = exchange(server, metadata_request()), running.ask(metadata_request())
    assert (passed.status, passed.body) == (direct.status, direct.body)
    for name in ("connection", "date", "x-amzn-requestid", *(["server"] if running.software is NGINX else [])):
        direct.headers.pop(name, None), passed.headers.pop(name, None)
    assert passed.headers == direct.headers


def test_a_large_body_is_sent_in_chunks(running: Balancer, emulator: Emulator) -> None:
    seed = {"datastores": [{"datastoreId": "1" * 32, "imageSets": []}], "imports": [], "faults": []}
    body = json.dumps(seed).encode() + b" " * 5_000_000
    head = request("PUT", "/_emulator/seed", JSON, "Transfer-Encoding: chunked", "Connection: close")
    with running.connect() as client:
        client.send(head.replace(b"Content-Length: 0\r\n", b""))
        client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert client.receive().status == 204
    assert [each.datastore_id for each in emulator.datastores] == ["1" * 32]


def test_a_long_head_is_sent(running: Balancer) -> None:
    token = f"x-amz-security-token: {'x' * 62_000}"
    assert running.ask(request("POST", path(), token)).status == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_emulator_is_not_replaced(running: Balancer, emulator: Emulator, status: int) -> None:
    emulator.faults.add(Fault.error("SomeException", "its text", status=status))
    reply = running.ask(request("POST", path()))
    assert (reply.status, reply.json["message"]) == (status, "its text")
    assert len(emulator.calls[0].attempts) == len(emulator.calls) == 1


def test_a_long_head_is_answered(running: Balancer, emulator: Emulator) -> None:
    ids = [letter * 90 for letter in string.ascii_letters]
    emulator.faults.add(*({"id": id, "latency": {"seconds": 0}} for id in ids))
    assert running.ask(request("POST", path())).headers["x-emulator-fault"] == ",".join(ids)[:4096]


def receive_all(running: Balancer, data: bytes) -> tuple[bytes, bool]:
    """Send a request, and return all bytes until the connection ends, and whether it is reset."""
    received = b""
    with socket.create_connection((running.host, running.port), STALL_SECONDS + HANG_SECONDS) as client:
        client.sendall(data)
        try:
            while chunk := client.recv(65536):
                received += chunk
        except ConnectionResetError:
            return received, True
    return received, False


@pytest.mark.parametrize(
    "fault",
    [Fault.connection("reset"), Fault.connection("close"), Fault.connection("stall", seconds=STALL_SECONDS)],
    ids=["reset", "close", "stall"],
)
def test_a_broken_connection_is_broken_for_the_client(running: Balancer, emulator: Emulator, fault: Fault) -> None:
    emulator.faults.add(fault)
    received, is_reset = receive_all(running, request("POST", path(), "Connection: close"))
    assert is_reset is (running.software is NGINX)
    assert received.startswith(b"HTTP/1.1 503 ") if running.software is ENVOY else received == b""
    assert [call.outcome for call in emulator.calls] == ["NoAnswer"]


def test_a_cut_answer_is_cut_for_the_client(running: Balancer, emulator: Emulator) -> None:
    whole = running.ask(metadata_request()).body
    emulator.faults.add(Fault.connection("cut"))
    received, _ = receive_all(running, metadata_request())
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"content-length: {len(whole)}" in head.decode().lower()
    assert body == whole[: len(whole) // 2]
