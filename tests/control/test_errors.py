"""Errors of the control API, by their kind."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from healthimaging_emulator import (
    ConflictError,
    Emulator,
    EmulatorError,
    ForbiddenError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    UnreachableError,
)
from healthimaging_emulator.accounts import Account, Accounts
from healthimaging_emulator.control.routes import make_control_blueprint
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.settings import Settings
from tests.raw import JSON, exchange, request

from .conftest import VERSIONS, Ask


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/nothing"),
        ("POST", "/health"),
        ("OPTIONS", "/health"),
        ("PATCH", "/faults"),
        ("PUT", "/reset"),
        ("GET", "/faults/"),
        ("GET", "//faults"),
        ("GET", "/faults/a/b"),
        ("GET", VERSIONS + "/4"),
        ("DELETE", VERSIONS),
        ("GET", "/transitions/finish"),
        ("POST", "/transitions"),
    ],
)
def test_an_unknown_endpoint_is_not_found(ask: Ask, method: str, target: str) -> None:
    status, error = ask(method, target)
    assert (status, error["code"]) == (404, "NotFound")
    assert error["message"].startswith(f"there is no {method} /_emulator{target}: ")


@pytest.mark.parametrize(
    ("method", "target", "hint"),
    [
        ("POST", "/clock", "expected GET or PUT"),
        ("GET", "/fault", "/_emulator/openapi.json describes what there is (did you mean /faults?)"),
        ("GET", "/zzz", "/_emulator/openapi.json describes what there is"),
    ],
)
def test_an_unknown_endpoint_has_a_hint(ask: Ask, method: str, target: str, hint: str) -> None:
    _, error = ask(method, target)
    assert error["message"] == f"there is no {method} /_emulator{target}: {hint}"


BAD_SCOPE = {"only": ["fault"]}
BAD_SCOPE_REASON = "$.only[0]: Invalid enum value 'fault': expected one of calls, changes, clock, faults"


def test_a_refusal_is_logged_with_its_reason(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    emulator.app.test_client().post("/_emulator/reset", json=BAD_SCOPE)
    assert caplog.messages == [f"POST /_emulator/reset was refused: {BAD_SCOPE_REASON}"]


def test_the_emulators_own_server_logs_a_refusal_in_the_line_of_the_request(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = json.dumps(BAD_SCOPE).encode()
    assert exchange(server, request("POST", "/_emulator/reset", JSON, "Connection: close", body=body)).is_closed
    (line,) = (re.sub(r"\d+\.\d ms", "0 ms", message) for message in caplog.messages)
    assert line == f"000000000000 POST /_emulator/reset 400 - 0 ms: {BAD_SCOPE_REASON}"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_fault_is_not_found(ask: Ask, method: str) -> None:
    assert ask(method, "/faults/x") == (404, {"code": "NotFound", "message": "there is no fault x"})


AskFailing = Callable[[Exception], tuple[int, Any]]


@pytest.fixture
def ask_failing(monkeypatch: pytest.MonkeyPatch) -> AskFailing:
    """Return a function that has a request raise an exception inside the control API, and returns the answer."""

    def ask(error: Exception) -> tuple[int, Any]:
        def fail(_: str) -> Account:
            raise error

        accounts = Accounts(load_seed({}), Settings())
        monkeypatch.setattr(accounts, "get", fail)
        app = Flask("failing")
        app.register_blueprint(make_control_blueprint(accounts, Settings(), "/_emulator"), url_prefix="/_emulator")
        response = app.test_client().get("/_emulator/clock")
        return response.status_code, response.json

    return ask


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (InvalidError, 400, "BadRequest"),
        (LimitExceededError, 400, "LimitExceeded"),
        (ForbiddenError, 403, "Forbidden"),
        (NotFoundError, 404, "NotFound"),
        (ConflictError, 409, "Conflict"),
    ],
)
def test_each_kind_of_error_has_its_status(
    ask_failing: AskFailing, caplog: pytest.LogCaptureFixture, kind: type[EmulatorError], status: int, code: str
) -> None:
    assert ask_failing(kind("m")) == (status, {"error": {"code": code, "message": "m"}})
    assert ask_failing(kind("m", path="$.a")) == (status, {"error": {"code": code, "message": "m", "path": "$.a"}})
    assert not caplog.records


@pytest.mark.parametrize(
    "error",
    [KeyError("k"), ValueError("v"), TypeError("t"), LookupError("l"), PermissionError("p"), UnreachableError("u")],
    ids=lambda error: type(error).__name__,
)
def test_any_other_exception_is_logged_and_answered_with_500(
    ask_failing: AskFailing, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    told = {"code": "InternalError", "message": "the emulator failed; its log says why"}
    assert ask_failing(error) == (500, {"error": told})
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("healthimaging_emulator", "ERROR")
    assert record.getMessage() == "GET /_emulator/clock failed"
    assert record.exc_info
    assert record.exc_info[1] is error


def test_an_exception_inside_a_handler_is_answered_with_500(
    emulator: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError("a bug")

    monkeypatch.setattr(emulator.clock, "advance", fail)
    failed = 500, {"code": "InternalError", "message": "the emulator failed; its log says why"}
    assert ask("PUT", "/clock", {"advance": 1}) == failed
    assert caplog.messages == ["PUT /_emulator/clock failed"]
    assert "ValueError: a bug" in caplog.text
