"""CORS: preflights of browsers, and the answers that their pages may read."""

from __future__ import annotations

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import UNKNOWN, path
from tests.raw import exchange, request

PAGE, OTHER = "http://localhost:3000", "https://example.com"
ASKED = "amz-sdk-invocation-id,authorization,x-amz-date"


def answer(*origins: str, method: str = "POST", target: str = path(), headers: dict[str, str]) -> dict[str, str]:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    with Emulator.from_seed(DEMO, cors_origins=origins).serve() as server:
        reply = exchange(server, request(method, target, *lines))
    return {
        name: value
        for name, value in ({":status": str(reply.status)} | reply.headers).items()
        if name.startswith((":", "access-control-", "x-amzn-errortype", "vary"))
    }


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ASKED,
    }


@pytest.mark.parametrize(
    ("origins", "origin"),
    [((PAGE,), PAGE), ((PAGE, OTHER), OTHER), (("*",), OTHER), (("http://[::1]:3000",), "http://[::1]:3000")],
)
def test_a_preflight_is_answered(origins: tuple[str, ...], origin: str) -> None:
    found = answer(*origins, method="OPTIONS", headers=preflight(origin))
    assert (found[":status"], found["access-control-allow-origin"]) == ("204", origin)
    assert found["access-control-allow-headers"].replace(" ", "") == ASKED
    assert "POST" in found["access-control-allow-methods"]
    assert "x-amzn-errortype" not in found


@pytest.mark.parametrize("target", [path(), path(UNKNOWN), "/nothing", "/_emulator/faults"])
def test_a_page_may_read_the_answer_and_its_headers(target: str) -> None:
    found = answer(PAGE, target=target, headers={"Origin": PAGE})
    assert found["access-control-allow-origin"] == PAGE
    exposed = {name.strip() for name in found["access-control-expose-headers"].split(",")}
    assert exposed >= {
        "x-amzn-RequestId",
        "x-amzn-ErrorType",
        "x-emulator-fault",
        "x-emulator-generation",
        "Retry-After",
        "x-amz-retry-after",
    }


def test_a_preflight_of_the_control_api_is_answered_too() -> None:
    found = answer(PAGE, method="OPTIONS", target="/_emulator/clock", headers=preflight(PAGE, "PUT"))
    assert (found[":status"], "PUT" in found["access-control-allow-methods"]) == ("204", True)


@pytest.mark.parametrize("origin", [OTHER, PAGE + "0", PAGE + ".example.com", "http://localhostx3000", "null"])
def test_a_page_of_another_origin_may_read_nothing(origin: str) -> None:
    for method, headers in (("POST", {"Origin": origin}), ("OPTIONS", preflight(origin))):
        assert not [name for name in answer(PAGE, method=method, headers=headers) if name.startswith("access")]


def test_without_an_origin_nothing_is_added() -> None:
    assert answer(PAGE, headers={}) == {":status": "200"}


def test_an_options_request_that_is_no_preflight_is_unknown() -> None:
    found = answer(PAGE, method="OPTIONS", headers={"Origin": PAGE})
    assert (found[":status"], found["x-amzn-errortype"]) == ("404", "UnknownOperationException")


def test_cors_is_off_by_default(server: Server) -> None:
    reply = exchange(
        server, request("OPTIONS", path(), *(f"{name}: {value}" for name, value in preflight(PAGE).items()))
    )
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert not [name for name in reply.headers if name.startswith("access-control")]
