"""Access control for the control API, from the position of a browser or a stranger."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from werkzeug.test import TestResponse

from healthimaging_emulator import Emulator, InvalidError
from healthimaging_emulator.control.access import is_loopback
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import path
from tests.raw import exchange

FAULT = b'{"error": {"code": "ThrottlingException"}}'


NOT_JSON = "the body must be JSON: send the header Content-Type: application/json"


def make_emulator(**settings: Any) -> Emulator:
    return Emulator.from_seed(DEMO, **settings)


def add_fault(emulator: Emulator, content_type: str | None = "application/json", **headers: str) -> tuple[int, Any]:
    """Try to add a fault, and return the status and the error; a refusal must have changed nothing."""
    client = emulator.app.test_client(use_cookies=False)  # which cannot read every host
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    response: TestResponse = client.post(
        "/_emulator/faults",
        data=FAULT,
        content_type=content_type,
        headers=given,
    )
    assert len(emulator.faults) == (response.status_code == 200)
    return response.status_code, None if response.status_code == 200 else response.json["error"]  # type: ignore[index]


def forbidden(message: str) -> tuple[int, Any]:
    return 403, {"code": "Forbidden", "message": message}


def not_loopback(name: str) -> tuple[int, Any]:
    return forbidden(f"host {name} is not loopback: add it to control_hosts, or set a control_token and send it")


def not_allowed(origin: str) -> tuple[int, Any]:
    return forbidden(f"origin {origin} is not allowed: add it to cors_origins")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:4580",
        "localhost.",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]:4580",
        "[::1]:",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_is_admitted(host: str) -> None:
    assert add_fault(make_emulator(), Host=host) == (200, None)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("evil.test", "evil.test"),
        ("localhost.evil.test", "localhost.evil.test"),
        ("EVIL.test:4580", "evil.test"),
        ("192.168.1.5", "192.168.1.5"),
        ("127.0.0.1.evil.test", "127.0.0.1.evil.test"),
        ("[::1]evil.test", "[::1]evil.test"),
        ("[::1].evil.test:80", "[::1].evil.test:80"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("127.0.0.1@evil.test", "127.0.0.1@evil.test"),
        ("evil.test#localhost", "evil.test#localhost"),
        ("0.0.0.0", "0.0.0.0"),
        ("runtime-localhost", "runtime-localhost"),
        ("localhost:80:80", "localhost:80:80"),
        ("", ""),
    ],
)
def test_another_name_of_this_machine_is_forbidden(host: str, name: str) -> None:
    assert add_fault(make_emulator(), Host=host) == not_loopback(name)


@pytest.mark.parametrize(
    ("host", "name"), [("[::1", "[::1"), ("::1]", "::1]"), ("a b", "a b"), ("[]", ""), ("%00", "%00")]
)
def test_a_host_that_cannot_be_read_is_forbidden(demo_server: Server, host: str, name: str) -> None:
    lines = ["DELETE /_emulator/faults HTTP/1.1", f"Host: {host}", "", ""]
    reply = exchange(demo_server, "\r\n".join(lines).encode("latin-1"))
    assert (reply.status, reply.json["error"]) == not_loopback(name)


def test_a_host_that_is_not_ascii_is_refused(demo_server: Server) -> None:
    reply = exchange(demo_server, b"DELETE /_emulator/faults HTTP/1.1\r\nHost: \x80\r\n\r\n")
    release = tuple(map(int, version("werkzeug").split(".")))
    unread = 400, {"code": "BadRequest", "message": "the request cannot be read"}
    assert (reply.status, reply.json["error"]) == (not_loopback("\x80") if release >= (3, 1, 8) else unread)


@pytest.mark.parametrize("host", ["emulator", "EMULATOR:4580", "10.0.0.7", "[2001:db8::1]:80"])
def test_hosts_of_the_settings_are_admitted(host: str) -> None:
    emulator = make_emulator(control_hosts=["Emulator", "10.0.0.7", "2001:db8::1"])
    assert add_fault(emulator, Host=host) == (200, None)


def test_the_service_and_health_have_any_host_and_origin() -> None:
    client = make_emulator().app.test_client()
    headers = {"Host": "evil.test", "Origin": "https://evil.test"}
    assert client.post(path(), headers=headers).status_code == 200
    assert client.get("/_emulator/health", headers=headers).status_code == 200
    assert client.get("/_emulator/seed", headers=headers).status_code == 403
    assert client.get("/_emulator/openapi.json", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.test", "null", "http://localhost:3000", "http://127.0.0.1", ""),
        *("http://127.0.0.1:45801", "http://127.0.0.1:4580.evil.test", "http://127.0.0.1:4580@evil.test"),
        *("xhttp://127.0.0.1:4580", "http://127.0.0.1:4580 http://evil.test", "ftp://127.0.0.1:4580"),
    ],
)
def test_a_page_of_another_site_is_forbidden(origin: str) -> None:
    assert add_fault(make_emulator(), Host="127.0.0.1:4580", Origin=origin) == not_allowed(origin)


def test_a_page_of_another_site_is_forbidden_without_a_body_too() -> None:
    emulator = make_emulator()
    emulator.faults.add({"error": {"code": "ThrottlingException"}})
    client = emulator.app.test_client()
    for method, target in (
        ("POST", "reset"),
        ("POST", "transitions/finish"),
        ("DELETE", "faults"),
        ("DELETE", "account"),
    ):
        response = client.open(f"/_emulator/{target}", method=method, headers={"Origin": "https://evil.test"})
        assert (response.status_code, response.json["error"]) == not_allowed("https://evil.test")  # type: ignore[index]
    assert len(emulator.faults) == 1


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:4580", []),
        ("https://localhost:4580", []),
        ("http://localhost:3000", ["http://localhost:3000"]),
        ("https://any.test", ["*"]),
        ("http://a.test", ["HTTP://A.test"]),
    ],
)
def test_pages_of_this_site_and_of_the_settings_are_admitted(origin: str, allowed: list[str]) -> None:
    assert add_fault(make_emulator(cors_origins=allowed), Host="localhost:4580", Origin=origin) == (200, None)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_body_that_a_form_could_send_is_refused(content_type: str | None) -> None:
    assert add_fault(make_emulator(), content_type) == (400, {"code": "BadRequest", "message": NOT_JSON})


def test_json_may_name_its_encoding() -> None:
    assert add_fault(make_emulator(), "application/json; charset=utf-8") == (200, None)


def test_with_a_token_only_the_token_counts() -> None:
    emulator = make_emulator(control_token="sesame")
    from_elsewhere = {"Host": "evil.test", "Origin": "https://evil.test"}
    refused = forbidden("the header x-emulator-token is missing or wrong")
    assert add_fault(emulator, "text/plain", **from_elsewhere) == refused
    assert add_fault(emulator, "text/plain", **from_elsewhere, x_emulator_token="sesame") == (200, None)


@pytest.mark.parametrize("host", ["", "a b", "http://x", "x:80", "[::1]", "x/y", "*"])
def test_a_control_host_is_a_name_or_an_address(host: str) -> None:
    with pytest.raises(InvalidError) as raised:
        make_emulator(control_hosts=[host])
    expected = "the name or the address of a host, without a port"
    assert str(raised.value) == f"invalid control_hosts {host!r}: expected {expected}"


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False)]
)
def test_only_addresses_of_this_machine_are_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
