"""boto3 without a socket: no port, no thread, no host prefix. Retries, parsing, paging and signing are boto3's own.

The transport stands between botocore's endpoint and its events: it answers where a request would be sent, whatever
other handlers say (moto's answers for every URL of AWS), and can leave out the sleep before a retry.
"""

from __future__ import annotations

import copy
import functools
import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import IncompleteRead
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from ..credentials import DEFAULT_REGION, Credentials
from ..healthimaging.messages import SERVICE
from ..messages import Exchange, Request, Response, Wait, drive
from ..monotonic import monotonic
from ..pipeline import Steps
from .botocore_seam import (
    ENFORCES_LENGTH,
    Responses,
    disable_rate_limiter,
    host_header,
    lower_names,
    read_timeout,
)
from .environment import DUMMY_CREDENTIALS

if TYPE_CHECKING:
    from botocore.client import BaseClient

Handle = Callable[[Request, Exchange], Steps]


class Boto3Exchange(Exchange):
    """One request of a boto3 client in this process. The client gets the exceptions that it would get over a socket.

    A delay sleeps, but for no longer than the client's ``read_timeout`` in seconds. If a delay is longer than that,
    real or virtual, the client gets ``ReadTimeoutError``. A stall does not sleep: if it is as long as the timeout, the
    client gets ``ReadTimeoutError``, otherwise ``ConnectionClosedError``.
    """

    can_break = True

    def __init__(self, timeout: float | None, skipped_pause: float) -> None:
        super().__init__()
        self.skipped_pause = skipped_pause
        self._left = timeout

    def wait(self, wait: Wait) -> None:
        """Carry out a pause."""
        begun = monotonic()
        was_ended = wait.end.wait(self.plan(wait))
        self.settle(wait, was_ended=was_ended, seconds=monotonic() - begun)

    def plan(self, wait: Wait) -> float:
        """Return how many seconds a pause really takes."""
        if self.effect == "stall" and self._left is not None and wait.seconds >= self._left:
            self.effect = "timeout"
        if self.effect is not None or wait.is_virtual:
            return 0.0
        return wait.seconds if self._left is None else min(wait.seconds, self._left)

    def settle(self, wait: Wait, *, was_ended: bool, seconds: float) -> None:
        """Count a pause, which took so many seconds."""
        if self.effect is None and self._left is not None:
            self._left -= seconds if was_ended else wait.seconds
            if self._left < 0:
                self.effect = "timeout"


class Boto3Transport:
    """Carry requests from botocore's endpoints to the pipeline. With ``backoff=False``, retries do not sleep.

    ``defaults`` are options for patched clients, used if neither the client nor the environment sets them.
    """

    def __init__(self, handle: Handle, *, backoff: bool, defaults: Mapping[str, Any] | None = None) -> None:
        self.handle = handle
        self._backoff = backoff
        self.defaults = {"region_name": DEFAULT_REGION} | DUMMY_CREDENTIALS | dict(defaults or {})
        self._skipped: dict[str, float] = {}

    def attach(self, endpoint: Endpoint) -> Endpoint:
        """Return a copy of an endpoint that sends its requests here."""
        attached = copy.copy(endpoint)
        attached._event_emitter = EndpointEvents(endpoint._event_emitter, self, read_timeout(endpoint))
        return attached

    def send(self, prepared: AWSPreparedRequest, timeout: float | None) -> AWSResponse:
        """Answer a request, or raise the exception that botocore raises if the connection breaks."""
        request = make_request(prepared)
        exchange = Boto3Exchange(timeout, self.take_skipped_pause(request))
        response = drive(self.handle(request, exchange), exchange)
        if exchange.effect in ("reset", "close", "stall"):
            raise ConnectionClosedError(endpoint_url=prepared.url, request=prepared)
        if exchange.effect == "timeout":
            raise ReadTimeoutError(endpoint_url=prepared.url)
        is_cut = exchange.effect == "cut"
        if not (prepared.stream_output or is_cut):
            return AWSResponse(prepared.url, response.status, make_headers(response), _Whole(response.body))
        raw = _make_raw_response(response, is_cut=is_cut)
        answer = AWSResponse(prepared.url, raw.status, raw.headers, raw)
        if not prepared.stream_output:
            try:
                _ = answer.content  # reads the body, as botocore's own session does
            except ProtocolError as error:
                raise ConnectionClosedError(error=error, request=prepared, endpoint_url=prepared.url) from error
        return answer

    def take_skipped_pause(self, request: Request) -> float:
        """Return the pause before a request that was left out, in seconds."""
        return self._skipped.pop(request.headers.get("amz-sdk-invocation-id", ""), 0.0)

    def skip_backoff(self, responses: Responses, request_dict: dict[str, Any]) -> Responses:
        """If botocore decided to retry, let it retry at once, and note the pause that it asked for."""
        if self._backoff:
            return responses
        disable_rate_limiter(responses)
        pause = next((response for _, response in responses if response is not None), None)
        if pause is None or pause is False:
            return responses
        self._skipped[request_dict["context"]["retries"]["invocation-id"]] = pause
        return [(self.skip_backoff, 0)]  # as a handler answers: retry after 0 seconds


class EndpointEvents:
    """An endpoint's event emitter that also answers the request and can skip the backoff."""

    def __init__(self, events: Any, transport: Boto3Transport, timeout: float | None) -> None:
        self._events = events
        self._transport = transport
        self._timeout = timeout

    def emit(self, event_name: str, **arguments: Any) -> Responses:
        """Emit an event. The emulator answers ``before-send``, and may remove the pause from ``needs-retry``."""
        responses: Responses = self._events.emit(event_name, **arguments)
        if event_name.startswith("before-send."):
            answer = self._transport.send(arguments["request"], self._timeout)
            return [(self._transport.send, answer)]  # pairs of handler and answer, as botocore emits them
        if event_name.startswith("needs-retry."):
            return self._transport.skip_backoff(responses, arguments["request_dict"])
        return responses


class EventsWithoutBackoff:
    """An endpoint's event emitter that lets retries come at once."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def emit(self, event_name: str, **arguments: Any) -> Responses:
        """Emit an event, and remove the pause from ``needs-retry``."""
        responses: Responses = self._events.emit(event_name, **arguments)
        return remove_pause(responses) if event_name.startswith("needs-retry.") else responses


def remove_pause(responses: Responses) -> Responses:
    """Let botocore retry at once, if it decided to retry."""
    disable_rate_limiter(responses)
    return [(handler, pause and 0.0 if isinstance(pause, (int, float)) else pause) for handler, pause in responses]


def make_request(prepared: AWSPreparedRequest) -> Request:
    """Return the request that botocore has prepared."""
    url = urlsplit(prepared.url)
    headers = {"host": host_header(f"{url.scheme}://{url.netloc}")}
    for name, value in lower_names(prepared.headers).items():
        headers[name] = value.decode("latin-1") if isinstance(value, bytes) else value
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else bytes(body.read())
    return Request(prepared.method, "/" + url.path.lstrip("/"), url.query, headers, body, len(body))


def make_headers(response: Response) -> dict[str, str]:
    """Return the headers of a response, with its length."""
    length = {} if response.status == 204 else {"Content-Length": str(len(response.body))}
    return {**response.headers, **length}


class _Whole(NamedTuple):
    """A body that botocore reads whole. A urllib3 response instead would take as long as answering the request."""

    content: bytes

    def stream(self) -> Iterator[bytes]:
        """Yield the body."""
        yield self.content


class _File(io.BytesIO):
    """A body that fails as in ``http.client``: reading to the end raises if it has less than its Content-Length."""

    def __init__(self, content: bytes, promised: int) -> None:
        super().__init__(content)
        self._promised = promised

    def read(self, amt: int | None = -1, /) -> bytes:
        content = super().read(-1 if amt is None else amt)
        if (amt is None or amt < 0) and self.tell() < self._promised:
            raise IncompleteRead(content, self._promised - self.tell())
        return content


def _make_raw_response(response: Response, *, is_cut: bool) -> HTTPResponse:
    """Return the response that botocore's session would get from urllib3."""
    length = len(response.body)
    return HTTPResponse(
        body=_File(response.body[: length // 2] if is_cut else response.body, length),
        headers=make_headers(response),
        status=response.status,
        version=11,
        preload_content=False,
        decode_content=False,
        enforce_content_length=ENFORCES_LENGTH,
    )


# A client of one emulator, without a patch.


def credentials_options(given: Credentials) -> dict[str, str | None]:
    """Return credentials as boto3's options."""
    return {
        "aws_access_key_id": given.access_key_id,
        "aws_secret_access_key": given.secret_access_key,
        "aws_session_token": given.session_token,
    }


def make_client(handle: Handle, *, backoff: bool = True, **options: Any) -> BaseClient:
    """Make a client of ``medical-imaging`` that reaches the emulator; ``options`` are boto3's.

    The client reads no profile and no configuration file, so that it is the same on every machine.
    """
    region = getattr(options.get("config"), "region_name", None) or DEFAULT_REGION
    defaults = {"region_name": region} | DUMMY_CREDENTIALS
    with _session_lock:  # sessions, unlike clients, are not thread-safe
        made = _session().client(SERVICE, **(defaults | options))
    made._endpoint = Boto3Transport(handle, backoff=backoff).attach(made._endpoint)
    return made


_session_lock = threading.Lock()


@functools.cache
def _session() -> boto3.Session:
    """Make the session that all these clients share: reading AWS's models takes 50 times as long as making a client."""
    nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
    variables = {name: (None, None, value, None) for name, value in nothing.items()}
    return boto3.Session(botocore_session=botocore.session.Session(variables), region_name=DEFAULT_REGION)
