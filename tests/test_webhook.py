"""Events posted to a URL."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from tests.healthimaging.test_events import IMAGE_SET, SEED, update
from tests.raw import HANG_SECONDS, reserve_port


class Receiver:
    """A server that keeps the requests it gets. It answers with ``answers`` in order, then with 200."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[int | None] = []  # None: no answer, the connection is closed
        self.gate = threading.Event()
        self.gate.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert receiver.gate.wait(HANG_SECONDS)
                receiver.requests.append((self.path, dict(self.headers), json.loads(body)))
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events?key=1"
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def statuses(self) -> list[str]:
        return [event["detail"]["imageSetWorkflowStatus"] for _, _, event in self.requests]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr("healthimaging_emulator.webhook.ANSWER_SECONDS", HANG_SECONDS)
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthimaging_emulator.webhook.PAUSES", (0, 0, 0, 0))


def make_emulator(url: str, **settings: Any) -> Emulator:
    return Emulator.from_seed(SEED, events_webhook=url, transition_reads=0, **settings)


def test_each_event_is_posted_as_eventbridge_delivers_it(receiver: Receiver) -> None:
    emulator = make_emulator(receiver.url)
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    assert [event for _, _, event in receiver.requests] == emulator.events
    assert {path for path, _, _ in receiver.requests} == {"/events?key=1"}
    assert {headers["Content-Type"] for _, headers, _ in receiver.requests} == {"application/json"}


def test_events_of_all_accounts_are_posted(receiver: Receiver) -> None:
    emulator = make_emulator(receiver.url)
    client = emulator.client(aws_access_key_id="111111111111", aws_secret_access_key="x")
    client.delete_image_set(**IMAGE_SET)
    emulator.deliver_events(HANG_SECONDS)
    assert [event["account"] for _, _, event in receiver.requests] == ["111111111111"] * 2


@pytest.mark.usefixtures("without_pauses")
@pytest.mark.parametrize("failure", [500, 503, 408, 409, 429, None])
def test_an_event_is_posted_again_before_the_next_one(receiver: Receiver, failure: int | None) -> None:
    receiver.answers = [failure] * 4
    emulator = make_emulator(receiver.url)
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["UPDATING"] * 5 + ["UPDATED"]


@pytest.mark.usefixtures("without_pauses")
def test_an_event_is_dropped_after_five_attempts(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.answers = [500] * 5
    emulator = make_emulator(receiver.url)
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["UPDATING"] * 5 + ["UPDATED"]
    (message,) = caplog.messages
    assert message == f"event {emulator.events[0]['id']} (Image Set Updating) is dropped: the receiver answered 500"


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_refused_event_is_dropped_at_once(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    emulator = make_emulator(receiver.url)
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["UPDATING", "UPDATED"]
    assert {path for path, _, _ in receiver.requests} == {"/events?key=1"}


@pytest.mark.usefixtures("without_pauses")
def test_a_receiver_that_is_not_there_fails_no_operation(caplog: pytest.LogCaptureFixture) -> None:
    with reserve_port() as port:  # where nothing listens
        emulator = make_emulator(f"http://127.0.0.1:{port}")
        update(emulator)
        emulator.deliver_events(HANG_SECONDS)
    assert len(emulator.events) == len(caplog.messages) == 2
    assert all("is dropped: [Errno" in message for message in caplog.messages)


def test_operations_do_not_wait_for_a_slow_receiver(receiver: Receiver) -> None:
    receiver.gate.clear()
    emulator = make_emulator(receiver.url)
    update(emulator)
    assert receiver.requests == []
    with pytest.raises(TimeoutError, match=r"events are still to be posted after 0\.01 s"):
        emulator.deliver_events(0.01)
    receiver.gate.set()
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["UPDATING", "UPDATED"]


def test_further_events_are_dropped_when_too_many_wait(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("healthimaging_emulator.webhook.MOST_WAITING", 1)
    receiver.gate.clear()
    emulator = make_emulator(receiver.url)
    update(emulator)
    receiver.gate.set()
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["UPDATING"]
    assert caplog.messages == [f"event {emulator.events[1]['id']} is not posted: 1 others wait"]


def test_no_thread_is_left_when_all_is_delivered(receiver: Receiver) -> None:
    emulator = make_emulator(receiver.url)
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join(HANG_SECONDS)
    assert "webhook" not in {thread.name for thread in threading.enumerate()}
    emulator.client().delete_image_set(**IMAGE_SET)
    emulator.deliver_events(HANG_SECONDS)
    assert len(receiver.requests) == 4


def test_without_a_webhook_there_is_nothing_to_wait_for() -> None:
    emulator = Emulator.from_seed(SEED, transition_reads=0)
    update(emulator)
    emulator.deliver_events(0)


@pytest.mark.newest_boto3
def test_exec_delivers_the_last_events_before_it_ends(receiver: Receiver, tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(SEED))
    program = f"import boto3; boto3.client('medical-imaging').delete_image_set(**{IMAGE_SET})"
    options = ["--seed", str(seed), "--events-webhook", receiver.url, "--transition-reads", "0"]
    command = ["-m", "healthimaging_emulator", "exec", *options, "--", sys.executable, "-c", program]
    subprocess.run([sys.executable, *command], check=True, timeout=60)
    assert receiver.statuses == ["DELETING", "DELETED"]


def test_a_receiver_that_never_ends_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthimaging_emulator.webhook.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("healthimaging_emulator.webhook.PAUSES", ())
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def drip() -> None:
            while not stopped.is_set():
                with suppress(OSError), server.accept()[0] as client:  # until the server or the client closes it
                    while not stopped.wait(0.01):
                        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        threading.Thread(target=drip, daemon=True).start()
        emulator = make_emulator(f"http://127.0.0.1:{server.getsockname()[1]}/")
        update(emulator)
        try:
            emulator.deliver_events(HANG_SECONDS)
        finally:
            stopped.set()


@pytest.mark.usefixtures("without_pauses")
@pytest.mark.parametrize(
    "is_refused",
    [lambda thread: thread.name == "webhook", lambda thread: isinstance(thread, threading.Timer)],
    ids=["thread", "timer"],
)
def test_an_event_is_posted_again_if_the_system_had_no_thread_left(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[threading.Thread], bool]
) -> None:
    def start_but_once(thread: threading.Thread) -> None:
        if is_refused(thread) and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    refused: list[threading.Thread] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start_but_once)
    emulator = make_emulator(receiver.url)
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["UPDATING", "UPDATED"]
    assert refused


@pytest.mark.usefixtures("without_pauses")
def test_events_are_posted_after_an_error_of_any_kind(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: Any, **__: Any) -> None:
        pytest.fail("no network in this test")

    emulator = make_emulator(receiver.url)
    with monkeypatch.context() as patch:
        patch.setattr("healthimaging_emulator.webhook.HTTPConnection", forbid)
        update(emulator)
        emulator.deliver_events(HANG_SECONDS)
    emulator.client().delete_image_set(**IMAGE_SET)
    emulator.deliver_events(HANG_SECONDS)
    assert receiver.statuses == ["DELETING", "DELETED"]


@pytest.mark.usefixtures("without_pauses")
def test_a_name_that_no_host_can_have_drops_the_event(caplog: pytest.LogCaptureFixture) -> None:
    emulator = make_emulator(f"http://{'a' * 70}.example/")
    update(emulator)
    emulator.deliver_events(HANG_SECONDS)
    assert len(caplog.messages) == 2
