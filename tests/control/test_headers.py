"""The headers of the control API: the account, the token and the generation."""

from __future__ import annotations

import pytest

from healthimaging_emulator import Emulator
from tests.conftest import DEMO
from tests.demo import path

from .conftest import THROTTLE, VERSIONS, A, Ask, B, asking, newest, throttled


def test_the_accounts_that_were_used_are_listed(emulator: Emulator, ask: Ask) -> None:
    default = {"id": "000000000000"}
    assert ask("GET", "/accounts") == {"accounts": [default]}
    newest(emulator, A)
    ask("PUT", "/accounts/900000000001", {"name": "tests/test_a.py::test_b"})
    opened = {"id": "900000000001", "test": "tests/test_a.py::test_b"}
    assert ask("GET", "/accounts") == {"accounts": [default, {"id": A}, opened]}


def test_the_account_of_the_header_is_that_of_the_access_key(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"}, account=A)
    ask("POST", "/faults", THROTTLE | {"match": {"attempt": 1}}, account=B)
    ask("PUT", "/clock", {"freeze": 7}, account=A)
    assert [newest(emulator, account)["versionId"] for account in (A, "000000000000")] == ["5", "4"]
    assert [throttled(emulator, account) for account in (A, B, "000000000000")] == [False, True, False]
    assert [ask("GET", "/clock", account=account)["isFrozen"] for account in (A, B)] == [True, False]
    assert [len(ask("GET", "/calls", account=account)["calls"]) for account in (A, B)] == [2, 1]


@pytest.mark.parametrize("account", ["1", "x" * 12, "1" * 13])
def test_an_account_has_12_digits(ask: Ask, account: str) -> None:
    message = f"invalid account id {account!r}: expected 12 digits"
    refused = {"code": "BadRequest", "message": message, "path": "x-emulator-account"}
    assert ask("GET", "/faults", account=account) == (400, refused)


def test_a_control_token_is_required_of_all_but_health() -> None:
    emulator = Emulator.from_seed(DEMO, control_token="sesame")
    ask = asking(emulator)
    for headers in ({}, {"x-emulator-token": "x"}, {"x-emulator-token": "é"}):
        message = "the header x-emulator-token is missing or wrong"
        assert ask("POST", "/faults", THROTTLE, **headers) == (403, {"code": "Forbidden", "message": message})
    assert len(emulator.faults) == 0
    assert ask("GET", "/health") == {"status": "ready"}
    assert ask("POST", "/faults", THROTTLE, **{"x-emulator-token": "sesame"})["faults"]
    assert throttled(emulator)


def test_a_control_token_is_sent_in_utf_8() -> None:
    ask = asking(Emulator.from_seed(DEMO, control_token="sésame"))
    assert ask("GET", "/faults", **{"x-emulator-token": "sésame".encode().decode("latin-1")}) == {"faults": []}


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/health", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("POST", "/reset", {}, 204),
        ("GET", "/faults", {"x-emulator-account": "1"}, 400),
        ("GET", "/faults", {"Host": "example.com"}, 403),
        ("GET", "/faults/x", {}, 404),
        ("GET", "/nothing", {}, 404),
        ("POST", "/health", {}, 404),
    ],
)
def test_every_answer_says_the_generation(method: str, target: str, headers: dict[str, str], status: int) -> None:
    clients = [Emulator.from_seed(DEMO).app.test_client() for _ in range(2)]
    answers = [client.open(f"/_emulator{target}", method=method, headers=headers) for client in [*clients, *clients]]
    one, other, *again = [answer.headers["x-emulator-generation"] for answer in answers]
    assert [answer.status_code for answer in answers] == [status] * 4
    assert (one != other, again) == (True, [one, other])


def test_the_service_says_no_generation(emulator: Emulator) -> None:
    answered, refused = (emulator.app.test_client().post(target) for target in (path(), "/nothing"))
    assert (answered.status_code, refused.status_code) == (200, 404)
    assert not any("x-emulator-generation" in each.headers for each in (answered, refused))
