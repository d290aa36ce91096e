"""The journal: attempts grouped into calls, bounded, and readable in an assertion."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from healthimaging_emulator.clock import Clock
from healthimaging_emulator.journal import Calls


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.freeze(1000)
    return clock


def attempt(
    calls: Calls, id: str | None, number: int | None = None, *, code: str | None = None, mode: str = ""
) -> None:
    headers = Headers()
    if id:
        headers["amz-sdk-invocation-id"] = id
    if number:
        headers["amz-sdk-request"] = f"attempt={number}; max=3"
    if mode:
        headers["User-Agent"] = f"Boto3/1 cfg/retry-mode#{mode} x"
    begun = calls.begin("POST", "/", headers)
    calls.end(*begun, 429 if code else 200, code)


def test_attempts_of_one_invocation_are_one_call(clock: Clock) -> None:
    calls = Calls(clock)
    attempt(calls, "a", 1, code="ThrottlingException", mode="standard")
    clock.advance(0.25)
    attempt(calls, "a", 2)
    (call,) = calls
    assert [(each.number, each.time, each.pause, each.status, each.code) for each in call.attempts] == [
        (1, 1000.0, None, 429, "ThrottlingException"),
        (2, 1000.25, 0.25, 200, None),
    ]
    assert (call.outcome, call.retry_mode) == ("Success", "standard")


def test_without_an_invocation_a_request_is_a_call(clock: Clock) -> None:
    calls = Calls(clock)
    for _ in range(3):
        attempt(calls, None)
    assert [[each.number for each in call.attempts] for call in calls] == [[1], [1], [1]]


def test_attempts_are_counted_where_the_client_does_not(clock: Clock) -> None:
    calls = Calls(clock)
    for _ in range(3):
        attempt(calls, "a")
    assert [each.number for each in calls[0].attempts] == [1, 2, 3]


def test_it_is_bounded_and_counts_what_it_dropped(clock: Clock) -> None:
    calls = Calls(clock, limit=3)
    for id in "abcdef":
        attempt(calls, id)
    assert [call.invocation_id for call in calls] == ["d", "e", "f"]
    assert calls.dropped == 3
    attempt(calls, "a")
    assert (len(calls), calls[-1].invocation_id, len(calls[-1].attempts), calls.dropped) == (3, "a", 1, 4)


def test_a_call_is_bounded_too(clock: Clock) -> None:
    calls = Calls(clock)
    for number in range(1, 251):
        attempt(calls, "a", number)
    assert [each.number for each in calls[0].attempts] == list(range(151, 251))


def test_one_invocation_of_two_paths_is_two_calls(clock: Clock) -> None:
    calls = Calls(clock)
    for path in ("/a", "/b", "/a"):
        calls.end(*calls.begin("POST", path, Headers({"amz-sdk-invocation-id": "#1"})), 200, None)
    attempt(calls, None)
    assert [(call.path, len(call.attempts)) for call in calls] == [("/a", 2), ("/b", 1), ("/", 1)]


def test_a_clock_that_goes_back_makes_no_pause(clock: Clock) -> None:
    calls = Calls(clock)
    attempt(calls, "a")
    clock.freeze(1)
    attempt(calls, "a")
    assert calls[0].attempts[1].pause == 0.0


def test_it_is_a_sequence(clock: Clock) -> None:
    calls = Calls(clock)
    for id in "abc":
        attempt(calls, id)
    assert (len(calls), calls[-1].invocation_id, [call.invocation_id for call in calls[:2]]) == (3, "c", ["a", "b"])
    assert calls[0] in calls
    assert "invocation_id='b'" in repr(calls)


def test_it_filters(clock: Clock) -> None:
    calls = Calls(clock)
    attempt(calls, "a", code="ConflictException")
    attempt(calls, "b", code="ThrottlingException")
    attempt(calls, "b")
    for call, image_set in zip(calls, ("x", "y"), strict=True):
        call.image_set_id = image_set
    assert [call.invocation_id for call in calls.filter(code="ThrottlingException")] == ["b"]
    assert [call.invocation_id for call in calls.filter(attempts=1)] == ["a"]
    assert [call.invocation_id for call in calls.filter(image_set_id="y")] == ["b"]
    assert calls.filter(image_set_id="y", code="ConflictException") == []
    assert len(calls.filter()) == 2


def test_it_can_be_cleared(clock: Clock) -> None:
    calls = Calls(clock, limit=1)
    attempt(calls, "a")
    attempt(calls, "b")
    calls.clear()
    assert (len(calls), calls.dropped) == (0, 0)


def test_an_attempt_that_ends_after_its_call_was_dropped(clock: Clock) -> None:
    calls = Calls(clock, limit=1)
    begun = calls.begin("POST", "/", Headers({"amz-sdk-invocation-id": "a"}))
    attempt(calls, "b")
    calls.end(*begun, 200, None)
    assert [call.invocation_id for call in calls] == ["b"]
