"""The log of ``serve``: lines for people, and JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Fault, RemoteAccount
from healthimaging_emulator.cli.log import TextLines
from tests.cli.conftest import Address, ask, run, serving
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN, path
from tests.raw import HANG_SECONDS, JSON, Client, request

SUBJECT = "ListImageSetVersions 1234..9012/ea92..f87e page 1"
PLAIN_HTTP = "this port speaks plain HTTP, not TLS: use an http:// URL"


def send(banner: list[str], *requests: bytes) -> None:
    with Client(Address(banner)) as client:  # type: ignore[arg-type]
        for each in requests:
            client.send(each)
            client.receive()


def make_requests(banner: list[str]) -> None:
    """Make requests of every kind, one after another."""
    account = RemoteAccount(f"http://127.0.0.1:{Address(banner).port}", "111111111111")
    account.faults.add(
        Fault.error("ThrottlingException", id="busy", times=1), Fault.connection("close", skip=1, id="gone")
    )
    signed = "Authorization: AWS4-HMAC-SHA256 Credential=111111111111/20260101/us-east-1/medical-imaging/aws4_request"
    send(banner, request("POST", path(), signed), request("POST", path(MANY), signed))
    with pytest.raises((IndexError, ConnectionError)):
        send(banner, request("POST", path(), signed))
    send(banner, request("POST", path(UNKNOWN)), request("POST", "/nowhere"), request("GET", "/_emulator/calls"))
    send(banner, request("POST", "/_emulator/reset", JSON, body=b'{"only": ["x"]}'))
    with pytest.raises(ssl.SSLError), Client(Address(banner)) as client:  # type: ignore[arg-type]
        ssl.create_default_context().wrap_socket(client.socket, server_hostname="localhost")


def logged(*options: str, **variables: str) -> list[str]:
    with serving(*options, **variables) as (process, banner):
        make_requests(banner)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        return process.stderr.read().splitlines()


def test_lines_for_people_are_in_columns() -> None:
    lines = logged()
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line) for line in lines)
    assert sorted(re.sub(r"\d+\.\d ms", "T ms", line[13:]) for line in lines) == [  # each connection has a thread
        f"-            {'- -':<52} 400 BadRequestException T ms: {PLAIN_HTTP}",
        f"000000000000 {SUBJECT.replace('ea92..f87e', 'ffff..ffff'):<52} 404 ResourceNotFoundException T ms",
        f"000000000000 {'POST /_emulator/reset':<52} 400 T ms: $.only[0]: Invalid enum value 'x': "
        "expected one of calls, changes, clock, faults",
        f"000000000000 {'POST /nowhere':<52} 404 UnknownOperationException T ms",
        f"111111111111 {SUBJECT.replace('ea92..f87e', '0000..0137'):<52} 200 T ms",
        f"111111111111 {SUBJECT:<52} - close T ms by gone",
        f"111111111111 {SUBJECT:<52} 429 ThrottlingException T ms by busy",
        f"111111111111 {'POST /_emulator/faults':<52} 200 T ms",
    ]


def test_json_is_an_object_a_line() -> None:
    lines = [json.loads(line) for line in logged("--log-format", "json")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time")) for line in lines)
    requests = [line for line in lines if "message" not in line]
    assert all(0 <= line.pop("milliseconds") < 60_000 for line in requests)
    service: dict[str, Any] = {
        "level": "info",
        "account": "111111111111",
        "method": "POST",
        "target": path(),
        "operation": "ListImageSetVersions",
        "identifiers": {"datastoreId": [DATASTORE], "imageSetId": [SAMPLE]},
        "page": 1,
    }
    assert service | {"status": 429, "code": "ThrottlingException", "faults": ["busy"]} in requests
    assert service | {"code": "close", "faults": ["gone"]} in requests
    assert {
        "level": "info",
        "account": "000000000000",
        "method": "POST",
        "target": "/_emulator/reset",
        "status": 400,
        "reason": "$.only[0]: Invalid enum value 'x': expected one of calls, changes, clock, faults",
    } in requests
    assert PLAIN_HTTP in [line.get("reason") for line in requests]


def test_other_messages_are_objects_too(tmp_path: Path) -> None:
    with serving("--tls-self-signed", str(tmp_path / "ca.pem"), "--log-format", "json") as (process, banner):
        with Client(Address(banner)) as client:  # type: ignore[arg-type]
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.receive().status == 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        (line,) = map(json.loads, process.stderr)
    text = "a TLS handshake failed: this port speaks TLS: use an https:// URL"
    assert (line["level"], line["message"]) == ("info", text)


def test_a_line_of_json_has_no_characters_that_end_it_or_control_the_terminal() -> None:
    name = "\x9b2J\u2028\x7f\U000e0041é"
    with serving("--log-format", "json") as (process, banner):
        opening = request("PUT", "/_emulator/accounts/900000000001", JSON, body=json.dumps({"name": name}).encode())
        send(banner, opening, opening)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr
        text = process.stderr.read()
    assert text.replace("\n", "").isprintable()
    assert "é" in text
    reasons = [json.loads(line).get("reason") for line in text.split("\n")[:-1]]
    assert reasons == [None, f"account 900000000001 is open already, for {name}"]


def test_a_message_for_people_has_no_characters_that_control_the_terminal() -> None:
    name = "\x1b[2J\x9b\n"
    record = logging.makeLogRecord({"msg": f"kept the seed: {name}", "created": 0.0})
    assert TextLines().format(record).endswith(" kept the seed: ?[2J??")


@pytest.mark.parametrize(("no_color", "has_color"), [("", True), ("1", False)])
def test_colour_is_for_terminals_and_can_be_switched_off(no_color: str, has_color: bool) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "healthimaging_emulator", "serve", "--port", "0"]
    variables = {"NO_COLOR": no_color, "TERM": "xterm"}
    with subprocess.Popen(
        command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        assert process.stdout
        banner = [process.stdout.readline()]
        assert ask(banner).status == 200
        line = os.read(ours, 10_000).decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
    os.close(ours)
    assert ("\x1b[32m200\x1b[0m" in line, "\x1b" in line) == (has_color, has_color)


@pytest.mark.newest_click
def test_another_format_is_refused() -> None:
    result = run("serve", "--port", "0", "--log-format", "xml")
    variable = "(env var: 'HEALTHIMAGING_EMULATOR_LOG_FORMAT')"
    told = f"Error: Invalid value for '--log-format' {variable}: 'xml' is not one of 'text', 'json'."
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, told)
