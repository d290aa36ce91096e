"""Whom the control API listens to, as a browser or a stranger would find out."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from healthimaging_emulator import Emulator
from healthimaging_emulator.control.access import is_loopback
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import path
from tests.raw import exchange

RULE = b'{"error": {"code": "ThrottlingException"}}'


def emulating(**settings: Any) -> Emulator:
    return Emulator.from_seed(DEMO, **settings)


def add_rule(emulator: Emulator, content_type: str | None = "application/json", **headers: str) -> int:
    """Try to add a rule, and return the status; a refusal must have changed nothing."""
    client = emulator.app.test_client(use_cookies=False)  # which cannot read every host
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    response: TestResponse = client.post(
        "/_emulator/faults",
        data=RULE,
        content_type=content_type,
        headers=given,
    )
    assert len(emulator.faults) == (response.status_code == 200)
    if response.status_code != 200:
        assert response.json["error"]["code"] == {400: "BadRequest", 403: "Forbidden"}[response.status_code]  # type: ignore[index]
        assert response.json["error"]["message"]  # type: ignore[index]
    return response.status_code


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
def test_loopback_is_let_in(host: str) -> None:
    assert add_rule(emulating(), Host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "localhost.evil.test",
        "evil.test:4580",
        "192.168.1.5",
        "127.0.0.1.evil.test",
        "[::1]evil.test",
        "[::1].evil.test:80",
        "[2001:db8::1]",
        "127.0.0.1@evil.test",
        "evil.test#localhost",
        "0.0.0.0",
        "runtime-localhost",
        "localhost:80:80",
        "",
    ],
)
def test_a_name_that_was_bound_to_this_machine(host: str) -> None:
    assert add_rule(emulating(), Host=host) == 403


@pytest.mark.parametrize("host", ["[::1", "::1]", "a b", "\x80", "[]", "%00"])
def test_what_is_no_name_at_all(demo_server: Server, host: str) -> None:
    lines = ["DELETE /_emulator/faults HTTP/1.1", f"Host: {host}", "", ""]
    reply = exchange(demo_server, "\r\n".join(lines).encode("latin-1"))
    assert (reply.status, reply.json["error"]["code"]) == (403, "Forbidden")


@pytest.mark.parametrize("host", ["emulator", "EMULATOR:4580", "10.0.0.7", "[2001:db8::1]:80"])
def test_hosts_that_were_given(host: str) -> None:
    assert add_rule(emulating(control_hosts=["Emulator", "10.0.0.7", "2001:db8::1"]), Host=host) == 200


def test_any_host_for_the_service_and_for_health() -> None:
    client = emulating().app.test_client()
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
def test_a_page_of_another_site(origin: str) -> None:
    assert add_rule(emulating(), Host="127.0.0.1:4580", Origin=origin) == 403


def test_a_page_of_another_site_that_sends_no_body() -> None:
    emulator = emulating()
    emulator.faults.add({"error": {"code": "ThrottlingException"}})
    client = emulator.app.test_client()
    for method, target in (("POST", "reset"), ("DELETE", "faults"), ("DELETE", "account")):
        response = client.open(f"/_emulator/{target}", method=method, headers={"Origin": "https://evil.test"})
        assert response.status_code == 403
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
def test_origins_that_have_a_say(origin: str, allowed: list[str]) -> None:
    assert add_rule(emulating(cors_origins=allowed), Host="localhost:4580", Origin=origin) == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
def test_a_body_that_a_form_could_send(content_type: str | None) -> None:
    assert add_rule(emulating(), content_type) == 400


def test_json_with_its_encoding() -> None:
    assert add_rule(emulating(), "application/json; charset=utf-8") == 200


def test_with_a_token_the_token_alone_counts() -> None:
    emulator = emulating(control_token="sesame")
    assert add_rule(emulator, "text/plain", Host="evil.test") == 403
    assert (
        add_rule(emulator, "text/plain", Host="evil.test", Origin="https://evil.test", x_emulator_token="sesame") == 200
    )


@pytest.mark.parametrize("host", ["", "a b", "http://x", "x:80", "[::1]", "x/y"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="is not the name or the address of a host"):
        emulating(control_hosts=[host])


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False)]
)
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
