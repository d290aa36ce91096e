"""The control API: each endpoint, and the answer to each mistake."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

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
from healthimaging_emulator.messages import Response
from healthimaging_emulator.pipeline import excerpt_body
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.connection import ServedExchange
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.settings import Settings
from healthimaging_emulator.transports.targets import EXCHANGE_KEY
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, ONE, OTHER_DATASTORE, SAMPLE, UNKNOWN, path
from tests.raw import JSON, exchange, request, until

Ask = Callable[..., Any]
VERSIONS = f"/datastores/{DATASTORE}/imageSets/{SAMPLE}/versions"
THROTTLE = {"error": {"code": "ThrottlingException"}}
ACTIVE = {"imageSetState": "ACTIVE"}
A, B = "111111111111", "222222222222"


@pytest.fixture
def ask(emulator: Emulator) -> Ask:
    return asking(emulator)


def asking(emulator: Emulator) -> Ask:
    """Return a function that sends a control request and returns the answer, or the status and the body of an error."""
    client = emulator.app.test_client()

    def ask(method: str, path: str, body: Any = None, *, account: str | None = None, **headers: str) -> Any:
        sent = {"Content-Type": "application/json"} | headers | ({"x-emulator-account": account} if account else {})
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        served = {EXCHANGE_KEY: ServedExchange()}  # as the emulator's own server does
        response = client.open(f"/_emulator{path}", method=method, data=data, headers=sent, environ_overrides=served)
        if response.status_code >= 400:
            return response.status_code, response.json["error"]  # type: ignore[index]
        return response.json if response.data else None

    return ask


def newest(emulator: Emulator, account: str = "000000000000", image_set_id: str = SAMPLE) -> dict[str, Any]:
    client = emulator.client(aws_access_key_id=account)
    page = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return dict(page["imageSetPropertiesList"][0])


def throttled(emulator: Emulator, account: str = "000000000000") -> bool:
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={account}/x"}
    response: TestResponse = emulator.app.test_client().post(path(), headers=headers)
    return response.status_code == 429


# Faults.


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


def test_events_are_listed_behind_the_last_one_that_was_seen(emulator: Emulator, ask: Ask) -> None:
    emulator.client().delete_image_set(datastoreId=DATASTORE, imageSetId=MANY)
    (deleting,) = ask("GET", "/events")["events"]
    assert deleting["detail-type"] == "Image Set Deleting"
    assert ask("POST", "/transitions/finish") is None
    (deleted,) = ask("GET", f"/events?after={deleting['id']}")["events"]
    assert deleted["detail-type"] == "Image Set Deleted"
    assert ask("GET", f"/events?after={deleted['id']}") == {"events": []}
    assert ask("GET", "/events?after=unknown") == {"events": [deleting, deleted]}


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


NO_EFFECT = "a fault needs an effect: error, rateLimit, pagination, corrupt, connection, workflow, respond, latency"
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


# Calls.


def test_the_journal_shows_calls_and_their_attempts(emulator: Emulator, ask: Ask) -> None:
    emulator.clock.freeze(1000)
    ask("POST", "/faults", {"error": {"code": "ConflictException"}, "times": 1, "id": "a"})
    bodies = [
        emulator.app.test_client().post(target).get_data(as_text=True)
        for target in (path(), path(MANY) + "?maxResults=2", "/x")
    ]
    journal = ask("GET", "/calls")
    attempt: dict[str, Any] = {"number": 1, "time": 1000.0, "pause": None, "delay": 0.0, "faults": [], "unused": []}
    attempt |= {"outcome": None, "met": [], "ended": []}
    call = {"invocationId": None, "method": "POST", "retryMode": None, "page": 1, "operation": "ListImageSetVersions"}
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    of_many = {"datastoreId": DATASTORE, "imageSetId": MANY}
    last = journal.pop("last")
    assert journal == {
        "calls": [
            call
            | {"id": 1, "path": path(), "outcome": "ConflictException"}
            | {"identifiers": {name: [id] for name, id in ids.items()}, "input": ids}
            | {
                "attempts": [
                    attempt | {"status": 409, "code": "ConflictException", "faults": ["a"], "answer": bodies[0]}
                ]
            },
            call
            | {"id": 2, "path": path(MANY), "outcome": "Success"}
            | {"identifiers": {name: [id] for name, id in of_many.items()}, "input": of_many | {"maxResults": 2}}
            | {"attempts": [attempt | {"status": 200, "code": None, "answer": bodies[1][:500]}]},
            call
            | {"id": 3, "path": "/x", "outcome": "UnknownOperationException"}
            | {"identifiers": {}, "input": {}, "page": None, "operation": None}
            | {"attempts": [attempt | {"status": 404, "code": "UnknownOperationException", "answer": bodies[2]}]},
        ],
        "dropped": 0,
        "first": 1,
        "isWhole": True,
    }
    assert [call["path"] for call in ask("GET", f"/calls?imageSetId={MANY}")["calls"]] == [path(MANY)]
    assert [call["path"] for call in ask("GET", "/calls?code=ConflictException&attempts=1")["calls"]] == [path()]
    assert ask("GET", "/calls?attempts=2")["calls"] == []
    assert ask("DELETE", "/calls") is None
    assert ask("GET", f"/calls?after={last}") == {"calls": [], "dropped": 0, "first": 4, "last": ANY}


def test_calls_that_have_changed_after_a_change_are_listed(emulator: Emulator, ask: Ask) -> None:
    client = emulator.app.test_client()

    def call(id: str) -> None:
        client.post(path(), headers={"amz-sdk-invocation-id": id}).close()

    def ids(after: str) -> list[int]:
        return [each["id"] for each in ask("GET", f"/calls?after={after}")["calls"]]

    call("a")
    call("b")
    last = ask("GET", "/calls")["last"]
    assert ids(last) == []
    call("a")  # a second attempt
    call("c")
    assert ids(last) == [1, 3]
    assert ids("") == ids(f"x{last}") == ids("x") == [1, 2, 3]  # of no journal, or of another one
    assert ask("GET", "/calls?after=x")["isWhole"]
    assert "isWhole" not in ask("GET", f"/calls?after={last}")
    ask("DELETE", "/calls")
    assert ask("GET", f"/calls?after={last}")["first"] == 4
    call("a")
    assert ids(last) == [4]
    ask("DELETE", "/account")
    for id in "abcdefgh":
        call(id)
    assert ids(last) == [1, 2, 3, 4, 5, 6, 7, 8]  # although this journal has had as many changes


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"corrupt": "html"}, "<html>"),
        ({"connection": "reset"}, None),
        ({"match": {"operation": "GetImageSetMetadata"}, "respond": {"base64": "gAAA", "contentType": "x/y"}}, None),
    ],
)
def test_the_journal_has_the_beginning_of_an_answer_if_it_is_text(
    emulator: Emulator, fault: dict[str, Any], answer: str | None
) -> None:
    emulator.faults.add(fault)
    operation = "getImageSetMetadata" if "match" in fault else "listImageSetVersions"
    target = f"/datastore/{DATASTORE}/imageSet/{SAMPLE}/{operation}"
    with emulator.serve() as server, suppress(ConnectionResetError):
        exchange(server, request("POST", target))
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.answer and attempt.answer[:6]) == answer


def test_an_answer_is_cut_between_characters() -> None:
    whole = Response(200, {}, "é".encode() * 1000)
    assert excerpt_body(whole) == "é" * 250
    assert excerpt_body(Response(200, {}, b"x" + whole.body)) == "x" + "é" * 249
    assert excerpt_body(Response(200, {}, b"x\xff")) is None


def test_the_journal_has_rejected_requests_too(emulator: Emulator, ask: Ask) -> None:
    client = emulator.app.test_client()
    client.post(path() + "?maxResults=x")
    client.post(path(), headers={"Accept": "text/html"})
    client.post(path(), data=b"x" * 2_000_000)
    assert [call["outcome"] for call in ask("GET", "/calls")["calls"]] == [
        "SerializationException",
        "NotAcceptableException",
        "RequestEntityTooLargeException",
    ]


@pytest.mark.parametrize("attempts", ["x", "-1", "", "\u0661"])
def test_a_number_of_attempts_has_digits(ask: Ask, attempts: str) -> None:
    message = f"invalid attempts {attempts!r}: expected a whole number"
    refused = {"code": "BadRequest", "message": message, "path": "attempts"}
    assert ask("GET", f"/calls?attempts={quote(attempts)}") == (400, refused)


# Versions.


def test_a_version_is_appended_with_the_next_number(emulator: Emulator, ask: Ask) -> None:
    emulator.clock.freeze(1700000000)
    version = ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING"})
    assert version == UNSET | {
        "imageSetId": SAMPLE,
        "versionId": "5",
        "imageSetState": "LOCKED",
        "ImageSetWorkflowStatus": "UPDATING",
        "createdAt": 1680027126.436,
        "updatedAt": 1700000000.0,
    }
    assert newest(emulator)["versionId"] == "5"
    assert ask("POST", VERSIONS, {"versionId": "9", "imageSetState": "ACTIVE"})["versionId"] == "9"


UNSET = dict.fromkeys(["deletedAt", "isPrimary", "message", "metadata", "overrides", "updatedAt"])


def test_versions_are_listed_newest_first(emulator: Emulator, ask: Ask) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(
        image_set_state="ACTIVE", updated_at=5, message="m", is_primary=True, metadata={"Study": {}}
    )
    versions = ask("GET", VERSIONS)["versions"]
    assert [version["versionId"] for version in versions] == ["5", "4", "3", "2", "1"]
    assert versions[-1] == UNSET | {
        "imageSetId": SAMPLE,
        "versionId": "1",
        "imageSetState": "ACTIVE",
        "ImageSetWorkflowStatus": "COPIED",
        "createdAt": 1680027126.436,
    }
    told = {"message": "m", "isPrimary": True, "updatedAt": 5.0, "metadata": None}
    assert {name: versions[0][name] for name in told} == told


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (VERSIONS.replace(SAMPLE, UNKNOWN), f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        (VERSIONS.replace(DATASTORE, UNKNOWN), f"Datastore {UNKNOWN} was not found."),
    ],
)
def test_versions_of_an_unknown_image_set_are_not_found(ask: Ask, target: str, message: str) -> None:
    assert ask("GET", target) == (404, {"code": "NotFound", "message": message})


def test_versions_that_are_due_are_listed(ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    assert ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 5}) is None
    ask("PUT", "/clock", {"advance": 5})
    assert ask("GET", VERSIONS)["versions"][0]["versionId"] == "5"


def test_a_version_may_have_metadata(emulator: Emulator, ask: Ask) -> None:
    for method, target, body in (
        ("POST", VERSIONS, {"metadata": {"Study": {"DICOM": {"StudyID": "new"}}}}),
        ("PUT", VERSIONS + "/1", {"metadata": {"Study": {"DICOM": {"StudyID": "first"}}}}),
    ):
        ask(method, target, {"imageSetState": "ACTIVE"} | body)
    versions = emulator.image_set(DATASTORE, SAMPLE).versions
    studies = [each.metadata.parse()["Study"]["DICOM"]["StudyID"] for each in versions if each.metadata]
    assert studies == ["new", "first"]


def test_a_client_can_poll_until_updating_becomes_updated(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": "2024-01-01T00:00:00Z"})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING"})
    updated = {"imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATED", "after": 30}
    assert ask("PUT", VERSIONS + "/5", updated) is None
    polls = 0
    while newest(emulator)["ImageSetWorkflowStatus"] == "UPDATING" and polls < 10:
        polls += 1
        ask("PUT", "/clock", {"advance": 10})
    assert polls == 3
    assert newest(emulator)["updatedAt"].timestamp() == 1704067230.0


def test_versions_appear_in_the_order_in_which_they_are_due(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    for after, status in ((30, "UPDATED"), (10, "UPDATING"), (30, "UPDATE_FAILED")):
        state = "LOCKED" if status == "UPDATING" else "ACTIVE"
        ask("POST", VERSIONS, {"imageSetState": state, "ImageSetWorkflowStatus": status, "after": after})
    assert newest(emulator)["versionId"] == "4"
    ask("PUT", "/clock", {"advance": 30})
    versions = emulator.image_set(DATASTORE, SAMPLE).versions[:3]
    assert [(each.version_id, each.image_set_workflow_status, each.updated_at) for each in versions] == [
        ("7", "UPDATE_FAILED", 1000030.0),
        ("6", "UPDATED", 1000030.0),
        ("5", "UPDATING", 1000010.0),
    ]


@pytest.mark.parametrize(
    ("method", "target", "body", "path", "message"),
    [
        ("POST", VERSIONS, {}, "$", "Object missing required field `imageSetState`"),
        (
            "POST",
            VERSIONS,
            {"imageSetState": "GONE"},
            "$.imageSetState",
            "Invalid enum value 'GONE': expected one of ACTIVE, DELETED, LOCKED",
        ),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"message": "é"},
            "$.message",
            "Expected `str` matching regex '[A-Za-z0-9_ -:`]+'",
        ),
        ("POST", VERSIONS, ACTIVE | {"versionId": "4"}, None, "invalid version_id '4': expected more than 4"),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"versionId": "9", "after": 5},
            None,
            "version_id cannot be combined with after: the version gets the next number",
        ),
        ("POST", VERSIONS, ACTIVE | {"after": -1}, "$.after", "Expected `float` >= 0.0"),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"createdAt": -1},
            None,
            "invalid time -1.0: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"imageSetWorkflowStatus": "X"},
            "$",
            "Object contains unknown field `imageSetWorkflowStatus` (did you mean ImageSetWorkflowStatus?)",
        ),
        ("POST", VERSIONS, ACTIVE | {"metadata": "a.json"}, "$.metadata", "Expected `object | null`, got `str`"),
        ("POST", VERSIONS, ACTIVE | {"metadata": {"Study": 1}}, "$.metadata.Study", "expected an object"),
        (
            "PUT",
            VERSIONS + "/4",
            ACTIVE | {"versionId": "3"},
            "$.versionId",
            "versionId is not 4, which the path names",
        ),
    ],
)
def test_a_mistaken_version_is_refused(
    emulator: Emulator, ask: Ask, method: str, target: str, body: Any, path: str | None, message: str
) -> None:
    at = {"path": path} if path else {}
    assert ask(method, target, body) == (400, {"code": "BadRequest", "message": message} | at)
    assert newest(emulator)["versionId"] == "4"


@pytest.mark.parametrize(
    ("method", "target", "body", "message"),
    [
        (
            "POST",
            VERSIONS.replace(SAMPLE, UNKNOWN),
            ACTIVE,
            f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}.",
        ),
        ("POST", VERSIONS.replace(DATASTORE, UNKNOWN), ACTIVE, f"Datastore {UNKNOWN} was not found."),
        ("PUT", VERSIONS + "/5", ACTIVE, f"image set {SAMPLE} has no version 5"),
        ("PUT", VERSIONS + "/5", ACTIVE | {"after": 5}, f"image set {SAMPLE} has no version 5"),
        ("PUT", VERSIONS + "/04", ACTIVE, f"image set {SAMPLE} has no version 04"),
        ("PUT", VERSIONS + "/x", ACTIVE, f"image set {SAMPLE} has no version x"),
    ],
)
def test_a_version_of_something_unknown_is_not_found(
    emulator: Emulator, ask: Ask, method: str, target: str, body: Any, message: str
) -> None:
    assert ask(method, target, body) == (404, {"code": "NotFound", "message": message})
    assert newest(emulator)["versionId"] == "4"


# Transitions.


def update(emulator: Emulator, image_set_id: str = SAMPLE, version: str = "4", account: str = "000000000000") -> None:
    attributes = {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": "A^B"}}}
    emulator.client(aws_access_key_id=account).update_image_set_metadata(
        datastoreId=DATASTORE,
        imageSetId=image_set_id,
        latestVersionId=version,
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(attributes)}},
    )


def test_image_sets_are_listed_page_by_page_in_the_order_of_their_ids(ask: Ask) -> None:
    assert ask("GET", "/datastores") == {
        "datastores": [
            {"datastoreId": DATASTORE, "status": "ACTIVE"},
            {"datastoreId": OTHER_DATASTORE, "status": "ACTIVE"},
        ]
    }
    path = f"/datastores/{OTHER_DATASTORE}/imageSets"
    whole = ask("GET", path)["imageSets"]
    pages = [ask("GET", f"{path}?limit=5")]
    pages.append(ask("GET", f"{path}?limit=5&after={pages[0]['next']}"))
    assert [len(page["imageSets"]) for page in pages] == [5, 4]
    assert pages[0]["imageSets"] + pages[1]["imageSets"] == whole
    assert (pages[0]["next"], "next" in pages[1]) == (whole[4]["imageSetId"], False)
    ids = [each["imageSetId"] for each in whole]
    assert ids == sorted(ids)
    forced = ask("GET", f"{path}/{'forced':0<32}")
    assert (forced in whole, forced["latest"]["versionId"]) == (True, "2")


@pytest.mark.parametrize(
    ("datastore_id", "search", "found"),
    [
        (DATASTORE, SAMPLE[:9].upper(), 1),
        (DATASTORE, "Copying_With", 1),
        (OTHER_DATASTORE, "demo^patient 1", 3),
        (DATASTORE, "  ", 19),
        (DATASTORE, "no such text", 0),
    ],
)
def test_image_sets_are_searched_by_any_text(ask: Ask, datastore_id: str, search: str, found: int) -> None:
    listed = ask("GET", f"/datastores/{datastore_id}/imageSets?search={quote(search)}")["imageSets"]
    assert len(listed) == found


def test_a_search_has_pages(ask: Ask) -> None:
    path = f"/datastores/{OTHER_DATASTORE}/imageSets?search=ACTIVE"
    whole = [each["imageSetId"] for each in ask("GET", path)["imageSets"]]
    page = ask("GET", f"{path}&limit=2")
    assert [each["imageSetId"] for each in page["imageSets"]] == whole[:2]
    rest = ask("GET", f"{path}&after={page['next']}")["imageSets"]
    assert [each["imageSetId"] for each in rest] == whole[2:]


def test_the_versions_of_an_image_set_come_with_its_copies(emulator: Emulator, ask: Ask) -> None:
    assert "copies" not in ask("GET", VERSIONS)
    client = emulator.client()
    copied = client.copy_image_set(
        datastoreId=DATASTORE,
        sourceImageSetId=SAMPLE,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "4"}},
    )
    id = copied["destinationImageSetProperties"]["imageSetId"]
    assert ask("GET", VERSIONS)["copies"] == [
        {"versionId": "4", "direction": "to", "otherImageSetId": id, "otherVersionId": "1"}
    ]
    assert ask("GET", f"/datastores/{DATASTORE}/imageSets/{id}/versions")["copies"] == [
        {"versionId": "1", "direction": "from", "otherImageSetId": SAMPLE, "otherVersionId": "4"}
    ]


def test_the_accounts_that_were_used_are_listed(emulator: Emulator, ask: Ask) -> None:
    default = {"id": "000000000000"}
    assert ask("GET", "/accounts") == {"accounts": [default]}
    newest(emulator, A)
    ask("PUT", "/accounts/900000000001", {"name": "tests/test_a.py::test_b"})
    opened = {"id": "900000000001", "test": "tests/test_a.py::test_b"}
    assert ask("GET", "/accounts") == {"accounts": [default, {"id": A}, opened]}


def test_a_limit_is_above_zero(ask: Ask) -> None:
    status, error = ask("GET", f"/datastores/{DATASTORE}/imageSets?limit=0")
    assert (status, error["message"]) == (400, "invalid limit '0': expected a number above 0")


@pytest.mark.parametrize("limit", ["-1", "1.5", "x", "", "\u0663"])
def test_a_limit_has_digits(ask: Ask, limit: str) -> None:
    status, error = ask("GET", f"/datastores/{DATASTORE}/imageSets?limit={quote(limit)}")
    assert (status, error["path"], error["message"]) == (
        400,
        "limit",
        f"invalid limit {limit!r}: expected a whole number",
    )


@pytest.mark.parametrize(
    ("method", "end"),
    [("GET", ""), ("DELETE", ""), ("POST", "/finish"), ("GET", "/metadata"), ("DELETE", "/versions/1")],
)
def test_an_unknown_image_set_cannot_be_read_or_changed(ask: Ask, method: str, end: str) -> None:
    status, error = ask(method, f"/datastores/{DATASTORE}/imageSets/{UNKNOWN}{end}")
    message = f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."
    assert (status, error) == (404, {"code": "NotFound", "message": message})


def test_a_removed_image_set_is_gone_from_an_exported_seed(ask: Ask) -> None:
    assert ask("DELETE", f"/datastores/{DATASTORE}/imageSets/{SAMPLE}") is None
    (first, _) = ask("GET", "/seed")["datastores"]
    assert SAMPLE not in {each["imageSetId"] for each in first["imageSets"]}


def test_transitions_under_way_are_listed_oldest_first(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    update(emulator)
    ask("PUT", "/clock", {"advance": 0.25})
    ask(
        "POST", "/faults", {"match": {"operation": "UpdateImageSetMetadata"}, "workflow": {"reads": 3, "seconds": None}}
    )
    update(emulator, ONE, "1")
    first = {"operation": "UpdateImageSetMetadata", "imageSetIds": [SAMPLE], "reads": 1, "seconds": 0.75}
    second = {"operation": "UpdateImageSetMetadata", "imageSetIds": [ONE], "reads": 3, "seconds": None}
    assert ask("GET", "/transitions") == {"transitions": [first, second]}
    assert newest(emulator, image_set_id=ONE)["ImageSetWorkflowStatus"] == "UPDATING"
    assert ask("GET", "/transitions") == {"transitions": [first, second | {"reads": 2}]}
    assert ask("GET", "/transitions", account=A) == {"transitions": []}


def test_the_control_api_does_not_count_as_a_reader(emulator: Emulator, ask: Ask) -> None:
    update(emulator)
    for target in (VERSIONS, "/transitions", "/seed", "/calls"):
        ask("GET", target)
    assert newest(emulator)["ImageSetWorkflowStatus"] == "UPDATING"
    assert newest(emulator)["ImageSetWorkflowStatus"] == "UPDATED"


def test_a_transition_that_is_due_is_over(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    update(emulator)
    ask("PUT", "/clock", {"advance": 1})
    assert ask("GET", VERSIONS)["versions"][0]["ImageSetWorkflowStatus"] == "UPDATED"
    assert ask("GET", "/transitions") == {"transitions": []}


def test_all_transitions_of_the_account_are_finished(emulator: Emulator, ask: Ask) -> None:
    update(emulator)
    update(emulator, ONE, "1")
    update(emulator, account=A)
    assert ask("POST", "/transitions/finish") is None
    assert ask("GET", "/transitions") == {"transitions": []}
    assert [newest(emulator, image_set_id=id)["ImageSetWorkflowStatus"] for id in (SAMPLE, ONE)] == ["UPDATED"] * 2
    assert len(ask("GET", "/transitions", account=A)["transitions"]) == 1
    assert ask("POST", "/transitions/finish") is None


# The clock.


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


# Seeds and resetting.

OTHER = {
    "datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": UNKNOWN, "generate": {"versions": 3}}]}]
}


def test_an_exported_seed_loads_again(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"})
    ask("POST", "/faults", THROTTLE | {"id": "a", "match": {"page": 2}})
    document = ask("GET", "/seed")
    loaded = load_seed(document)
    assert loaded.baseline[DATASTORE][SAMPLE].latest.version_id == "5"
    assert loaded.baseline == emulator.account().store.snapshot()
    assert [fault.id for fault in loaded.faults] == ["a"]


def test_put_begins_again_with_another_seed(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"}, account=A)
    assert ask("PUT", "/seed", OTHER | {"faults": [THROTTLE | {"id": "a", "times": 1}]}, account=A) is None
    assert throttled(emulator, A)
    assert newest(emulator, A, UNKNOWN)["versionId"] == "3"
    emulator.image_set(DATASTORE, UNKNOWN, account=A).append(image_set_state="LOCKED")
    assert ask("POST", "/reset", account=A) is None
    assert (newest_after_throttle(emulator), newest(emulator)["versionId"]) == ("3", "4")
    assert SAMPLE not in emulator.account(A).store.snapshot()[DATASTORE]


def newest_after_throttle(emulator: Emulator) -> str:
    assert throttled(emulator, A)
    return str(newest(emulator, A, UNKNOWN)["versionId"])


def test_post_adds_to_the_present_state(emulator: Emulator, ask: Ask) -> None:
    assert ask("POST", "/seed", OTHER | {"faults": [{"latency": {"seconds": 0}, "id": "a"}]}) is None
    assert (newest(emulator)["versionId"], newest(emulator, image_set_id=UNKNOWN)["versionId"]) == ("4", "3")
    ask("POST", "/reset")
    status, _ = ask("POST", VERSIONS.replace(SAMPLE, UNKNOWN), {"imageSetState": "ACTIVE"})
    assert (status, ask("GET", "/faults")) == (404, {"faults": []})


def test_post_adds_all_or_nothing(emulator: Emulator, ask: Ask) -> None:
    image_sets = [{"imageSetId": id, "generate": {"versions": 1}} for id in (UNKNOWN, SAMPLE)]
    both = {"datastores": [{"datastoreId": DATASTORE, "imageSets": image_sets}], "faults": [THROTTLE]}
    message = f"image set {SAMPLE} is in data store {DATASTORE} already"
    assert ask("POST", "/seed", both) == (409, {"code": "Conflict", "message": message})
    assert ask("GET", "/faults") == {"faults": []}
    assert UNKNOWN not in emulator.account().store.snapshot()[DATASTORE]


def of_one(**image_set: Any) -> dict[str, Any]:
    return {"datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": ONE} | image_set]}]}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (
            {"datastores": [{"datastoreId": "X"}]},
            "$.datastores[0].datastoreId",
            "Expected `str` matching regex '[0-9a-z]{32}'",
        ),
        (of_one(), "$.datastores[0].imageSets[0]", "an image set needs versions or generate"),
        (
            of_one(generate={"versions": 1}, metadata="metadata.json"),
            "$.datastores[0].imageSets[0].metadata",
            "metadata can name a file only in a seed that is a file",
        ),
        ({"faults": [{}]}, "$.faults[0]", NO_EFFECT),
        ({"x": 1}, "$", "Object contains unknown field `x`: expected one of datastores, imports, faults"),
        (b"nonsense", "$", "JSON is malformed: invalid character (byte 4)"),
        (b"", "$", "Input data was truncated"),
    ],
)
def test_a_mistaken_seed_is_refused(
    emulator: Emulator, ask: Ask, method: str, body: Any, path: str, message: str
) -> None:
    assert ask(method, "/seed", body) == (400, {"code": "BadRequest", "message": message, "path": path})
    assert newest(emulator)["versionId"] == "4"


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/health?x", "x"),
        ("GET", "/faults?x=1", "x"),
        ("GET", "/calls?attempt=3", "attempt"),
        ("GET", "/calls?imageSet=x", "imageSet"),
        ("POST", VERSIONS + "?after=30", "after"),
    ],
)
def test_an_unknown_query_parameter_is_refused(ask: Ask, method: str, target: str, name: str) -> None:
    refused = {"code": "BadRequest", "message": f"there is no query parameter {name!r} here", "path": name}
    assert ask(method, target, ACTIVE) == (400, refused)


def test_later_changes_can_build_on_each_other(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING", "after": 5})
    updated = {"imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATED"}
    assert ask("PUT", VERSIONS + "/5", updated | {"after": 4})[0] == 404
    assert ask("PUT", VERSIONS + "/5", updated | {"after": 30}) is None
    seen = []
    for _ in range(4):
        seen.append(newest(emulator)["ImageSetWorkflowStatus"] + newest(emulator)["versionId"])
        ask("PUT", "/clock", {"advance": 10})
    assert seen == ["UPDATED4", "UPDATING5", "UPDATING5", "UPDATED5"]


def test_a_later_change_that_has_become_impossible_is_left_out(
    emulator: Emulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 5})
    ask("PUT", VERSIONS + "/5", {"imageSetState": "ACTIVE", "after": 30})
    ask("POST", VERSIONS, {"imageSetState": "ACTIVE", "versionId": "9"})
    ask("PUT", "/clock", {"advance": 60})
    assert newest(emulator)["versionId"] == "10"
    assert caplog.messages == [
        "version 9 follows 4: AWS skips no number",
        f"a change that was due could not be made: image set {SAMPLE} has no version 5",
    ]


@pytest.mark.parametrize("year", ["2000", "2100"])
def test_the_faults_of_a_seed_expire_whatever_date_was_set(year: str) -> None:
    fault = THROTTLE | {"expiresAfter": 60, "id": "a"}
    emulator = Emulator.from_seed(DEMO, {"faults": [fault]})
    ask = asking(emulator)
    for method, target, body in (("POST", "/reset", None), ("PUT", "/seed", {"faults": [fault]})):
        ask("PUT", "/clock", {"freeze": f"{year}-01-01T00:00:00Z"})
        ask(method, target, body)
        assert throttled(emulator)
        ask("PUT", "/clock", {"advance": 61})
        assert ask("GET", "/faults/a")["fired"] == 1
        emulator.app.test_client().post(path())
        assert ask("GET", "/faults/a")["fired"] == 1


def test_faults_without_an_id_can_be_posted_again(ask: Ask) -> None:
    for _ in range(2):
        assert ask("POST", "/seed", {"faults": [THROTTLE]}) is None
    assert [fault["id"] for fault in ask("GET", "/faults")["faults"]] == ["fault-1", "fault-2"]
    taken = {"code": "Conflict", "message": "there is a fault fault-1 already", "path": "$.faults[1].id"}
    two = [{"latency": {"seconds": 0}}, THROTTLE | {"id": "fault-1"}]
    assert ask("POST", "/seed", {"faults": two}) == (409, taken)


def test_reset_may_be_of_some_parts_only(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 5})
    ask("POST", "/faults", {"latency": {"seconds": 0.001}})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"})
    newest(emulator)
    assert ask("POST", "/reset", {"only": ["faults", "clock"]}) is None
    assert (ask("GET", "/faults"), ask("GET", "/clock")["isFrozen"]) == ({"faults": []}, False)
    assert (newest(emulator)["versionId"], len(ask("GET", "/calls")["calls"])) == ("5", 2)
    ask("POST", "/reset", {"only": ["changes", "calls"]})
    assert ask("GET", "/calls")["calls"] == []
    assert newest(emulator)["versionId"] == "4"
    message = "Invalid enum value 'everything': expected one of calls, changes, clock, faults"
    refused = {"code": "BadRequest", "message": message, "path": "$.only[0]"}
    assert ask("POST", "/reset", {"only": ["everything"]}) == (400, refused)


def test_reset_drops_changes_that_are_due_later(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 5})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 10})
    ask("POST", "/reset", {"only": ["changes"]})
    ask("PUT", "/clock", {"advance": 100})
    assert newest(emulator)["versionId"] == "4"


def test_the_faults_of_a_seed_are_there_for_every_account() -> None:
    emulator = Emulator.from_seed(DEMO, {"faults": [THROTTLE | {"times": 1}]})
    assert [throttled(emulator, account) for account in (A, A, B)] == [True, False, True]
    emulator.account(A).reset()
    assert [throttled(emulator, account) for account in (A, B)] == [True, False]


# Accounts, and the token.


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


# The generation.


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


# Errors by their kind.


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


# Threads.

VERSION = {"versionId": "1", "imageSetState": "ACTIVE", "message": "a", "overrides": {"forced": True}}


@pytest.mark.parametrize(
    ("module", "name", "document"),
    [
        ("healthimaging.records", "Version", VERSION),
        ("faults.fault", "Fault", THROTTLE | {"match": {"page": [1]}}),
        ("seeds.document", "SeedDocument", {"datastores": [{"datastoreId": DATASTORE, "imageSets": []}]}),
        ("control.bodies", "NewVersion", VERSION),
        ("control.client", "ClockState", {"now": 0.0, "isFrozen": True}),
        ("control.client", "ErrorBody", {"error": {"code": "Conflict", "message": "m"}}),
    ],
)
def test_threads_may_be_the_first_to_read_a_document(module: str, name: str, document: Any) -> None:
    """Msgspec prepares a type on its first use, and threads that do so at the same time crash Python."""
    program = f"""
import sys, threading
import msgspec
import healthimaging_emulator.control.endpoints
from healthimaging_emulator.{module} import {name}
sys.setswitchinterval(1e-6)
ready = threading.Barrier(16)
def read():
    ready.wait()
    for _ in range(100):
        msgspec.convert({document!r}, {name})
threads = [threading.Thread(target=read) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


# OpenAPI.


def test_the_openapi_document_is_valid_and_has_every_endpoint(emulator: Emulator, ask: Ask) -> None:
    document = ask("GET", "/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = {
        (method, route.rule.replace("<", "{").replace(">", "}"))
        for route in emulator.app.url_map.iter_rules()
        if not route.endpoint.startswith("console.")
        for method in (route.methods or set()) - {"HEAD"}
    }
    snaked = {
        (method, path.replace("Id}", "_id}").replace("imageSet_", "image_set_").replace("imageFrame_", "image_frame_"))
        for method, path in described
    }
    assert snaked | {("GET", "/_emulator/openapi.json")} == served
    assert {"Fault", "SeedDocument", "Call", "Attempt", "ErrorBody"} <= set(document["components"]["schemas"])
