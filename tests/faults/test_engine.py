"""Which fault fires, when, and how often. The effect of each kind is in the file of its name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from healthimaging_emulator import (
    ConflictError,
    Emulator,
    Fault,
    InvalidError,
    Latency,
    LimitExceededError,
    NotFoundError,
    Settings,
)
from healthimaging_emulator.clock import Clock
from healthimaging_emulator.faults.engine import Faults, Injection, RequestView
from healthimaging_emulator.faults.fault import Match
from healthimaging_emulator.messages import Exchange, Wait
from tests.conftest import DEMO
from tests.demo import DATASTORE, SAMPLE

from .calls import DATASTORE_ARN, DESTINATION, FRAME, IMAGE_SET_ARN, INPUTS, JOB, call, list_all, make_client

D, ID = "d" * 32, "a" * 32


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.freeze(1000)
    return clock


@pytest.fixture
def faults(clock: Clock) -> Faults:
    return Faults(clock)


def request(**members: Any) -> RequestView:
    identifiers = {"datastoreId": [D], "imageSetId": [ID]}
    defaults: dict[str, Any] = {
        "operation": "ListImageSetVersions",
        "identifiers": identifiers,
        "page": 1,
        "attempt": 1,
    }
    return RequestView(**(defaults | members))


def pick(faults: Faults, clock: Clock, **members: Any) -> Injection:
    return faults.pick(request(**members), clock.elapsed())


def fired(faults: Faults, clock: Clock, times: int = 1, **members: Any) -> list[list[str]]:
    return [pick(faults, clock, **members).ids for _ in range(times)]


def pattern(faults: Faults, clock: Clock, times: int) -> str:
    return "".join("x" if ids else "." for ids in fired(faults, clock, times))


THROTTLE = "ThrottlingException"


def test_an_empty_match_is_for_all_requests(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.error(THROTTLE))
    assert fired(faults, clock, page=None, identifiers={}) == [["fault-1"]]
    assert [fired(faults, clock, operation=operation) for operation in INPUTS] == [[["fault-1"]]] * 18


def of_image_set(*ids: str) -> dict[str, Any]:
    return {"operation": "CopyImageSet", "identifiers": {"datastoreId": [D], "imageSetId": list(ids)}, "page": None}


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ({"operation": "ListImageSetVersions"}, {}, {"operation": "GetImageSet"}),
        ({"operation": ["GetImageSet", "ListImageSetVersions"]}, {}, {"operation": "GetImageSetMetadata"}),
        ({"datastore_id": D}, {}, {"identifiers": {"datastoreId": ["e" * 32], "imageSetId": [ID]}}),
        ({"datastore_id": D}, {}, {"operation": "ListDatastores", "identifiers": {}}),
        ({"image_set_id": ID}, {}, {"identifiers": {"datastoreId": [D], "imageSetId": ["b" * 32]}}),
        ({"image_set_id": ID}, of_image_set(ID), of_image_set("b" * 32, "c" * 32)),
        ({"image_set_id": ID}, of_image_set("b" * 32, ID), of_image_set("b" * 32)),
        ({"page": 2}, {"page": 2}, {"page": 1}),
        ({"page": [2, 3]}, {"page": 3}, {"page": 4}),
        ({"page": 1}, {"page": 1}, {"page": None}),
        ({"attempt": 1}, {"attempt": 1}, {"attempt": 2}),
        ({"attempt": [1, 2]}, {"attempt": 2}, {"attempt": 3}),
    ],
)
def test_a_match_fires_for_its_requests_only(
    faults: Faults, clock: Clock, match: dict[str, Any], hits: dict[str, Any], misses: dict[str, Any]
) -> None:
    faults.add(Fault.error(THROTTLE, **match))
    assert fired(faults, clock, **hits) == [["fault-1"]]
    assert fired(faults, clock, **misses) == [[]]
    assert (faults["fault-1"].matched, faults["fault-1"].fired) == (1, 1)


@pytest.mark.parametrize(
    ("operation", "match"),
    [
        *((operation, {"datastore_id": DATASTORE}) for operation, input in INPUTS.items() if "datastoreId" in input),
        *((operation, {"image_set_id": SAMPLE}) for operation, input in INPUTS.items() if "imageSetId" in input),
        ("CopyImageSet", {"image_set_id": SAMPLE}),
        ("CopyImageSet", {"image_set_id": DESTINATION}),
        ("GetImageFrame", {"image_frame_id": FRAME}),
        ("GetDICOMImportJob", {"job_id": JOB}),
        ("TagResource", {"resource_arn": IMAGE_SET_ARN}),
        ("UntagResource", {"resource_arn": IMAGE_SET_ARN}),
        ("ListTagsForResource", {"resource_arn": IMAGE_SET_ARN}),
    ],
)
def test_a_request_is_matched_by_its_identifiers(emulator: Emulator, operation: str, match: dict[str, str]) -> None:
    others = {"resource_arn": DATASTORE_ARN, "job_id": "other"}
    (name,) = match
    emulator.faults.add(
        Fault.error("Other", status=400, operation=operation, **{name: others.get(name, "0" * 32)}),  # type: ignore[arg-type]
        Fault.error("Mine", status=400, operation=operation, **match),  # type: ignore[arg-type]
    )
    with pytest.raises(ClientError) as raised:
        call(make_client(emulator), operation)
    assert raised.value.response["Error"]["Code"] == "Mine"
    assert [each.matched for each in emulator.faults] == [0, 1]


def test_two_identifiers_must_both_match(emulator: Emulator) -> None:
    emulator.faults.add(
        Fault.error("Mine", status=400, image_set_id=SAMPLE, image_frame_id="0" * 32),
        Fault.error("Mine", status=400, image_set_id="0" * 32, image_frame_id=FRAME),
        Fault.error("Mine", status=400, image_set_id=SAMPLE, image_frame_id=FRAME),
    )
    with pytest.raises(ClientError, match="Mine"):
        call(make_client(emulator), "GetImageFrame")
    assert [each.matched for each in emulator.faults] == [0, 0, 1]


def test_a_copy_without_a_destination_has_its_source_only(emulator: Emulator) -> None:
    emulator.faults.add(
        Fault.error("Destination", status=400, image_set_id=DESTINATION),
        Fault.error("Source", status=400, image_set_id=SAMPLE),
    )
    information = {"sourceImageSet": {"latestVersionId": "4"}}
    with pytest.raises(ClientError, match="Source"):
        call(make_client(emulator), "CopyImageSet", copyImageSetInformation=information)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, "xxxxxxxx"),
        ({"times": 2}, "xx......"),
        ({"skip": 3}, "...xxxxx"),
        ({"every": 3}, "x..x..x."),
        ({"skip": 1, "every": 2, "times": 2}, ".x.x...."),
        ({"probability": 0}, "........"),
        ({"probability": 0.5, "seed": 1}, "x..xxx.."),
        ({"probability": 0.5, "seed": 1, "every": 2}, "x.....x."),
    ],
)
def test_a_fault_fires_as_its_members_say(faults: Faults, clock: Clock, when: dict[str, Any], expected: str) -> None:
    faults.add(Fault.error(THROTTLE, **when))
    assert pattern(faults, clock, 8) == expected
    (status,) = faults
    assert (status.matched, status.fired) == (8, expected.count("x"))


def test_a_fault_expires_by_the_clock(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.error(THROTTLE, expires_after=60))
    clock.advance(59.999)
    assert pattern(faults, clock, 1) == "x"
    clock.advance(0.001)
    assert pattern(faults, clock, 1) == "."


def test_a_bucket_lets_its_burst_through_and_refills_by_the_clock(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.rate_limit(per_second=25, burst=50))
    assert pattern(faults, clock, 52) == "." * 50 + "xx"
    clock.advance(0.04)
    assert pattern(faults, clock, 2) == ".x"
    clock.advance(1)
    assert pattern(faults, clock, 26) == "." * 25 + "x"
    clock.advance(3600)
    assert pattern(faults, clock, 51) == "." * 50 + "x"


def test_a_bucket_refills_exactly_at_any_time(clock: Clock) -> None:
    for _ in range(500):
        clock.advance(1.001)
        faults = Faults(clock, [Fault.rate_limit(per_second=25, burst=5), Fault.latency(0, expires_after=0.2, id="b")])
        assert pattern(faults, clock, 6) == "xxxxxx"
        assert faults["fault-1"].fired == 1
        clock.advance(0.2)
        assert pattern(faults, clock, 6) == ".....x"


def test_a_bucket_does_not_refill_when_the_date_goes_back_and_forth(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.rate_limit(per_second=1, burst=5))
    admitted = 0
    for _ in range(10):
        for time in (1005, 1000):
            clock.freeze(time)
            admitted += pattern(faults, clock, 5).count(".")
    assert admitted == 5


def test_the_first_that_fires_ends_the_search(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.error(THROTTLE, id="a", times=1), Fault.error("ConflictException", id="b"))
    assert fired(faults, clock, 3) == [["a"], ["b"], ["b"]]
    assert [(status.matched, status.fired) for status in faults] == [(3, 1), (2, 2)]


def test_a_latency_alone_does_not_end_the_search(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.latency(1, id="a"), Fault.latency(2, id="b"), Fault.error(THROTTLE, id="c", latency=Latency(4)))
    injection = pick(faults, clock)
    assert (injection.ids, injection.latencies) == (["a", "b", "c"], (1.0, 2.0, 4.0))


def test_jitter_is_repeatable_and_bounded(clock: Clock) -> None:
    first, second = Faults(clock), Faults(clock)
    for faults in (first, second):
        faults.add(Fault.latency(1, jitter=2, seed=3))
    delays = [pick(first, clock).latencies for _ in range(50)]
    assert delays == [pick(second, clock).latencies for _ in range(50)]
    assert min(delays) == (0,)
    assert len(set(delays)) > 20
    assert max(delays) <= (3,)


@pytest.mark.parametrize(("kind", "first"), [("repeat-token", 2), ("cycle", 3), ("empty-page", 1)])
def test_a_pagination_fault_matches_the_pages_where_it_can_be(
    faults: Faults, clock: Clock, kind: Any, first: int
) -> None:
    faults.add(Fault.pagination(kind))
    for page in (1, 2, 3):
        assert bool(fired(faults, clock, page=page)[0]) == (page >= first)
    assert faults["fault-1"].matched == 4 - first


@pytest.mark.usefixtures("restless_threads")
def test_counting_is_exact_under_32_threads(faults: Faults, clock: Clock) -> None:
    # The dice are thrown between the look at ``times`` and the count, which is where a missing lock would show.
    faults.add(Fault.error(THROTTLE, times=100, probability=1 - 1e-12), Fault.error("ConflictException", id="rest"))
    ready, seen = threading.Barrier(32), []

    def work() -> None:
        ready.wait()
        seen.extend(fired(faults, clock, 50))

    run_in_threads(work, 32)
    assert [seen.count(["fault-1"]), seen.count(["rest"])] == [100, 1500]
    assert [(status.matched, status.fired) for status in faults] == [(1600, 100), (1500, 1500)]


@pytest.mark.usefixtures("restless_threads")
def test_counts_that_are_given_back_are_exact_under_threads(emulator: Emulator) -> None:
    emulator.faults.add(Fault.corrupt("html", times=20, operation="GetImageSet"))
    client, ready = make_client(emulator, attempts=1), threading.Barrier(8)

    def work() -> None:
        ready.wait()
        for number in range(20):
            with suppress(ClientError, ValueError):
                call(client, "GetImageSet", imageSetId="0" * 32 if number % 2 else SAMPLE)

    run_in_threads(work, 8)
    attempts = [each.attempts[0] for each in emulator.calls]
    assert len(attempts) == 160
    status = emulator.faults["fault-1"]
    assert sum("fault-1" in attempt.faults for attempt in attempts) == status.fired <= 20
    assert not any(attempt.faults and attempt.status != 200 for attempt in attempts)


def run_in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Adding and removing.


def test_ids_are_given_where_none_is(faults: Faults) -> None:
    faults.add(Fault.error(THROTTLE, id="fault-2"))
    added = faults.add(Fault.error(THROTTLE), Fault.error(THROTTLE, id="fault-3"), Fault.error(THROTTLE))
    assert [status.id for status in added] == ["fault-4", "fault-3", "fault-5"]
    faults.remove("fault-5")
    assert [status.id for status in faults.add(Fault.error(THROTTLE))] == ["fault-5"]


MODELLED = (
    "ThrottlingException, AccessDeniedException, ValidationException, InternalServerException, ConflictException, "
    "ResourceNotFoundException"
)
ARN_PATTERN = (
    "arn:aws((-us-gov)|(-iso)|(-iso-b)|(-cn))?:medical-imaging:[a-z0-9-]+:[0-9]{12}:datastore/[0-9a-z]{32}"
    "(/imageset/[0-9a-z]{32})?"
)
PAGINATION_KINDS = "cycle, drop-token, duplicate-item, empty-page, repeat-token, skip-item, stale-token"
MEMBERS = (
    "id, match, skip, every, times, probability, seed, expiresAfter, when, first, error, rateLimit, pagination, "
    "corrupt, connection, workflow, respond, latency"
)

MISTAKES: list[tuple[Callable[[], Any], str, str]] = [
    (
        Fault,
        "",
        "a fault needs an effect: error, rateLimit, pagination, corrupt, connection, workflow, respond, latency",
    ),
    (
        lambda: {"error": {"code": THROTTLE}, "corrupt": "empty"},
        ".corrupt",
        "a fault has one effect, not error and corrupt",
    ),
    (
        lambda: Fault.error("Nonsense"),
        ".error",
        "can never do anything: ListImageSetVersions does not model Nonsense, so it needs a status; it models "
        + MODELLED,
    ),
    (
        lambda: Fault.error("UnknownOperationException", operation="GetImageSet"),
        ".error",
        "can never do anything: GetImageSet does not model UnknownOperationException, so it needs a status; it models "
        + MODELLED,
    ),
    (
        lambda: Fault.error("ConflictException", operation=["ListDatastores", "GetDatastore"]),
        ".error",
        "can never do anything: GetDatastore does not model ConflictException, so it needs a status; it models "
        "ThrottlingException, AccessDeniedException, ValidationException, InternalServerException, "
        "ResourceNotFoundException",
    ),
    (lambda: Fault.error("X\r\n", status=400), ".error.code", "Expected `str` matching regex '[!-~]{1,256}'"),
    (lambda: Fault.error(THROTTLE, "\ud800"), ".error.message", "a message must be Unicode text"),
    (lambda: Fault.error(THROTTLE, "x" * 8193), ".error.message", "Expected `str` of length <= 8192"),
    (lambda: Fault.error(THROTTLE, expires_after=float("inf")), ".expiresAfter", "Expected `float` <= 1000000000.0"),
    (lambda: Fault.error("X", status=399), ".error.status", "Expected `int` >= 400"),
    (lambda: Fault.error("X", status=600), ".error.status", "Expected `int` <= 599"),
    (lambda: Fault.error(THROTTLE, retry_after=-1), ".error.retryAfter", "Expected `float` >= 0.0"),
    (
        lambda: Fault.error(THROTTLE, operation="GetImageSetVersions"),
        ".match.operation",
        "invalid operation 'GetImageSetVersions': expected an operation of HealthImaging "
        "(did you mean ListImageSetVersions?)",
    ),
    (
        lambda: Fault.error(THROTTLE, operation=["GetImageSet", "Nonsense"]),
        ".match.operation",
        "invalid operation 'Nonsense': expected an operation of HealthImaging",
    ),
    (lambda: Fault.error(THROTTLE, operation=[]), ".match.operation", "Expected `array` of length >= 1"),
    (lambda: Fault.error(THROTTLE, page=0), ".match.page", "Expected `int` >= 1"),
    (lambda: Fault.error(THROTTLE, page=[1, 0]), ".match.page[1]", "Expected `int` >= 1"),
    (lambda: Fault.error(THROTTLE, page=[]), ".match.page", "Expected `array` of length >= 1"),
    (lambda: Fault.error(THROTTLE, attempt=[]), ".match.attempt", "Expected `array` of length >= 1"),
    (
        lambda: Fault.error(THROTTLE, page="2"),  # type: ignore[arg-type]
        ".match.page",
        "Expected `int | array | null`, got `str`",
    ),
    (
        lambda: Fault.error(THROTTLE, datastore_id="X"),
        ".match.datastoreId",
        "Expected `str` matching regex '[0-9a-z]{32}'",
    ),
    (lambda: Fault.error(THROTTLE, job_id="X"), ".match.jobId", "Expected `str` matching regex '[0-9a-z]+'"),
    (
        lambda: Fault.error(THROTTLE, resource_arn="arn:aws:s3:::bucket"),
        ".match.resourceArn",
        f"Expected `str` matching regex '{ARN_PATTERN}'",
    ),
    (
        lambda: Fault.error(THROTTLE, operation="GetDatastore", image_set_id=ID),
        ".match.imageSetId",
        "can never match: GetDatastore has no imageSetId",
    ),
    (
        lambda: Fault.error(THROTTLE, job_id="1", image_frame_id=ID),
        ".match.jobId",
        "can never match: GetImageFrame has no jobId",
    ),
    (
        lambda: Fault.error(THROTTLE, operation=["GetImageSet", "TagResource"], page=1),
        ".match.page",
        "can never match: GetImageSet, TagResource has no page",
    ),
    (lambda: Fault.error(THROTTLE, times=0), ".times", "Expected `int` >= 1"),
    (lambda: Fault.error(THROTTLE, every=0), ".every", "Expected `int` >= 1"),
    (lambda: Fault.error(THROTTLE, skip=-1), ".skip", "Expected `int` >= 0"),
    (lambda: Fault.error(THROTTLE, probability=1.1), ".probability", "Expected `float` <= 1.0"),
    (lambda: Fault.error(THROTTLE, expires_after=0), ".expiresAfter", "Expected `float` > 0.0"),
    (
        lambda: Fault.error(THROTTLE, when="later"),  # type: ignore[arg-type]
        ".when",
        "Invalid enum value 'later': expected one of after, before",
    ),
    *(
        (
            partial(Fault.error, THROTTLE, id=id),
            ".id",
            "Expected `str` matching regex '[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}'",
        )
        for id in ("a b", "", "x" * 129, ".", "..")  # a path with two dots is another path
    ),
    (lambda: Fault.connection("reset", seconds=1), ".connection.seconds", "seconds is only valid for kind stall"),
    (lambda: Fault.connection("stall", seconds=86401), ".connection.seconds", "Expected `float` <= 86400.0"),
    (
        lambda: Fault.connection("explode"),  # type: ignore[arg-type]
        ".connection",
        "Invalid enum value 'explode': expected one of close, cut, reset, stall",
    ),
    (
        lambda: Fault.pagination("cut"),  # type: ignore[arg-type]
        ".pagination",
        f"Invalid enum value 'cut': expected one of {PAGINATION_KINDS}",
    ),
    (lambda: Fault.rate_limit(per_second=0, burst=1), ".rateLimit.perSecond", "Expected `float` > 0.0"),
    (lambda: Fault.rate_limit(per_second=1, burst=0), ".rateLimit.burst", "Expected `int` >= 1"),
    (
        lambda: Fault.rate_limit(per_second=1, burst=10**401),
        ".rateLimit.burst",
        "Expected `int` <= 9223372036854775807",
    ),
    (lambda: Fault.latency(-1), ".latency.seconds", "Expected `float` >= 0.0"),
    (lambda: Fault.latency(float("nan")), ".latency.seconds", "Expected `float` >= 0.0"),
    (lambda: Fault.latency(1, jitter=-1), ".latency.jitter", "Expected `float` >= 0.0"),
    (
        lambda: Fault.rate_limit(1, 1, when="after"),
        ".when",
        "rateLimit cannot come after: expected error, connection or latency",
    ),
    (
        lambda: Fault.corrupt("empty", when="after", latency=Latency(1)),
        ".when",
        "corrupt cannot come after: expected error, connection or latency",
    ),
    (
        lambda: Fault.workflow(when="after"),
        ".when",
        "workflow cannot come after: expected error, connection or latency",
    ),
    (
        lambda: Fault.respond({}, operation="ListDatastores", when="after"),
        ".when",
        "respond cannot come after: expected error, connection or latency",
    ),
    (
        lambda: {"pge": 1},
        "",
        f"Object contains unknown field `pge`: expected one of {MEMBERS}",
    ),
    (lambda: {"rate": {}}, "", "Object contains unknown field `rate` (did you mean rateLimit?)"),
    (lambda: {"match": {"pages": 1}}, ".match", "Object contains unknown field `pages` (did you mean page?)"),
    (lambda: {"latency": 1}, ".latency", "Expected `object | null`, got `int`"),
    (
        lambda: {"connection": {"kind": "stall", "second": 1}},
        ".connection",
        "Object contains unknown field `second` (did you mean seconds?)",
    ),
]


@pytest.mark.parametrize(("make", "path", "mistake"), MISTAKES, ids=[f"{p} {m}" for _, p, m in MISTAKES])
def test_a_mistake_refuses_the_list_whole(faults: Faults, make: Callable[[], Any], path: str, mistake: str) -> None:
    with pytest.raises(InvalidError) as raised:
        faults.add(Fault.error(THROTTLE, id="first"), make())
    assert (raised.value.path, raised.value.message) == (f"$[1]{path}", mistake)
    assert list(faults) == []


def test_an_id_that_is_taken_is_a_conflict(faults: Faults) -> None:
    (first,) = faults.add(Fault.error(THROTTLE, id="first"))
    for others in ([first.id], ["second", "second"]):
        with pytest.raises(ConflictError) as raised:
            faults.add(*(Fault.latency(1, id=str(id)) for id in others))
        assert str(raised.value) == f"$[{len(others) - 1}].id: there is a fault {others[0]} already"
    assert list(faults) == [first]


def test_the_number_of_faults_has_a_limit_that_those_of_the_seed_do_not_reach(clock: Clock) -> None:
    faults = Faults(clock, [Fault.latency(1)] * 3, Settings(max_faults=2))
    faults.add(Fault.latency(1), Fault.latency(1))
    with pytest.raises(LimitExceededError) as raised:
        faults.add(Fault.latency(1))
    assert str(raised.value) == "limit exceeded: 3 faults, but max_faults is 2"
    assert len(faults) == 5


def test_a_code_that_is_not_modelled_needs_a_status(faults: Faults) -> None:
    faults.add(Fault.error("namespace#Name", status=418))
    assert [status.error_effect and status.error_effect.code for status in faults] == ["namespace#Name"]


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="imageSetId"):
        Fault.error(THROTTLE, imageSetId=ID)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("fault", "document"),
    [
        (
            Fault.error("X", "m", status=418, retry_after=1.5, operation=["GetImageSet"], job_id="1"),
            {
                "match": {"operation": ["GetImageSet"], "jobId": "1"},
                "error": {"code": "X", "message": "m", "status": 418, "retryAfter": 1.5},
            },
        ),
        (
            Fault.rate_limit(25, 50, datastore_id=D, image_set_id=ID, image_frame_id=ID, resource_arn=IMAGE_SET_ARN),
            {
                "match": {
                    "datastoreId": D,
                    "imageSetId": ID,
                    "imageFrameId": ID,
                    "resourceArn": IMAGE_SET_ARN,
                },
                "rateLimit": {"perSecond": 25, "burst": 50},
            },
        ),
        (
            Fault.pagination("cycle", page=3, attempt=1, id="a", skip=1, every=2, times=3),
            {
                "id": "a",
                "match": {"page": 3, "attempt": 1},
                "skip": 1,
                "every": 2,
                "times": 3,
                "pagination": "cycle",
            },
        ),
        (
            Fault.corrupt("html", probability=0.5, seed=7, expires_after=60, latency=Latency(1, 0.5)),
            {
                "probability": 0.5,
                "seed": 7,
                "expiresAfter": 60,
                "latency": {"seconds": 1, "jitter": 0.5},
                "corrupt": "html",
            },
        ),
        (Fault.connection("reset", when="after"), {"when": "after", "connection": "reset"}),
        (Fault.connection("stall", seconds=5), {"connection": {"kind": "stall", "seconds": 5}}),
        (
            Fault.workflow("failed", "m", reads=3, seconds=None),
            {"workflow": {"outcome": "failed", "message": "m", "reads": 3, "seconds": None}},
        ),
        (Fault.workflow(), {"workflow": {}}),
        (
            Fault.respond({"pages": [{}]}, operation="ListDatastores"),
            {"match": {"operation": "ListDatastores"}, "respond": {"pages": [{}]}},
        ),
        (Fault.latency(1, 0.5), {"latency": {"seconds": 1, "jitter": 0.5}}),
    ],
)
def test_a_constructor_makes_the_record_that_a_document_writes_out(fault: Fault, document: dict[str, Any]) -> None:
    assert msgspec.convert(document, Fault) == fault
    assert msgspec.to_builtins(fault) == {"match": {}} | document
    assert msgspec.json.decode(msgspec.json.encode(fault), type=Fault) == fault


def test_the_match_of_a_fault_can_be_written_out() -> None:
    assert Fault.pagination("cycle", page=3, attempt=1) == Fault(
        pagination_effect="cycle", match=Match(page=3, attempt=1)
    )


def test_a_fault_may_be_a_mapping_as_on_the_wire(faults: Faults) -> None:
    (added,) = faults.add({"match": {"page": 2}, "error": {"code": "ConflictException"}})
    assert (added.id, added.match.page, added.matched, added.fired) == ("fault-1", 2, 0, 0)


def test_a_fault_is_removed_by_its_id(faults: Faults) -> None:
    faults.add(*(Fault.error(THROTTLE, id=id) for id in "abc"))
    faults.remove("b")
    assert [status.id for status in faults] == ["a", "c"]
    for use in (faults.remove, faults.__getitem__):
        with pytest.raises(NotFoundError) as raised:
            use("b")
        assert str(raised.value) == "there is no fault b"
    faults.clear()
    assert len(faults) == 0


def test_reset_begins_again_with_the_faults_of_the_seed(clock: Clock) -> None:
    faults = Faults(clock, [Fault.error(THROTTLE, id="seeds", times=1)])
    faults.add(Fault.error("ConflictException", id="mine"))
    assert fired(faults, clock, 2) == [["seeds"], ["mine"]]
    faults.reset()
    assert fired(faults, clock, 2) == [["seeds"], []]
    faults.reset([Fault.error(THROTTLE, id="new")])
    faults.clear()
    faults.reset()
    assert [status.id for status in faults] == ["new"]


def test_adding_with_something_else_is_all_or_none(faults: Faults) -> None:
    def fail() -> None:
        raise ConflictError("elsewhere")

    with pytest.raises(ConflictError, match=r"^elsewhere$"):
        faults.add_with(fail, Fault.latency(1))
    assert list(faults) == []


# Waiting.


def waits_of(faults: Faults, injection: Injection) -> Iterator[Wait]:
    """Yield the pauses of all faults that were picked."""
    for active, seconds in injection.latencies_of(after=False):
        yield from faults.wait(active, seconds)


def carry_out(faults: Faults, injection: Injection) -> None:
    exchange = Exchange()
    for wait in waits_of(faults, injection):
        exchange.wait(wait)


@pytest.mark.parametrize(
    "end",
    [lambda faults: faults.remove("slow"), lambda faults: faults.clear(), lambda faults: faults.reset()],
    ids=["removed", "cleared", "reset"],
)
def test_a_wait_ends_when_its_fault_does(clock: Clock, end: Callable[[Faults], None]) -> None:
    clock.run()
    faults = Faults(clock, [Fault.latency(3600, id="slow")])
    injection, begun = pick(faults, clock), threading.Event()

    def work() -> None:
        for wait in waits_of(faults, injection):
            begun.set()
            Exchange().wait(wait)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    end(faults)
    thread.join(30)
    assert not thread.is_alive()


def test_removing_one_fault_leaves_the_wait_of_another(faults: Faults, clock: Clock) -> None:
    clock.run()
    faults.add(Fault.latency(1, id="a"), Fault.latency(2, id="b"), Fault.latency(3, id="c"))
    waits = []
    for wait in waits_of(faults, pick(faults, clock)):
        waits.append((wait.seconds, wait.end.is_set(), wait.is_virtual))
        if wait.seconds == 1:
            faults.remove("a")
            assert wait.end.is_set()
            faults.remove("b")
    assert waits == [(1, False, False), (3, False, False)]


def test_a_fault_that_was_removed_before_its_wait_causes_none(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.latency(3600))
    injection = pick(faults, clock)
    faults.clear()
    assert list(waits_of(faults, injection)) == []


def test_a_wait_ends_by_itself(clock: Clock) -> None:
    clock.run()
    faults = Faults(clock, [Fault.latency(0.01)])
    carry_out(faults, pick(faults, clock))


def test_a_wait_under_a_frozen_clock_is_virtual(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.latency(3600))
    injection = pick(faults, clock)
    assert [(wait.seconds, wait.is_virtual) for wait in waits_of(faults, injection)] == [(3600, True)]
    carry_out(faults, injection)


def test_a_latency_of_nothing_is_no_wait(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.latency(0))
    assert list(waits_of(faults, pick(faults, clock))) == []


# All kinds together.

ALL_KINDS = [
    Fault.error(THROTTLE, times=1, page=2, retry_after=0.5),
    Fault.error("InternalServerException", times=1, page=3, when="after"),
    Fault.rate_limit(per_second=1, burst=14),
    Fault.latency(2, jitter=1, every=2, seed=5),
    Fault.pagination("duplicate-item", page=2, probability=0.5, seed=3),
    Fault.workflow("failed"),
    Fault.respond({}, operation="ListDatastores"),
    Fault.corrupt("unknown-member", every=3, operation="ListImageSetVersions"),
    Fault.connection("reset", skip=4, times=1),
    Fault.connection("stall", skip=3, times=1, seconds=600),
]


def record_journal() -> bytes:
    emulator = Emulator.from_seed(DEMO)
    emulator.clock.freeze(1700000000)
    emulator.faults.add(*ALL_KINDS)
    client = make_client(emulator, attempts=1)
    for _ in range(5):
        with suppress(ClientError, ConnectionClosedError, ReadTimeoutError):
            list_all(emulator)
        for operation in ("UpdateImageSetMetadata", "ListDatastores"):
            with suppress(ClientError, ConnectionClosedError, ReadTimeoutError):
                call(client, operation)
        emulator.clock.advance(1)
    calls = msgspec.to_builtins(list(emulator.calls))
    assert [fault.id for fault in emulator.faults if not fault.fired] == []
    for each in calls:
        del each["invocationId"]
        for attempt in each["attempts"]:
            attempt.pop("pause", None)  # boto3 chooses its pauses by chance
    return msgspec.json.encode(calls)


def test_two_runs_under_a_frozen_clock_have_the_same_journal() -> None:
    assert record_journal() == record_journal()


# Order.


def test_a_fault_can_be_put_in_front_of_those_that_are_there() -> None:
    front = {"id": "front", "first": True, "error": {"code": "ConflictException"}}
    seed = {"datastores": [], "faults": [{"id": "seeded", "error": {"code": "ConflictException"}}, front]}
    emulator = Emulator.from_seed(seed)
    assert [fault.id for fault in emulator.faults] == ["front", "seeded"]
    emulator.faults.remove("front")
    emulator.faults.add(Fault.error("ThrottlingException", id="last"))
    emulator.faults.add(
        Fault.error("InternalServerException", id="one", first=True),
        Fault.error("ThrottlingException", id="behind"),
        {"id": "two", "first": True, "error": {"code": "AccessDeniedException"}},
    )
    assert [fault.id for fault in emulator.faults] == ["one", "two", "seeded", "last", "behind"]
    assert [status.id for status in emulator.faults.add(Fault.latency(0, id="new", first=True))] == ["new"]
    assert next(iter(emulator.faults)).id == "new"


def test_a_keyword_that_no_fault_has_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(TypeError) as raised:
        Fault.error("ThrottlingException", pages=2)  # type: ignore[call-arg]
    assert str(raised.value) == "unexpected keyword argument 'pages' (did you mean page?)"
