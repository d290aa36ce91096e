"""The journal: attempts grouped into calls, bounded, and readable in an assertion."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.clock import Clock
from healthimaging_emulator.journal import Attempt, Call, Journal
from tests.demo import DATASTORE, MANY, SAMPLE
from tests.faults.calls import DESTINATION, FRAME, IMAGE_SET_ARN, INPUTS, JOB, call, list_all, make_client


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.freeze(1000)
    return clock


@pytest.fixture
def journal(clock: Clock) -> Journal:
    return Journal(clock)


class Client:
    """Records attempts as an SDK's requests would."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock

    def begin(
        self, id: str | None, *, path: str = "/", skipped_pause: float = 0.0, **headers: str
    ) -> tuple[Call, Attempt]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        invocation = {"amz-sdk-invocation-id": id} if id else {}
        return self.journal.begin("POST", path, invocation | given, self.clock.read(), skipped_pause)

    def attempt(self, id: str | None, *, code: str | None = None, **options: Any) -> None:
        self.journal.end(*self.begin(id, **options), 429 if code else 200, code)


@pytest.fixture
def client(journal: Journal, clock: Clock) -> Client:
    return Client(journal, clock)


def numbered(number: int) -> str:
    return f"attempt={number}; max=3"


# Grouping.


def test_the_sdk_for_php_has_headers_of_its_own(journal: Journal, client: Client) -> None:
    for retries in range(3):
        headers = {"aws_sdk_invocation_id": "php", "aws_sdk_retry": f"{retries}/{100 * retries}"}
        client.attempt(None, code="ThrottlingException", **headers)
    (call,) = journal.snapshot()
    assert (call.invocation_id, [attempt.number for attempt in call.attempts]) == ("php", [1, 2, 3])


@pytest.mark.parametrize("retries", ["", "x/0", "/100", "12345678901/0"])
def test_a_count_that_cannot_be_read_is_counted_here(journal: Journal, client: Client, retries: str) -> None:
    for _ in range(2):
        client.attempt(None, aws_sdk_invocation_id="php", aws_sdk_retry=retries)
    (call,) = journal.snapshot()
    assert [attempt.number for attempt in call.attempts] == [1, 2]


def test_attempts_of_one_invocation_are_one_call(journal: Journal, client: Client, clock: Clock) -> None:
    agent = "Boto3/1 cfg/retry-mode#standard x"
    client.attempt("a", code="ThrottlingException", amz_sdk_request=numbered(1), user_agent=agent)
    clock.advance(0.25)
    client.attempt("a", amz_sdk_request=numbered(2))
    (call,) = journal.snapshot()
    assert [(each.number, each.time, each.pause, each.status, each.code) for each in call.attempts] == [
        (1, 1000.0, None, 429, "ThrottlingException"),
        (2, 1000.25, 0.25, 200, None),
    ]
    assert (call.outcome, call.retry_mode) == ("Success", "standard")


def test_a_call_has_no_outcome_while_an_attempt_is_under_way(journal: Journal, client: Client) -> None:
    client.attempt("a", code="ThrottlingException")
    begun = client.begin("a")
    (call,) = journal.snapshot()
    assert call.outcome is None
    journal.end(*begun, None, None)
    assert call.outcome == "NoAnswer"


def test_without_an_invocation_each_request_is_a_call(journal: Journal, client: Client) -> None:
    for _ in range(3):
        client.attempt(None)
    assert [[each.number for each in call.attempts] for call in journal.snapshot()] == [[1], [1], [1]]


def test_attempts_are_counted_where_the_client_does_not(journal: Journal, client: Client) -> None:
    for _ in range(3):
        client.attempt("a")
    assert [each.number for each in journal.snapshot()[0].attempts] == [1, 2, 3]


@pytest.mark.parametrize("header", ["attempt=0x2", "max=3", "attempt=-1", "attempt=٢", "attempt=9999999999"])
def test_a_count_that_cannot_be_read_harms_nothing(journal: Journal, client: Client, header: str) -> None:
    client.attempt("a", amz_sdk_request=header)
    (call,) = journal.snapshot()
    assert len(call.attempts) == 1


def test_one_invocation_of_two_paths_is_two_calls(journal: Journal, client: Client) -> None:
    for path in ("/a", "/b", "/a"):
        client.attempt("#1", path=path)
    client.attempt(None)
    assert [(call.path, len(call.attempts)) for call in journal.snapshot()] == [("/a", 2), ("/b", 1), ("/", 1)]


# Pauses.


def test_a_pause_that_the_transport_left_out_is_added(journal: Journal, client: Client, clock: Clock) -> None:
    client.attempt("a")
    clock.advance(0.25)
    client.attempt("a", skipped_pause=1.5)
    assert [each.pause for each in journal.snapshot()[0].attempts] == [None, 1.75]


def test_a_pause_begins_when_the_attempt_before_has_ended(journal: Journal, client: Client, clock: Clock) -> None:
    begun = client.begin("a")
    clock.advance(10)
    journal.end(*begun, 200, None)
    clock.advance(2)
    client.attempt("a")
    assert journal.snapshot()[0].attempts[1].pause == 2.0


@pytest.mark.parametrize("date", [1, 1e9])
def test_setting_the_date_makes_no_pause(journal: Journal, client: Client, clock: Clock, date: float) -> None:
    client.attempt("a")
    clock.freeze(date)
    clock.advance(3)
    client.attempt("a")
    assert [each.pause for each in journal.snapshot()[0].attempts] == [None, 3.0]


# Limits.


def test_it_is_bounded_and_counts_the_calls_it_dropped(clock: Clock) -> None:
    journal = Journal(clock, limit=3)
    client = Client(journal, clock)
    for id in "abcdef":
        client.attempt(id)
    calls = journal.snapshot()
    assert [call.invocation_id for call in calls] == ["d", "e", "f"]
    assert calls.dropped == 3
    client.attempt("a")
    calls = journal.snapshot()
    assert (len(calls), calls[-1].invocation_id, len(calls[-1].attempts), calls.dropped) == (3, "a", 1, 4)


def test_a_call_keeps_its_last_100_attempts(journal: Journal, client: Client) -> None:
    for number in range(1, 251):
        client.attempt("a", amz_sdk_request=numbered(number))
    assert [each.number for each in journal.snapshot()[0].attempts] == list(range(151, 251))


def test_texts_of_a_client_are_cut_at_1000_characters(journal: Journal, client: Client) -> None:
    client.attempt("i" * 5000, path="/" + "p" * 5000)
    (call,) = journal.snapshot()
    call.identify("GetImageSet", {"imageSetId": ["x" * 5000]}, {}, None)
    assert [len(text or "") for text in (call.invocation_id, call.path, call.image_set_id)] == [1000, 1000, 1000]


def test_an_attempt_may_end_after_its_call_was_dropped(clock: Clock) -> None:
    journal = Journal(clock, limit=1)
    client = Client(journal, clock)
    begun = client.begin("a")
    client.attempt("b")
    journal.end(*begun, 200, None)
    assert [call.invocation_id for call in journal.snapshot()] == ["b"]


def test_clearing_forgets_the_calls_and_how_many_were_dropped(clock: Clock) -> None:
    journal = Journal(clock, limit=1)
    for id in "ab":
        Client(journal, clock).attempt(id)
    journal.clear()
    assert (len(journal.snapshot()), journal.snapshot().dropped) == (0, 0)


# A snapshot.


def test_a_snapshot_is_a_sequence_that_later_calls_do_not_change(journal: Journal, client: Client) -> None:
    for id in "abc":
        client.attempt(id)
    calls = journal.snapshot()
    client.attempt("d")
    assert (len(calls), calls[-1].invocation_id, [call.invocation_id for call in calls[:2]]) == (3, "c", ["a", "b"])
    assert calls[0] in calls
    assert calls == list(calls) != journal.snapshot()
    assert "invocation_id='b'" in repr(calls)
    assert repr(calls).endswith(", 0 dropped>")


def test_a_snapshot_filters_by_image_set_code_and_number_of_attempts(journal: Journal, client: Client) -> None:
    client.attempt("a", code="ConflictException")
    client.attempt("b", code="ThrottlingException")
    client.attempt("b")
    client.attempt("c")
    calls = journal.snapshot()
    for each, image_sets in zip(calls, (["x"], ["y"], ["z", "y"]), strict=True):
        each.identify("CopyImageSet", {"datastoreId": ["d"], "imageSetId": image_sets}, {}, None)
    assert [call.invocation_id for call in calls.filter(code="ThrottlingException")] == ["b"]
    assert [call.invocation_id for call in calls.filter(attempts=1)] == ["a", "c"]
    assert [call.invocation_id for call in calls.filter(image_set_id="y")] == ["b", "c"]
    assert calls.filter(image_set_id="y", code="ConflictException") == []
    assert len(calls.filter()) == 3


# The calls of boto3.


def test_a_call_knows_operation_identifiers_input_and_page(emulator: Emulator) -> None:
    list_all(emulator)
    first, second, _ = emulator.calls
    identifiers = {"datastoreId": [DATASTORE], "imageSetId": [MANY]}
    assert (first.operation, first.page, first.identifiers) == ("ListImageSetVersions", 1, identifiers)
    assert first.input == {"datastoreId": DATASTORE, "imageSetId": MANY}
    assert second.page == 2
    assert list(second.input) == ["datastoreId", "imageSetId", "nextToken"]
    assert (first.datastore_id, first.image_set_id) == (DATASTORE, MANY)


IDENTIFIERS: dict[str, dict[str, list[str]]] = {
    "CopyImageSet": {"datastoreId": [DATASTORE], "imageSetId": [SAMPLE, DESTINATION]},
    "GetImageFrame": {"datastoreId": [DATASTORE], "imageSetId": [SAMPLE], "imageFrameId": [FRAME]},
    "GetDICOMImportJob": {"datastoreId": [DATASTORE], "jobId": [JOB]},
    "TagResource": {"resourceArn": [IMAGE_SET_ARN]},
    "ListDatastores": {},
}


@pytest.mark.parametrize("operation", IDENTIFIERS)
def test_every_identifier_of_an_operation_is_kept(emulator: Emulator, operation: str) -> None:
    emulator.faults.add(Fault.error("Mine", status=400))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ClientError):
        call(client, operation)
    (recorded,) = emulator.calls
    assert recorded.identifiers == IDENTIFIERS[operation]
    assert recorded.input == INPUTS[operation]


def test_an_input_is_kept_without_what_is_long(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("Mine", status=400))
    client = make_client(emulator)
    tags = {f"key{number:02}": "v" * 256 for number in range(30)}
    with pytest.raises(client.exceptions.ClientError):
        call(client, "TagResource", tags=tags)
    kept = emulator.calls[0].input["tags"]
    assert kept == {f"key{number:02}": "v" * 200 + "..." for number in range(9)}


def test_an_input_of_many_small_parts_is_kept_to_some_thousand_characters(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("Mine", status=400))
    value = {"DICOMPatientId": "v" * 200}
    body = {"filters": [{"operator": "EQUAL", "values": [value] * 20}] * 20}
    path = f"/datastore/{DATASTORE}/searchImageSets"
    emulator.app.test_client().post(path, json=body)
    assert 1000 < len(str(emulator.calls[0].input)) < 4000


def test_a_request_for_no_operation_has_no_input(emulator: Emulator) -> None:
    emulator.app.test_client().get("/nothing?x=1")
    (recorded,) = emulator.calls
    assert (recorded.operation, recorded.identifiers, recorded.input, recorded.page) == (None, {}, {}, None)
    assert str(recorded) == "/nothing: UnknownOperationException\n  404 UnknownOperationException"


@pytest.mark.newest_boto3  # which obeys x-amz-retry-after
def test_a_call_reads_as_a_report(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(
        Fault.error("ThrottlingException", id="busy", attempt=1, retry_after=2),
        Fault.latency(1, id="slow"),
        Fault.pagination("drop-token", id="lost"),
    )
    call(make_client(emulator), "ListImageSetVersions")
    assert str(emulator.calls) == (
        f"ListImageSetVersions {DATASTORE}/{SAMPLE}, page 1: Success\n"
        "  429 ThrottlingException, by busy\n"
        "  200, by slow, without use for lost, 1 s late, after a pause of 2 s"
    )


def test_an_attempt_names_the_transitions_that_it_saw_and_ended(emulator: Emulator) -> None:
    client = make_client(emulator)
    for operation in ("UpdateImageSetMetadata", "GetImageSet", "GetImageSet"):
        call(client, operation)
    assert [str(each.attempts[0]) for each in emulator.calls] == [
        "200",
        f"200, saw UpdateImageSetMetadata of {SAMPLE}, ended UpdateImageSetMetadata of {SAMPLE}",
        "200",
    ]
