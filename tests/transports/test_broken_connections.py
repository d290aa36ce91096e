"""A connection that breaks looks the same to boto3 in process and over a socket.

Each case runs in both ways, and compares the exceptions and the bytes that the program got before.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from healthimaging_emulator import Emulator, Fault, Latency
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import DEMO
from tests.demo import path

from .clients import IDS


class Outcome(NamedTuple):
    """The results of a program's steps, and the type of the exception that ended it."""

    results: tuple[Any, ...]
    error: type[BaseException] | None = None


def run(steps: Iterator[Any]) -> Outcome:
    results: list[Any] = []
    try:
        results.extend(steps)
    except ClientError:  # each client has subclasses of its own
        return Outcome(tuple(results), ClientError)
    except Exception as error:
        return Outcome(tuple(results), type(error))
    return Outcome(tuple(results))


class Ways(NamedTuple):
    """The same emulator, in process and over a socket."""

    emulator: Emulator
    server: Server
    session: boto3.Session

    def compare(self, fault: Fault | None, program: Callable[[Any], Iterator[Any]], **options: Any) -> Outcome:
        """Run a program in both ways, and return its outcome, which must be the same."""
        config = Config(**({"retries": {"total_max_attempts": 1}} | options))
        self.emulator.reset()
        self.emulator.faults.add(*filter(None, [fault]))
        in_process = run(program(self.emulator.client(config=config)))
        client = self.session.client("medical-imaging", endpoint_url=make_endpoint(self.server.url), config=config)
        over_a_socket = run(program(client))
        client.close()
        assert in_process == over_a_socket
        return in_process


@pytest.fixture(scope="module")
def ways() -> Iterator[Ways]:
    emulator = Emulator.from_seed(DEMO)
    key = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
    with emulator.serve() as server:
        yield Ways(emulator, server, boto3.Session(**key, region_name="us-east-1"))


def list_versions(client: Any) -> Iterator[Any]:
    page = client.list_image_set_versions(**IDS)
    yield page["ResponseMetadata"]["HTTPStatusCode"]
    yield sorted(page.keys() - {"ResponseMetadata"})


def get_metadata(client: Any) -> Any:
    return client.get_image_set_metadata(**IDS)["imageSetMetadataBlob"]


def whole() -> bytes:
    return bytes(get_metadata(Emulator.from_seed(DEMO).client()).read())


# The connection ends before there is an answer.


def ask_for_metadata(client: Any) -> Iterator[Any]:
    yield get_metadata(client).read()


PROGRAMS = [list_versions, ask_for_metadata]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.connection("reset"), ConnectionClosedError),
        (Fault.connection("close"), ConnectionClosedError),
        (Fault.connection("close", when="after"), ConnectionClosedError),
        (Fault.connection("stall"), ReadTimeoutError),
        (Fault.connection("stall", when="after"), ReadTimeoutError),
        (Fault.connection("stall", seconds=0.01), ConnectionClosedError),
        (Fault.connection("stall", seconds=0), ConnectionClosedError),
        (Fault.connection("reset", latency=Latency(0.01)), ConnectionClosedError),
        (Fault.connection("reset", latency=Latency(60)), ReadTimeoutError),
        (Fault.latency(60), ReadTimeoutError),
        (Fault.latency(60, when="after"), ReadTimeoutError),
    ],
    ids=str,
)
def test_without_an_answer_the_call_raises(
    ways: Ways, program: Callable[[Any], Iterator[Any]], fault: Fault, error: type[Exception]
) -> None:
    timeout = 0.1 if error is ReadTimeoutError else 30
    assert ways.compare(fault, program, read_timeout=timeout) == Outcome((), error)


@pytest.mark.parametrize("fault", [Fault.connection("reset"), Fault.connection("stall"), Fault.latency(60)], ids=str)
def test_a_call_without_an_answer_is_recorded_as_such(fault: Fault) -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.faults.add(fault)
    client = emulator.client(backoff=False, config=Config(read_timeout=0.05, retries={"total_max_attempts": 2}))
    assert run(list_versions(client)).error in (ConnectionClosedError, ReadTimeoutError)
    (call,) = emulator.calls
    assert [(attempt.status, attempt.code) for attempt in call.attempts] == [(None, None)] * 2
    assert call.outcome == "NoAnswer"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("fault", [None, Fault.latency(0.01), Fault.latency(0.01, when="after")], ids=str)
def test_an_answer_in_time_is_whole(ways: Ways, program: Callable[[Any], Iterator[Any]], fault: Fault | None) -> None:
    assert ways.compare(fault, program, read_timeout=30).error is None


def test_delays_add_up_to_a_read_timeout() -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.clock.freeze()  # pauses are virtual, so this takes no time
    client = emulator.client(config=Config(read_timeout=30, retries={"total_max_attempts": 1}))
    emulator.faults.add(Fault.latency(20, id="first"))
    assert run(list_versions(client)).error is None
    emulator.faults.add(Fault.latency(10, when="after", id="second"))
    assert run(list_versions(client)).error is None
    emulator.faults.add(Fault.latency(0.001, id="third"))
    assert run(list_versions(client)).error is ReadTimeoutError
    assert emulator.calls[-1].attempts[0].delay == 30.001


def test_by_default_a_stall_lasts_as_long_as_boto3_waits() -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.faults.add(Fault.connection("stall"))
    client = emulator.client(config=Config(retries={"total_max_attempts": 1}))
    assert run(list_versions(client)).error is ReadTimeoutError


def test_a_client_that_waits_for_ever_finds_a_stalled_connection_closed() -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.faults.add(Fault.connection("stall"))
    client = emulator.client(config=Config(read_timeout=None, retries={"total_max_attempts": 1}))
    assert run(list_versions(client)).error is ConnectionClosedError


def test_an_operation_is_carried_out_although_its_connection_is_closed_after_it() -> None:
    emulator = Emulator.from_seed(DEMO)
    client = emulator.client(config=Config(retries={"total_max_attempts": 1}))
    emulator.faults.add(Fault.connection("close", when="after", times=1))
    assert run(ask_for_metadata(client)) == Outcome((), ConnectionClosedError)
    answer = emulator.app.test_client().post(path().replace("listImageSetVersions", "getImageSet"))
    assert answer.json["lastAccessedAt"] > 0  # type: ignore[index]
    assert emulator.calls[0].attempts[0].outcome == "Success"


# The connection ends in the middle of the answer.


def test_json_that_is_cut_has_the_same_outcome(ways: Ways) -> None:
    outcome = ways.compare(Fault.connection("cut"), list_versions)
    # Older boto3 raises; newer takes the half for an empty page.
    assert outcome in (Outcome((200, [])), Outcome((), ConnectionClosedError))


def test_an_answer_that_is_an_error_is_not_cut(ways: Ways) -> None:
    def ask_for_another(client: Any) -> Iterator[Any]:
        yield client.list_image_set_versions(**IDS | {"imageSetId": "f" * 32})

    assert ways.compare(Fault.connection("cut"), ask_for_another) == Outcome((), ClientError)


@pytest.mark.parametrize("kind", ["truncate", "empty", "not-json", "html"])
def test_json_that_is_corrupt_has_the_same_outcome(ways: Ways, kind: Any) -> None:
    assert ways.compare(Fault.corrupt(kind), list_versions) == Outcome((200, []))


# A blob is a stream, which the program reads when the call is over. Each function is one way to read it.


def read_all(body: Any) -> Iterator[Any]:
    yield body.read()


def read_all_twice(body: Any) -> Iterator[Any]:
    yield body.read()
    yield body.read()


def read_none(body: Any) -> Iterator[Any]:
    yield body.read(None)


def read_nothing(body: Any) -> Iterator[Any]:
    yield body.read(0)
    yield body.read(0)


def read_some(body: Any) -> Iterator[Any]:
    yield body.read(10)
    yield body.tell()
    yield body.read(20)
    yield body.tell()


def read_in_steps(size: int) -> Callable[[Any], Iterator[Any]]:
    def read(body: Any) -> Iterator[Any]:
        while content := body.read(size):
            yield content

    read.__name__ = f"read_{size}"
    return read


def read_some_then_all(body: Any) -> Iterator[Any]:
    yield body.read(10)
    yield body.read()


def read_more_than_there_is(body: Any) -> Iterator[Any]:
    yield body.read(1_000_000)


def read_up_to_the_end_and_beyond(body: Any) -> Iterator[Any]:
    yield body.read(148)
    yield body.read(1)


def iterate(body: Any) -> Iterator[Any]:
    yield from body


def iterate_chunks(body: Any) -> Iterator[Any]:
    yield from body.iter_chunks(7)


def iterate_lines(body: Any) -> Iterator[Any]:
    yield from body.iter_lines(16)


def read_lines(body: Any) -> Iterator[Any]:
    yield body.readlines()


def read_into(body: Any) -> Iterator[Any]:
    buffer = bytearray(64)
    while count := body.readinto(buffer):
        yield bytes(buffer[:count])


def close_before_reading(body: Any) -> Iterator[Any]:
    body.close()
    yield "closed"
    yield body.read()


def close_before_reading_some(body: Any) -> Iterator[Any]:
    yield body.read(5)
    body.close()
    yield "closed"
    yield body.read(5)


def close_after_reading(body: Any) -> Iterator[Any]:
    with body as stream:
        yield stream.read()
    yield "closed"


def read_after_an_error(body: Any) -> Iterator[Any]:
    for read in (body.read, lambda: body.read(10), body.read, body.close, body.read):
        try:
            yield read()
        except Exception as error:
            yield type(error)


USES = [
    read_all,
    read_all_twice,
    read_none,
    read_nothing,
    read_some,
    read_in_steps(1),
    read_in_steps(10),
    read_in_steps(149),
    read_some_then_all,
    read_more_than_there_is,
    read_up_to_the_end_and_beyond,
    iterate,
    iterate_chunks,
    iterate_lines,
    read_lines,
    read_into,
    close_before_reading,
    close_before_reading_some,
    close_after_reading,
    read_after_an_error,
]


def reading(use: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    def program(client: Any) -> Iterator[Any]:
        yield from use(get_metadata(client))

    return program


FAULTS = [None, Fault.connection("cut"), Fault.corrupt("truncate"), Fault.corrupt("empty"), Fault.latency(0.01)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault and {**fault.effects}))
@pytest.mark.parametrize("use", USES)
def test_a_blob_is_read_as_it_is_over_a_socket(
    ways: Ways, use: Callable[[Any], Iterator[Any]], fault: Fault | None
) -> None:
    ways.compare(fault, reading(use))


def test_a_whole_blob_is_the_document(ways: Ways) -> None:
    (content,) = ways.compare(None, reading(read_all)).results
    assert gzip.decompress(content).startswith(b'{"SchemaVersion":"1.1"')


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (read_all, ResponseStreamingError),
        (read_in_steps(10), IncompleteReadError),
        (iterate, IncompleteReadError),
        (iterate_chunks, IncompleteReadError),
    ],
)
def test_a_blob_that_is_cut_never_passes_for_a_whole_one(
    ways: Ways, use: Callable[[Any], Iterator[Any]], error: type
) -> None:
    outcome = ways.compare(Fault.connection("cut"), reading(use))
    assert outcome.error is error
    content = whole()
    got = b"".join(outcome.results)
    assert content.startswith(got)
    assert len(got) in (0, len(content) // 2)


def test_a_blob_that_is_cut_is_not_asked_for_again() -> None:
    """The call is over before the program reads the blob, so boto3 has nothing to retry."""
    emulator = Emulator.from_seed(DEMO)
    emulator.faults.add(Fault.connection("cut"))
    assert run(reading(read_all)(emulator.client())).error is ResponseStreamingError
    assert [len(call.attempts) for call in emulator.calls] == [1]
