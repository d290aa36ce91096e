"""Serve the endpoints of the control API through Flask, and answer errors by their kind."""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from ..accounts import Accounts
from ..credentials import DEFAULT_ACCOUNT, check_account_id
from ..documents import decode_json
from ..errors import (
    ConflictError,
    EmulatorError,
    ForbiddenError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    suggestion,
)
from ..messages import Exchange
from ..settings import Settings
from ..transports.targets import CONTROL_PREFIX, EXCHANGE_KEY, GENERATION_HEADER, is_input_terminated, raw_target
from .access import AccessPolicy
from .bodies import ErrorBody
from .endpoints import ENDPOINTS, ControlRequest, get_health
from .openapi import Endpoint, describe_endpoints

STATUSES: dict[type[EmulatorError], tuple[int, str]] = {
    NotFoundError: (404, "NotFound"),
    ForbiddenError: (403, "Forbidden"),
    ConflictError: (409, "Conflict"),
    LimitExceededError: (400, "LimitExceeded"),
    InvalidError: (400, "BadRequest"),
}

_find_needless_escape = re.compile("%(?:2[DEF]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE).search
"""Finds an escaped letter, digit, hyphen, period, underscore, tilde (RFC 3986, 2.3) or slash."""

log = logging.getLogger("healthimaging_emulator")


def make_control_blueprint(accounts: Accounts, settings: Settings, prefix: str) -> Blueprint:
    """Make Flask's routes to the endpoints, for callers that the settings admit."""
    policy = AccessPolicy(settings.control_token, settings.control_hosts, settings.cors_origins)
    blueprint = Blueprint("control", __name__)
    options: dict[str, Any] = {"provide_automatic_options": False, "strict_slashes": True}
    for endpoint in ENDPOINTS:
        blueprint.add_url_rule(
            re.sub(r"\{(\w+?)\}", lambda found: f"<{_snake(found[1])}>", endpoint.path),
            endpoint=endpoint.handler.__name__,
            view_func=partial(_answer, endpoint, accounts, policy, settings.max_control_body),
            methods=[endpoint.method],
            **options,
        )
    blueprint.add_url_rule(
        "/openapi.json", view_func=partial(_describe, policy, prefix), endpoint="describe", **options
    )
    blueprint.before_app_request(_check_spelling)
    blueprint.app_errorhandler(Exception)(_answer_error)
    blueprint.after_app_request(partial(_add_generation, accounts.generation))
    return blueprint


def _check_spelling() -> None:
    """Refuse a path that balancers, which do not decode it, would send to another account's replica."""
    if found := _find_needless_escape(raw_target(request.environ).partition("?")[0]):
        raise InvalidError(f"invalid path: expected no escape {found[0]}")


def _snake(name: str) -> str:
    return re.sub("(?=[A-Z])", "_", name).lower()


def _answer(endpoint: Endpoint, accounts: Accounts, policy: AccessPolicy, max_body: int, **labels: str) -> Response:
    if endpoint.handler is not get_health:
        policy.check(request)
    id = request.headers.get("x-emulator-account", DEFAULT_ACCOUNT)
    check_account_id(id, path="x-emulator-account")
    for name in request.args.keys() - endpoint.query.keys():
        raise InvalidError(f"there is no query parameter {name!r} here", path=name)
    exchange: Exchange = request.environ.get(EXCHANGE_KEY) or Exchange()
    exchange.account = id
    content = _read_content(max_body) or (b"" if endpoint.is_body_required else b"{}")
    body = None if endpoint.body is None else decode_json(content, endpoint.body)
    result = endpoint.handler(ControlRequest(accounts, id, body, request.args.to_dict(), exchange.can_break), **labels)
    if isinstance(result, bytes):
        return Response(result, content_type="image/png")
    return _send_nothing() if result is None else _send_json(result)


def _read_content(max_body: int) -> bytes:
    """Read the body of the request, with or without a Content-Length."""
    length, stream = request.content_length, request.environ["wsgi.input"]
    if length is None and not is_input_terminated(request.environ):
        return b""
    if (length or 0) <= max_body:
        content: bytes = stream.read(max_body + 1 if length is None else length)
        if len(content) <= max_body:
            return content
    raise InvalidError(f"the body is too large: expected at most {max_body} bytes")


def _send_nothing() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _send_json(result: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(result), status, content_type="application/json")


def _add_generation(generation: str, response: Response) -> Response:
    response.headers[GENERATION_HEADER] = generation
    return response


def _answer_error(error: Exception) -> Response:
    """Answer an error by its kind. Any exception that is not one of ours is a bug: logged, and answered with 500."""
    status, code, message, path = _classify(error)
    if status == 500:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
    else:
        _note_refusal(f"{path}: {message}" if path else message)
    detail = {"code": code, "message": message} | ({"path": path} if path else {})
    return _send_json({"error": detail}, status)


def _note_refusal(reason: str) -> None:
    """Leave the reason to the log of the emulator's own server; other servers would not log it."""
    exchange: Exchange | None = request.environ.get(EXCHANGE_KEY)
    if exchange is None:
        log.info("%s %s was refused: %s", request.method, request.path, reason)
    else:
        exchange.refusal = reason


def _classify(error: Exception) -> tuple[int, str, str, str]:
    for kind, (status, code) in STATUSES.items():
        if isinstance(error, kind):
            return status, code, error.message, error.path
    if isinstance(error, HTTPException) and error.code == 400:
        return 400, "BadRequest", "the request cannot be read", ""
    if isinstance(error, HTTPException):
        return 404, "NotFound", f"there is no {request.method} {request.path}: {_hint_at_endpoint(error)}", ""
    return 500, "InternalError", "the emulator failed; its log says why", ""


def _hint_at_endpoint(error: HTTPException) -> str:
    methods = getattr(error, "valid_methods", None)
    if methods:
        return f"expected {' or '.join(sorted(set(methods) - {'HEAD', 'OPTIONS'}))}"
    near = suggestion(request.path.removeprefix(CONTROL_PREFIX), [each.path for each in ENDPOINTS])
    return f"{CONTROL_PREFIX}/openapi.json describes what there is{near}"


def _describe(policy: AccessPolicy, prefix: str) -> Response:
    """Describe this API in OpenAPI 3.1."""
    policy.check(request)
    return _send_json(describe_endpoints(ENDPOINTS, prefix, ErrorBody))
