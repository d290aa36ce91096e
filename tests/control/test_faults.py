"""Faults in the control API."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, path
from tests.raw import exchange, request, until

from .conftest import NO_EFFECT, THROTTLE, Ask, throttled


def test_faults_are_added_listed_and_removed(emulator: Emulator, ask: Ask) -> None:
    assert ask("POST", "/faults", THROTTLE)["faults"] == [THROTTLE | {"id": "fault-1", "matched": 0, "fired": 0}]
    assert throttled(emulator)
    added = ask("POST", "/faults", [THROTTLE | {"id": "a"}, {"latency": {"seconds": 0}, "id": "b"}])
    assert [fault["id"] for fault in added["faults"]] == ["a", "b"]
    listed = ask("GET", "/faults")["faults"]
    assert [(fault["id"], fault["matched"], fault["fired"]) for fault in listed] == [
        ("fault-1", 1, 1),
        ("a", 0, 0),
        ("b", 0, 0),
    ]
    assert ask("GET", "/faults/a") == listed[1]
    assert ask("DELETE", "/faults/fault-1") is None
    assert [fault["id"] for fault in ask("GET", "/faults")["faults"]] == ["a", "b"]
    assert ask("DELETE", "/faults") is None
    assert ask("GET", "/faults") == {"faults": []}
    assert not throttled(emulator)


def test_a_fault_is_returned_as_it_was_given(ask: Ask) -> None:
    fault = {
        "id": "second-page-throttled-twice",
        "match": {
            "operation": "ListImageSetVersions",
            "datastoreId": DATASTORE,
            "imageSetId": MANY,
            "page": 2,
            "attempt": [1, 2],
        },
        "skip": 1,
        "every": 2,
        "times": 2,
        "probability": 0.5,
        "seed": 7,
        "expiresAfter": 60.0,
        "latency": {"seconds": 0.25, "jitter": 0.05},
        "error": {"code": "ThrottlingException", "message": "Rate exceeded", "retryAfter": 1.5},
    }
    assert ask("POST", "/faults", fault) == {"faults": [fault | {"matched": 0, "fired": 0}]}


NONSENSE = (
    "can never do anything: ListImageSetVersions does not model Nonsense, so it needs a status; it models "
    "ThrottlingException, AccessDeniedException, ValidationException, InternalServerException, ConflictException, "
    "ResourceNotFoundException"
)


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({}, "$", NO_EFFECT),
        ([THROTTLE, {}], "$[1]", NO_EFFECT),
        (THROTTLE | {"time": 1}, "$", "Object contains unknown field `time` (did you mean times?)"),
        (THROTTLE | {"times": "1"}, "$.times", "Expected `int | null`, got `str`"),
        (THROTTLE | {"times": 0}, "$.times", "Expected `int` >= 1"),
        (THROTTLE | {"corrupt": "html"}, "$.corrupt", "a fault has one effect, not error and corrupt"),
        ({"error": {"code": "Nonsense"}}, "$.error", NONSENSE),
        ([{"error": {"code": "Nonsense"}}], "$[0].error", NONSENSE),
        (
            {"pagination": "explode"},
            "$.pagination",
            "Invalid enum value 'explode': expected one of cycle, drop-token, duplicate-item, empty-page, "
            "repeat-token, skip-item, stale-token",
        ),
        (
            {"match": {"operation": "GetImageSet"}, "pagination": "drop-token"},
            "$.pagination",
            "can never do anything: GetImageSet has no pages",
        ),
        ({"match": {"page": [0]}, **THROTTLE}, "$.match.page[0]", "Expected `int` >= 1"),
        (b"{", "$", "Input data was truncated"),
        (b"", "$", "Input data was truncated"),
        (b'{"times": 1, "times": 2}', "$", "the key 'times' is given twice in one object"),
        (b"null", "$", "Expected `object | array`, got `null`"),
        (b'"x"', "$", "Expected `object | array`, got `str`"),
    ],
)
def test_a_mistaken_fault_is_refused(ask: Ask, body: Any, path: str, message: str) -> None:
    assert ask("POST", "/faults", body) == (400, {"code": "BadRequest", "message": message, "path": path})
    assert ask("GET", "/faults") == {"faults": []}


def test_a_fault_whose_id_is_taken_is_a_conflict(ask: Ask) -> None:
    ask("POST", "/faults", THROTTLE | {"id": "a"})
    taken = {"code": "Conflict", "message": "there is a fault a already"}
    two = [THROTTLE | {"id": "b"}, THROTTLE | {"id": "a"}]
    assert ask("POST", "/faults", two) == (409, taken | {"path": "$[1].id"})
    assert ask("POST", "/faults", THROTTLE | {"id": "a"}) == (409, taken | {"path": "$.id"})
    assert [fault["id"] for fault in ask("GET", "/faults")["faults"]] == ["a"]


@pytest.mark.parametrize(
    ("method", "target", "body", "path"),
    [
        ("POST", "/faults", {"connection": "reset"}, "$.connection"),
        ("POST", "/faults", [THROTTLE, {"connection": "reset"}], "$[1].connection"),
        ("PUT", "/seed", {"faults": [THROTTLE, {"connection": "reset"}]}, "$.faults[1].connection"),
        ("POST", "/seed", {"faults": [THROTTLE, {"connection": "reset"}]}, "$.faults[1].connection"),
    ],
)
def test_a_connection_fault_is_refused_under_another_server(
    emulator: Emulator, method: str, target: str, body: Any, path: str
) -> None:
    response = emulator.app.test_client().open(f"/_emulator{target}", method=method, json=body)
    message = "only the emulator's own server can break a connection"
    assert response.status_code == 400
    assert response.json == {"error": {"code": "BadRequest", "message": message, "path": path}}
    assert len(emulator.faults) == 0


@pytest.mark.parametrize(
    ("method", "target", "wrap", "path"),
    [
        ("POST", "/faults", lambda fault: fault, "$.respond.file"),
        ("POST", "/faults", lambda fault: [THROTTLE, fault], "$[1].respond.file"),
        ("PUT", "/seed", lambda fault: {"faults": [fault]}, "$.faults[0].respond.file"),
        ("POST", "/seed", lambda fault: {"faults": [fault]}, "$.faults[0].respond.file"),
    ],
)
@pytest.mark.parametrize("operation", ["GetImageSetMetadata", "GetImageFrame"])
def test_a_response_from_a_file_of_the_emulators_machine_is_refused(
    emulator: Emulator, ask: Ask, operation: str, method: str, target: str, wrap: Callable[[Any], Any], path: str
) -> None:
    fault = {"match": {"operation": operation}, "respond": {"file": str(DEMO)}}
    refused = {"code": "BadRequest", "message": "a file cannot be named over HTTP", "path": path}
    assert ask(method, target, wrap(fault)) == (400, refused)
    assert len(emulator.faults) == 0
    assert emulator.faults.add(fault)  # in Python, the file is the test's own


def test_a_fault_is_switched_off_and_on(emulator: Emulator, ask: Ask) -> None:
    ask("POST", "/faults", [THROTTLE | {"id": "a"}])
    assert throttled(emulator)
    off = ask("PUT", "/faults/a", {"isOn": False})
    assert (off["isOn"], off["matched"], off["fired"]) == (False, 1, 1)
    assert not throttled(emulator)
    assert ask("GET", "/seed").get("faults", []) == []
    assert ask("PUT", "/faults/a", {"isOn": True}).get("isOn", True)
    assert throttled(emulator)
    assert (emulator.faults["a"].matched, emulator.faults["a"].fired) == (2, 2)


def test_a_fault_that_is_switched_off_ends_its_stalls(emulator: Emulator, ask: Ask) -> None:
    ask("POST", "/faults", {"latency": {"seconds": 3600}, "id": "a"})
    with ThreadPoolExecutor() as threads, emulator.serve() as server:
        answer = threads.submit(exchange, server, request("POST", path()))
        until(lambda: emulator.faults["a"].fired == 1)
        ask("PUT", "/faults/a", {"isOn": False})
        assert answer.result().status == 200


@pytest.mark.parametrize(
    ("id", "position", "order"),
    [("c", 1, "cabd"), ("a", 3, "bcad"), ("b", 2, "abcd"), ("a", 99, "bcda"), ("d", 4, "abcd")],
)
def test_a_fault_is_moved_in_the_order(emulator: Emulator, ask: Ask, id: str, position: int, order: str) -> None:
    ask("POST", "/faults", [THROTTLE | {"id": each} for each in "abcd"])
    assert ask("PUT", f"/faults/{id}", {"position": position})["id"] == id
    assert [each["id"] for each in ask("GET", "/faults")["faults"]] == list(order)
    emulator.app.test_client().post(path())
    assert [each.id for each in emulator.faults if each.fired] == [order[0]]


@pytest.mark.parametrize(
    ("target", "body", "refusal"),
    [
        ("/faults/b", {"isOn": False}, (404, {"code": "NotFound", "message": "there is no fault b"})),
        ("/faults/b", {"position": 1}, (404, {"code": "NotFound", "message": "there is no fault b"})),
        (
            "/faults/a",
            {"position": 0},
            (400, {"code": "BadRequest", "message": "Expected `int` >= 1", "path": "$.position"}),
        ),
        (
            "/faults/a",
            {"on": True},
            (
                400,
                {
                    "code": "BadRequest",
                    "message": "Object contains unknown field `on`: expected one of isOn, position",
                    "path": "$",
                },
            ),
        ),
    ],
)
def test_a_change_of_a_fault_is_refused(emulator: Emulator, ask: Ask, target: str, body: Any, refusal: Any) -> None:
    emulator.faults.add(THROTTLE | {"id": "a"})
    assert ask("PUT", target, body) == refusal
