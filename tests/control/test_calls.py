"""Calls and events in the control API."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from unittest.mock import ANY
from urllib.parse import quote

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.messages import Response
from healthimaging_emulator.pipeline import excerpt_body
from tests.demo import DATASTORE, MANY, SAMPLE, path
from tests.raw import exchange, request

from .conftest import Ask


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


def test_events_are_listed_behind_the_last_one_that_was_seen(emulator: Emulator, ask: Ask) -> None:
    emulator.client().delete_image_set(datastoreId=DATASTORE, imageSetId=MANY)
    (deleting,) = ask("GET", "/events")["events"]
    assert deleting["detail-type"] == "Image Set Deleting"
    assert ask("POST", "/transitions/finish") is None
    (deleted,) = ask("GET", f"/events?after={deleting['id']}")["events"]
    assert deleted["detail-type"] == "Image Set Deleted"
    assert ask("GET", f"/events?after={deleted['id']}") == {"events": []}
    assert ask("GET", "/events?after=unknown") == {"events": [deleting, deleted]}
