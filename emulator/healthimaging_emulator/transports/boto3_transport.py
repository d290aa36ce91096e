"""boto3 without a socket: no port, no thread, no host prefix; retries, parsing, paging and signing are boto3's own.

The emulator stands between botocore's endpoint and its events: it answers where a request would be sent, whatever other
handlers say (moto's answers for every URL of AWS), and can leave out the sleep before a retry.
"""

from __future__ import annotations

import copy
import functools
import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.auth import _host_from_url
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import RefreshableCredentials
from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.retries.adaptive import ClientRateLimiter
from botocore.signers import RequestSigner

from healthimaging_emulator.aws.credentials import Credentials
from healthimaging_emulator.messages import Link
from healthimaging_emulator.server.gateway import call, environ
from healthimaging_emulator.transports.environment import CREDENTIALS, REGION

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from botocore.client import BaseClient

SERVICE = "medical-imaging"

Responses = list[tuple[Any, Any]]


class Wire:
    """Carries the requests of botocore endpoints to an application; without ``backoff`` no retry sleeps.

    ``defaults`` are options of clients that are patched, for what neither they nor the environment say.
    """

    def __init__(self, app: WSGIApplication, *, backoff: bool, defaults: Mapping[str, Any] | None = None) -> None:
        self._app = app
        self._backoff = backoff
        self.defaults = {"region_name": REGION} | CREDENTIALS | dict(defaults or {})
        self._skipped: dict[str, float] = {}

    def attach(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint like the given one, whose requests come here."""
        attached = copy.copy(endpoint)
        attached._event_emitter = Events(endpoint._event_emitter, self)
        return attached

    def answer(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request, or raise what botocore raises where the connection breaks."""
        url = urlsplit(request.url)
        target = url.path + (f"?{url.query}" if url.query else "")
        link, host, port = Link(is_patient=False), url.hostname or "", url.port or 80
        headers = {"Host": _host_from_url(request.url)}
        headers |= {name: _text(value) for name, value in request.headers.items()}
        link.skipped_pause = self._skipped.pop(headers.get("amz-sdk-invocation-id", ""), 0.0)
        body = request.body or b""
        answered = call(
            self._app, environ(request.method, target, headers.items(), body, host=host, port=port, link=link)
        )
        if link.effect in ("reset", "close"):
            raise ConnectionClosedError(endpoint_url=request.url, request=request)
        if link.effect == "stall":
            raise ReadTimeoutError(endpoint_url=request.url)
        content = answered.body[: len(answered.body) // 2] if link.effect == "cut" else answered.body
        return AWSResponse(request.url, answered.status, dict(answered.headers), _Raw(content))

    def hurry(self, responses: Responses, request_dict: dict[str, Any]) -> Responses:
        """Let a retry come at once, if there is to be one, and note the pause that was asked for."""
        if self._backoff:
            return responses
        for handler, _ in responses:
            limiter = getattr(handler, "__self__", None)
            if isinstance(limiter, ClientRateLimiter):  # of the adaptive mode, which waits once more before it sends
                limiter._enabled = False
        pause = next((response for _, response in responses if response is not None), None)
        if pause is None or pause is False:
            return responses
        self._skipped[request_dict["context"]["retries"]["invocation-id"]] = pause
        return [(self.hurry, 0)]


class Events:
    """An endpoint's events, with the emulator's answer among them."""

    def __init__(self, events: Any, wire: Wire) -> None:
        self._events = events
        self._wire = wire

    def emit(self, event_name: str, **arguments: Any) -> Responses:
        responses: Responses = self._events.emit(event_name, **arguments)
        if event_name.startswith("before-send."):
            return [(self._wire.answer, self._wire.answer(arguments["request"]))]
        if event_name.startswith("needs-retry."):
            return self._wire.hurry(responses, arguments["request_dict"])
        return responses


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Raw(io.BytesIO):
    """What botocore reads of urllib3's response."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


# A client of its own.


def credentials(given: Credentials) -> dict[str, str | None]:
    """Return credentials as boto3's options."""
    return dict(zip(_OPTIONS, (given.access_key_id, given.secret_access_key, given.session_token), strict=True))


def client(app: WSGIApplication, *, backoff: bool = True, **options: Any) -> BaseClient:
    """Make a client of ``medical-imaging`` that reaches ``app``; ``options`` are boto3's.

    It reads no profile and no file of the user's, so that it is the same on every machine.
    """
    region = getattr(options.get("config"), "region_name", None) or REGION
    defaults = {"region_name": region} | CREDENTIALS
    with _session_lock:  # sessions, unlike clients, are not for several threads
        made = _session().client(SERVICE, **(defaults | options))
    made._endpoint = Wire(app, backoff=backoff).attach(made._endpoint)
    return made


_session_lock = threading.Lock()


@functools.cache
def _session() -> boto3.Session:
    """Make the session of all such clients, once: reading AWS's models takes 50 times as long as making a client."""
    nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull}
    variables = {name: (None, None, value, None) for name, value in nothing.items()}
    return boto3.Session(botocore_session=botocore.session.Session(variables), region_name=REGION)


# Every client of the process.


class _Process:
    """What is done to botocore, which is the whole process's. Of several wires the last answers; None is a guard."""

    def __init__(self) -> None:
        self.wires: tuple[Wire | None, ...] = ()  # replaced whole, so that a reader needs no lock
        self.lock = threading.Lock()
        self.restoring = ExitStack()

    @property
    def wire(self) -> Wire | None:
        return next((wire for wire in reversed(self.wires) if wire), None)


_process = _Process()


def patch(
    app: WSGIApplication, *, backoff: bool = True, defaults: Mapping[str, Any] | None = None
) -> AbstractContextManager[None]:
    """Let all requests of boto3's ``medical-imaging`` clients reach ``app``, also those of clients made before.

    Clients that ``client`` made stay with their own emulator, and those of other services are not touched. ``defaults``
    are options for what clients that are made meanwhile lack.
    """
    return _patched(Wire(app, backoff=backoff, defaults=defaults))


def guard() -> AbstractContextManager[None]:
    """Let no request of this service go to AWS: from a client that was made before its environment was set, say."""
    return _patched(None)


@contextmanager
def _patched(wire: Wire | None) -> Iterator[None]:
    with _process.lock:
        if not _process.wires:
            for owner, name, replacement in _REPLACEMENTS:
                original = getattr(owner, name)
                _process.restoring.callback(setattr, owner, name, original)
                setattr(owner, name, replacement(original))
        _process.wires += (wire,)
    try:
        yield
    finally:
        with _process.lock:
            wires = list(_process.wires)
            wires.remove(wire)
            _process.wires = tuple(wires)
            if not wires:
                _process.restoring.close()


def _answered(original: Callable[..., Any]) -> Callable[..., Any]:
    """Replace ``Endpoint.make_request``: a call that begins here ends here, with all its attempts."""

    def make_request(endpoint: Endpoint, operation_model: Any, request_dict: dict[str, Any]) -> Any:
        if endpoint._endpoint_prefix != SERVICE or isinstance(endpoint._event_emitter, Events):
            return original(endpoint, operation_model, request_dict)
        wire, host = _process.wire, urlsplit(request_dict["url"]).hostname or ""
        if wire is None:
            if _process.wires and AWS.search(host):
                raise RuntimeError(f"a client would have asked {host}: it was made before the test set its environment")
            return original(endpoint, operation_model, request_dict)
        if type(endpoint)._send_request is not Endpoint._send_request:
            other = type(endpoint).__module__.partition(".")[0]
            raise RuntimeError(f"patch() answers boto3 only; for {other} there are serve() and healthimaging_server")
        return original(wire.attach(endpoint), operation_model, request_dict)

    return make_request


AWS = re.compile(r"\.(amazonaws\.com(\.cn)?|api\.aws)$")


def _with_credentials(original: Callable[..., BaseClient]) -> Callable[..., BaseClient]:
    """Replace ``Session.create_client``: what a client lacks is not looked for in files, and not on the network."""

    def create_client(session: Any, service_name: str, *args: Any, **options: Any) -> BaseClient:
        wire = _process.wire
        if service_name == SERVICE and not args and wire:
            config_region = getattr(options.get("config"), "region_name", None)
            if not (options.get("region_name") or config_region or session.get_config_variable("region")):
                options["region_name"] = wire.defaults["region_name"]
            if not any(options.get(name) for name in CREDENTIALS):
                options |= _credentials_of(session, wire.defaults)
        return original(session, service_name, *args, **options)

    return create_client


def _credentials_of(session: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the credentials that code or environment say, or those of the wire."""
    given = session._credentials
    if given and not isinstance(given, RefreshableCredentials):  # which would be refreshed over the network
        return dict(zip(_OPTIONS, (given.access_key, given.secret_key, given.token), strict=True))
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        return {name: defaults.get(name) for name in _OPTIONS}
    return {name: os.environ.get(name.upper()) or CREDENTIALS.get(name) for name in _OPTIONS}


_OPTIONS = (*CREDENTIALS, "aws_session_token")


def _unsigned_at_worst(original: Callable[..., None]) -> Callable[..., None]:
    """Replace ``RequestSigner.sign``: a client made before that has no credentials, or stale ones, sends none."""

    def sign(signer: RequestSigner, *args: Any, **options: Any) -> None:
        is_ready = signer._credentials and not isinstance(signer._credentials, RefreshableCredentials)
        if signer.signing_name != SERVICE or is_ready or not _process.wire:
            original(signer, *args, **options)

    return sign


_REPLACEMENTS: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (Endpoint, "make_request", _answered),
    (botocore.session.Session, "create_client", _with_credentials),
    (RequestSigner, "sign", _unsigned_at_worst),
)
