"""The one path that a request takes."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request

from healthimaging_emulator.accounts import DEFAULT_ACCOUNT
from healthimaging_emulator.aws import rest_json as protocol
from healthimaging_emulator.aws import validation
from healthimaging_emulator.aws.errors import (
    AccessDeniedException,
    InternalServerException,
    ServiceError,
    ThrottlingException,
)
from healthimaging_emulator.aws.pagination import Listing
from healthimaging_emulator.control import endpoints as control
from healthimaging_emulator.faults import effects
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from healthimaging_emulator.messages import Link
from healthimaging_emulator.settings import LimitExceeded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask.typing import ResponseReturnValue
    from werkzeug.routing import MapAdapter

    from healthimaging_emulator.emulator import Emulator

MAX_HEADER = 4096
"""Characters of the header that names the rules that fired."""

PREFLIGHT = "Access-Control-Request-Method"
"""The header by which an OPTIONS is a browser's question beforehand."""

log = logging.getLogger("emulator")


def answer(emulator: Emulator, request: Request) -> Response:
    """Carry a request from top to bottom; whatever is raised on the way becomes a response here, and only here.

    The service throttles and authorises before it validates; so do the fault rules.
    """
    method, path, query = protocol.request_line(request.environ)
    credential = protocol.credential(request.headers.get("Authorization", ""))
    refusal = emulator.verifier and emulator.verifier.refusal(request)
    account = emulator.account(DEFAULT_ACCOUNT if refusal else credential.account)
    link = request.environ.get("emulator.link") or Link(is_served=False)
    call, attempt = account.calls.begin(method, path, request.headers, link.skipped_pause)
    try:
        operation, labels = protocol.route(OPERATIONS, method, path)
        protocol.check_limits(request, emulator.limits.body)
        if refusal:
            raise refusal
        input = protocol.parse(operation, labels, query)
        listing = Listing(
            emulator.tokens,
            scope="/".join((account.id, operation.name, *labels.values())),
            token=getattr(input, "next_token", None),
            now=account.clock.now(),
            page_size=emulator.page_size,
        )
        call.identify(operation.name, input, listing.page if operation.is_paginated else None)

        firing = account.faults.fire(call, attempt.number)
        attempt.faults, attempt.delay, rule = firing.ids, firing.delay, firing.rule
        account.faults.hold_up(firing, link)
        if rule.error:
            raise effects.error(rule.error, operation, credential._asdict() | labels)
        if rule.rate:
            raise ThrottlingException
        if rule.connection == "stall":
            account.faults.stall(firing, link)
        if rule.connection:
            link.break_off(rule.connection)

        validation.validate(input)
        output = operation.handler(input, account.store, listing)
        if rule.page:
            history = account.store.history(input.datastore_id, input.image_set_id)
            output = effects.bend_page(rule.page, output, input=input, listing=listing, history=history)
        response = protocol.serialize(operation, output)
        if rule.body:
            response.set_data(effects.bend_body(rule.body, response.get_data(), operation.output))
            response.content_type = "text/html" if rule.body == "html" else response.content_type
    except Exception as error:
        response = serialize_error(error, request)
    if attempt.faults:
        response.headers["x-emulator-fault"] = ",".join(attempt.faults)[:MAX_HEADER]
    answered = (response.status_code, response.headers.get("x-amzn-ErrorType"))
    account.calls.end(call, attempt, *(answered if link.is_answered else (None, None)))
    return response


def serialize_error(error: Exception, request: Request) -> Response:
    """Turn an error into the wire's form; what nobody foresaw is logged, and told to no client."""
    if isinstance(error, LimitExceeded):
        error = AccessDeniedException(f"The emulator has no room for another account: {error}.")
    if not isinstance(error, ServiceError):
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        error = InternalServerException()
    return protocol.serialize_error(error)


def _serialize_any(error: Exception) -> Response:
    is_control = request.path.startswith(control.PREFIX)
    return control.serialize_error(error) if is_control else serialize_error(error, request)


class _App(Flask):
    """Flask serves the control API, and adds what browsers want; all else goes straight to ``answer``.

    Flask's routing goes by a decoded path, redirects, and answers 405 and OPTIONS by itself, none of which the service
    does; it refuses some Host headers, of which neither API may depend; and its contexts cost a third of a request.
    """

    def __init__(self, emulator: Emulator) -> None:
        super().__init__("healthimaging_emulator", static_folder=None)
        self._emulator = emulator
        self._preparing = threading.Lock()

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if self._emulator.cors_origins or request.path.startswith(control.PREFIX):
            self._prepare()
            return super().wsgi_app(environ, start_response)
        try:
            response = answer(self._emulator, request)
        except Exception as error:
            response = serialize_error(error, request)
        return response(environ, start_response)

    def _prepare(self) -> None:
        """Add the control API's routes when they are first asked for: compiling them takes milliseconds."""
        with self._preparing:
            if "control" not in self.blueprints:
                if self._emulator.cors_origins:
                    _allow(self, self._emulator.cors_origins)
                self.register_error_handler(Exception, _serialize_any)
                self.register_blueprint(
                    control.blueprint(self._emulator.account, self._emulator.guard, self._emulator.limits.control_body)
                )

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None or not request.path.startswith(control.PREFIX):
            return None
        return self.url_map.bind("emulator", path_info=request.path, default_method=request.method)

    def dispatch_request(self) -> ResponseReturnValue:
        if request.method == "OPTIONS" and PREFLIGHT in request.headers and self._emulator.cors_origins:
            return Response(status=204)  # to which Flask-CORS adds what the browser asks for
        is_control = request.path.startswith(control.PREFIX)
        return super().dispatch_request() if is_control else answer(self._emulator, request)


def _allow(app: Flask, origins: Collection[str]) -> None:
    """Let browsers' pages from some origins read the answers."""
    from flask_cors import CORS

    exact = [origin if origin == "*" else re.compile(re.escape(origin) + r"\Z") for origin in origins]
    exposed = ["x-amzn-RequestId", "x-amzn-ErrorType", "x-emulator-fault", "Retry-After", "x-amz-retry-after"]
    CORS(app, origins=exact, expose_headers=exposed, always_send=False)


def create_app(emulator: Emulator) -> Flask:
    """Make the WSGI application of an emulator."""
    return _App(emulator)
