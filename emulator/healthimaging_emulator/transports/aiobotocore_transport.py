"""aiobotocore, and so aioboto3, without a socket, as ``boto3_transport`` does it for boto3.

aiobotocore's endpoint is botocore's with coroutines: its events are awaited, and so is the content of an answer. This
module imports nothing of aiobotocore before one of its clients asks. It serves the versions from 2.25 on, with the
sessions of aiohttp and of httpx.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from ..messages import Response, Wait
from ..monotonic import monotonic
from ..pipeline import Steps
from .boto3_transport import Boto3Exchange, Boto3Transport, make_headers, make_request, remove_pause
from .botocore_seam import Responses, read_timeout

Sleep = Callable[[float], Awaitable[None]]

SLICE = 0.02
"""Seconds after which a pause looks whether it was ended."""


def is_async(endpoint: Endpoint) -> bool:
    """Whether an endpoint is aiobotocore's."""
    return type(endpoint)._send_request is not Endpoint._send_request


def attach(endpoint: Endpoint, transport: Boto3Transport) -> Endpoint:
    """Return a copy of an endpoint that sends its requests to an emulator."""
    attached = copy.copy(endpoint)
    attached._event_emitter = AsyncEndpointEvents(endpoint, transport)
    return attached


class AsyncEndpointEvents:
    """An endpoint's event emitter that also answers the request and can skip the backoff."""

    def __init__(self, endpoint: Any, transport: Boto3Transport) -> None:
        self._events = endpoint._event_emitter
        self._sleep: Sleep = getattr(endpoint, "_sleep", asyncio.sleep)  # which also knows trio
        self._is_httpx = "httpx" in type(endpoint.http_session).__module__
        self._transport = transport
        self._timeout = read_timeout(endpoint)

    async def emit(self, event_name: str, **arguments: Any) -> Responses:
        """Emit an event. The emulator answers ``before-send``, and may remove the pause from ``needs-retry``."""
        responses: Responses = await self._events.emit(event_name, **arguments)
        if event_name.startswith("before-send."):
            return [(self.emit, await self._send(arguments["request"]))]
        if event_name.startswith("needs-retry."):
            return self._transport.skip_backoff(responses, arguments["request_dict"])
        return responses

    async def _send(self, prepared: Any) -> Any:
        """Answer a request, or raise the exception that aiobotocore raises if the connection breaks."""
        request = make_request(prepared)
        exchange = Boto3Exchange(self._timeout, self._transport.take_skipped_pause(request))
        response = await _drive(self._transport.handle(request, exchange), exchange, self._sleep)
        is_cut = exchange.effect == "cut"
        if exchange.effect in ("reset", "close", "stall") or (is_cut and not prepared.stream_output):
            raise ConnectionClosedError(endpoint_url=prepared.url, request=prepared)
        if exchange.effect == "timeout":
            raise ReadTimeoutError(endpoint_url=prepared.url)
        make = _make_httpx_answer if self._is_httpx else _make_aiohttp_answer
        return make(prepared.url, response, is_cut=is_cut)


class AsyncEventsWithoutBackoff:
    """An endpoint's event emitter that lets retries come at once."""

    def __init__(self, events: Any) -> None:
        self._events = events

    async def emit(self, event_name: str, **arguments: Any) -> Responses:
        """Emit an event, and remove the pause from ``needs-retry``."""
        responses: Responses = await self._events.emit(event_name, **arguments)
        return remove_pause(responses) if event_name.startswith("needs-retry.") else responses


async def _drive(steps: Steps, exchange: Boto3Exchange, sleep: Sleep) -> Response:
    """Run the steps of a request to their response. A pause lets other tasks run."""
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        begun = monotonic()
        was_ended = await _pause(wait, exchange.plan(wait), sleep)
        exchange.settle(wait, was_ended=was_ended, seconds=monotonic() - begun)


async def _pause(wait: Wait, seconds: float, sleep: Sleep) -> bool:
    """Pause, and say whether the pause was ended before its time."""
    end = monotonic() + seconds
    while not wait.end.is_set() and (left := end - monotonic()) > 0:
        await sleep(min(left, SLICE))
    return wait.end.is_set()


def _make_aiohttp_answer(url: str, response: Response, *, is_cut: bool) -> Any:
    from aiobotocore.awsrequest import AioAWSResponse

    headers = {name.lower(): value for name, value in make_headers(response).items()}
    return AioAWSResponse(url, response.status, headers, _Raw(url, response, is_cut=is_cut))


def _make_httpx_answer(url: str, response: Response, *, is_cut: bool) -> Any:
    import httpx
    from aiobotocore.awsrequest import HttpxAWSResponse

    async def stream() -> AsyncIterator[bytes]:
        yield response.body[: len(response.body) // 2] if is_cut else response.body
        if is_cut:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    raw = httpx.Response(response.status, headers=make_headers(response), content=stream())
    raw.request = httpx.Request("POST", url)
    return HttpxAWSResponse(url, response.status, raw.headers, raw)


class _Raw:
    """The parts of aiohttp's response that aiobotocore reads; of its ``content``, too."""

    def __init__(self, url: str, response: Response, *, is_cut: bool) -> None:
        self.url = url
        self.content = self
        self._body = response.body[: len(response.body) // 2] if is_cut else response.body
        self._is_cut = is_cut
        self._place = 0

    async def read(self, amount: int = -1) -> bytes:
        """Return the next bytes; -1 stands for all. Raises ``ClientPayloadError`` at the end of a body that was cut."""
        end = len(self._body) if amount < 0 else self._place + amount
        found, self._place = self._body[self._place : end], min(end, len(self._body))
        if self._is_cut and (amount < 0 or not found):
            from aiohttp import ClientPayloadError

            raise ClientPayloadError("Response payload is not completed")
        return found

    def at_eof(self) -> bool:
        """Whether all bytes are read."""
        return self._place >= len(self._body)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    async def __aenter__(self) -> _Raw:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass
