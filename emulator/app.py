"""The operations, and the one path that a request takes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Flask, Request, Response, request
from flask.typing import ResponseReturnValue

from .scenario import control
from .service import protocol, validation
from .service.errors import InternalServerException, ServiceError
from .service.operations.list_image_set_versions import LIST_IMAGE_SET_VERSIONS
from .service.pagination import Listing

if TYPE_CHECKING:
    from .emulator import Emulator

OPERATIONS = (LIST_IMAGE_SET_VERSIONS,)

log = logging.getLogger("emulator")


def answer(emulator: Emulator, request: Request) -> Response:
    """Carry a request from top to bottom; whatever is raised on the way becomes a response in ``serialize_error``."""
    method, path, query = protocol.request_line(request.environ)
    operation, labels = protocol.route(OPERATIONS, method, path)
    protocol.check_limits(request)
    account = emulator.account(protocol.account_id(request.headers.get("Authorization", "")))
    input = protocol.parse(operation, labels, query)
    listing = Listing(
        emulator.tokens,
        scope="/".join((account.id, operation.name, *labels.values())),
        token=input.next_token,
        now=account.now(),
        page_size=emulator.page_size,
    )
    validation.validate(input)
    output = operation.handler(input, account.store, listing)
    return protocol.serialize(operation, output)


def serialize_error(error: Exception) -> Response:
    """Turn whatever was raised, wherever, into the wire's form; what nobody foresaw is logged and told to no client."""
    if not isinstance(error, ServiceError):
        log.error("%s %s failed", request.method, request.path, exc_info=error)
        error = InternalServerException()
    return protocol.serialize_error(error)


class _App(Flask):
    """Flask routes the control API; all else is the service's.

    Flask's routing goes by a decoded path, refuses some Host headers, redirects, and answers 405 and OPTIONS by itself,
    none of which the service does.
    """

    def __init__(self, emulator: Emulator) -> None:
        super().__init__("emulator", static_folder=None)
        self._emulator = emulator
        self.register_blueprint(control.blueprint)
        self.register_error_handler(Exception, serialize_error)

    def dispatch_request(self) -> ResponseReturnValue:
        return super().dispatch_request() if request.url_rule else answer(self._emulator, request)


def create_app(emulator: Emulator) -> Flask:
    """Make the WSGI application of an emulator."""
    return _App(emulator)
