"""The clock in the control API."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Ask


def test_the_clock_stops_advances_and_runs_on(ask: Ask) -> None:
    assert ask("GET", "/clock")["isFrozen"] is False
    assert ask("PUT", "/clock", {"freeze": "2024-01-01T00:00:00Z"}) == {"now": 1704067200.0, "isFrozen": True}
    assert ask("PUT", "/clock", {"advance": 60}) == {"now": 1704067260.0, "isFrozen": True}
    assert ask("GET", "/clock") == {"now": 1704067260.0, "isFrozen": True}
    assert ask("PUT", "/clock", {"run": True})["isFrozen"] is False
    assert ask("GET", "/clock")["now"] >= 1704067260
    assert ask("PUT", "/clock", {"freeze": True})["isFrozen"] is True
    assert ask("PUT", "/clock", {"freeze": 0}) == {"now": 0.0, "isFrozen": True}


ONE_CHANGE = "expected one of freeze, advance and run, and not false"


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({}, "$", ONE_CHANGE),
        ({"freeze": False}, "$", ONE_CHANGE),
        ({"run": False}, "$", ONE_CHANGE),
        ({"freeze": 1, "run": True}, "$", ONE_CHANGE),
        ({"advance": -1}, None, "invalid step -1.0: expected a number of seconds from 0"),
        ({"advance": 1e300}, None, "invalid step 1e+300: expected a number of seconds from 0"),
        (
            {"freeze": "x"},
            "$.freeze",
            "Invalid RFC3339 encoded datetime: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds",
        ),
        (
            {"freeze": -1},
            None,
            "invalid time -1.0: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        ([], "$", "Expected `object`, got `array`"),
    ],
)
def test_a_mistaken_change_of_the_clock_is_refused(ask: Ask, body: Any, path: str | None, message: str) -> None:
    at = {"path": path} if path else {}
    assert ask("PUT", "/clock", body) == (400, {"code": "BadRequest", "message": message} | at)
    assert ask("GET", "/clock")["isFrozen"] is False
