"""The emulator's own API over HTTP, under ``/_emulator``, a prefix that cannot be a path of the service.

One table says what there is; Flask's routes and the OpenAPI document are both made from it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct, structs
from werkzeug.exceptions import HTTPException

from healthimaging_emulator.accounts import DEFAULT_ACCOUNT, Account, Part
from healthimaging_emulator.aws.errors import ResourceNotFoundException
from healthimaging_emulator.control import openapi
from healthimaging_emulator.control.access import Guard
from healthimaging_emulator.control.openapi import Endpoint
from healthimaging_emulator.faults.engine import RuleError, RuleStatus
from healthimaging_emulator.faults.fault import Rule
from healthimaging_emulator.healthimaging.shapes import ImageSetExternalVersionId, ImageSetProperties, prepare
from healthimaging_emulator.healthimaging.store import AlreadyExists
from healthimaging_emulator.journal import Call
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.loader import SeedDocument, Time, VersionMembers
from healthimaging_emulator.seeds.reader import SeedError, decode

PREFIX = "/_emulator/"

log = logging.getLogger("emulator")


# What goes in and out.


class _Body(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Health(_Body, frozen=True):
    """The emulator is ready: it listens only when every seed is loaded."""

    status: str


class Reset(_Body, frozen=True):
    """The parts to set back; left out, all."""

    only: list[Part] | None = None


class RuleList(_Body, frozen=True):
    """Fault rules in the order in which they are tried."""

    faults: list[RuleStatus]


class CallList(_Body, frozen=True):
    """Calls, newest last, and how many older ones the journal no longer holds."""

    calls: list[Call]
    dropped: int


class ClockState(_Body, frozen=True):
    """The account's time in epoch seconds, and whether it stands still."""

    now: float
    is_frozen: bool


class ClockChange(_Body, frozen=True):
    """One of three: stand still at a time (or where the clock is), move on by seconds, or run on."""

    freeze: Time | bool | None = None
    advance: float | None = None
    run: bool | None = None


class Version(VersionMembers, frozen=True, kw_only=True):
    """A version to append, or to put in the place of one, now or in ``after`` seconds of the account's clock."""

    version_id: ImageSetExternalVersionId | None = None
    after: Annotated[float, Meta(ge=0)] = 0.0

    def members(self) -> dict[str, Any]:
        """Return what was given, in Python's spelling."""
        return {name: value for name, value in structs.asdict(self).items() if value is not None}


class ErrorDetail(_Body, frozen=True):
    """What is wrong, and the path to it inside the body."""

    code: Literal["BadRequest", "Forbidden", "NotFound", "Conflict", "InternalError"]
    message: str
    path: str | None = None


class ErrorBody(_Body, frozen=True):
    """Every refusal of the control API."""

    error: ErrorDetail


class Refusal(Exception):
    """Ends a control request with an error."""

    def __init__(self, status: int, message: str, path: str | None = None) -> None:
        self.status, self.message, self.path = status, message, path
        super().__init__(message)


# What can be done.


def get_health(_: Account, __: None) -> Health:
    """Say that the emulator is ready."""
    return Health("ready")


def reset(account: Account, body: Reset) -> None:
    """Go back to the seed, or to the last one put."""
    account.reset(body.only)


def list_faults(account: Account, _: None) -> RuleList:
    """List the fault rules, and how often each matched and fired."""
    return RuleList(list(account.faults))


def add_faults(account: Account, body: Rule | list[Rule]) -> RuleList:
    """Add one rule or a list of them, all or none; return them with their ids."""
    rules = body if isinstance(body, list) else [body]
    _check_connections(rules, "$[{}].connection")
    try:
        return RuleList(account.faults.add(*rules))
    except RuleError as error:
        if not isinstance(body, list):
            error.path = error.path.replace("$[0]", "$", 1)
        raise


def clear_faults(account: Account, _: None) -> None:
    """Remove all rules; their stalls and delays end."""
    account.faults.clear()


def get_fault(account: Account, _: None, id: str) -> RuleStatus:
    """Return one rule."""
    return account.faults[id]


def remove_fault(account: Account, _: None, id: str) -> None:
    """Remove one rule; its stalls and delays end."""
    account.faults.remove(id)


def list_calls(account: Account, _: None) -> CallList:
    """Return the journal."""
    given = request.args.to_dict()
    attempts = given.get("attempts")
    if attempts is not None and not re.fullmatch("[0-9]{1,9}", attempts, re.ASCII):
        raise Refusal(400, "attempts is a number", "attempts")
    calls = account.calls.filter(
        image_set_id=given.get("imageSetId"),
        code=given.get("code"),
        attempts=None if attempts is None else int(attempts),
    )
    return CallList(calls, account.calls.dropped)


def clear_calls(account: Account, _: None) -> None:
    """Forget all calls."""
    account.calls.clear()


def get_seed(account: Account, _: None) -> msgspec.Raw:
    """Return what the account sees, as a seed."""
    return msgspec.Raw(account.seed())


def put_seed(account: Account, body: SeedDocument) -> None:
    """Begin again with another seed, to which a reset returns from now on."""
    account.put(_seed(account, body))


def add_seed(account: Account, body: SeedDocument) -> None:
    """Add image sets and rules to the account's changes, all or none."""
    try:
        account.add(_seed(account, body))
    except RuleError as error:
        error.path = error.path.replace("$", "$.faults", 1)
        raise


def append_version(account: Account, body: Version, datastore_id: str, image_set_id: str) -> ImageSetProperties | None:
    """Append a version, which numbers itself if it has no number; with ``after`` it answers 204."""
    return account.store.append(datastore_id, image_set_id, **body.members())


def replace_version(
    account: Account, body: Version, datastore_id: str, image_set_id: str, version_id: str
) -> ImageSetProperties | None:
    """Put another version in the place of one, whole; with ``after`` it answers 204."""
    if body.version_id not in (None, version_id):
        raise Refusal(400, f"versionId is not {version_id}, which the path names", "$.versionId")
    return account.store.replace(datastore_id, image_set_id, **body.members() | {"version_id": version_id})


def forget_account(account: Account, _: None) -> None:
    """Drop the account with all that it has; asked for again, it begins with the seed of the start."""
    account.forget()


def get_clock(account: Account, _: None) -> ClockState:
    """Tell the account's time."""
    return ClockState(account.clock.now(), account.clock.is_frozen)


def set_clock(account: Account, body: ClockChange) -> ClockState:
    """Stop the account's clock, move it on, or let it run."""
    given = [name for name in ("freeze", "advance", "run") if getattr(body, name) is not None]
    if len(given) != 1 or body.freeze is False or body.run is False:
        raise Refusal(400, "give one of freeze, advance and run, which is not false", "$")
    if body.advance is not None:
        account.clock.advance(body.advance)
    elif body.run:
        account.clock.run()
    else:
        account.clock.freeze(None if body.freeze is True else body.freeze)
    return get_clock(account, None)


def _seed(account: Account, document: SeedDocument) -> seeds.Seed:
    _check_connections(document.faults, "$.faults[{}].connection")
    account.limits.check("versions", seeds.size(document))
    account.limits.check("faults", len(document.faults))
    return seeds.build([("body", document)])


def _check_connections(rules: list[Rule], path: str) -> None:
    """Refuse what the server that took this request could not carry out."""
    for index, rule in enumerate(rules):
        if rule.connection and "emulator.link" not in request.environ:
            raise Refusal(400, "only the emulator's own server can break a connection", path.format(index))


VERSIONS = "/datastores/{datastoreId}/imageSets/{imageSetId}/versions"
CALL_FILTERS = {"imageSetId": "string", "code": "string", "attempts": "integer"}

ENDPOINTS = (
    Endpoint("GET", "/health", get_health, result=Health),
    Endpoint("POST", "/reset", reset, body=Reset, is_body_required=False),
    Endpoint("GET", "/faults", list_faults, result=RuleList),
    Endpoint("POST", "/faults", add_faults, body=Rule | list[Rule], result=RuleList),
    Endpoint("DELETE", "/faults", clear_faults),
    Endpoint("GET", "/faults/{id}", get_fault, result=RuleStatus),
    Endpoint("DELETE", "/faults/{id}", remove_fault),
    Endpoint("GET", "/calls", list_calls, result=CallList, query=CALL_FILTERS),
    Endpoint("DELETE", "/calls", clear_calls),
    Endpoint("GET", "/seed", get_seed, result=SeedDocument),
    Endpoint("PUT", "/seed", put_seed, body=SeedDocument),
    Endpoint("POST", "/seed", add_seed, body=SeedDocument),
    Endpoint("POST", VERSIONS, append_version, body=Version, result=ImageSetProperties | None),
    Endpoint("PUT", VERSIONS + "/{versionId}", replace_version, body=Version, result=ImageSetProperties | None),
    Endpoint("DELETE", "/account", forget_account),
    Endpoint("GET", "/clock", get_clock, result=ClockState),
    Endpoint("PUT", "/clock", set_clock, body=ClockChange, result=ClockState),
)

prepare(*(endpoint.body for endpoint in ENDPOINTS if endpoint.body))


# How it is served.


def blueprint(accounts: Callable[[str], Account], guard: Guard, max_body: int) -> Blueprint:
    """Make Flask's routes to what changes an account, for those whom a guard lets in; ``max_body`` is in bytes."""
    made = Blueprint("control", __name__, url_prefix=PREFIX.rstrip("/"))
    options: dict[str, Any] = {"provide_automatic_options": False, "merge_slashes": False}
    for endpoint in ENDPOINTS:
        made.add_url_rule(
            re.sub(r"\{(\w+?)\}", lambda found: f"<{_snake(found[1])}>", endpoint.path),
            endpoint=endpoint.handler.__name__,
            view_func=partial(_answer, endpoint, accounts, guard, max_body),
            methods=[endpoint.method],
            **options,
        )
    made.add_url_rule("/openapi.json", view_func=partial(describe, guard), endpoint="describe", **options)
    return made


def _snake(name: str) -> str:
    return re.sub("(?=[A-Z])", "_", name).lower()


def _answer(
    endpoint: Endpoint, accounts: Callable[[str], Account], guard: Guard, max_body: int, **labels: str
) -> Response:
    if endpoint.handler is not get_health:
        guard.check(request)
    id = request.headers.get("x-emulator-account", DEFAULT_ACCOUNT)
    if not re.fullmatch("[0-9]{12}", id, re.ASCII):
        raise Refusal(400, "an account has 12 digits", "x-emulator-account")
    for name in request.args.keys() - endpoint.query.keys():
        raise Refusal(400, f"there is no parameter {name} here", name)
    content = _content(max_body) or (b"" if endpoint.is_body_required else b"{}")
    body = None if endpoint.body is None else decode(content, endpoint.body)
    result = endpoint.handler(accounts(id), body, **labels)
    return _nothing() if result is None else _json(result)


def _content(max_body: int) -> bytes:
    """Read the body of the request, also of one that does not say its length."""
    if (request.content_length or 0) <= max_body:
        request.max_content_length = max_body + 1  # where Werkzeug cuts it, in silence
        content = request.get_data()
        if len(content) <= max_body:
            return content
    raise Refusal(400, f"a body has at most {max_body} bytes")


def _nothing() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _json(result: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(result), status, content_type="application/json")


def serialize_error(error: Exception) -> Response:
    """Turn whatever a control request raised into the API's own form."""
    status, message, path = _told(error)
    if status == 500:
        log.error("%s %s failed", request.method, request.path, exc_info=error)
    codes = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 500: "InternalError"}
    return _json({"error": {"code": codes[status], "message": message} | ({"path": path} if path else {})}, status)


def _told(error: Exception) -> tuple[int, str, str | None]:
    match error:
        case Refusal():
            return error.status, error.message, error.path
        case RuleError():
            return 409 if error.is_conflict else 400, error.message, error.path
        case SeedError():
            return 400, error.rule, error.path
        case PermissionError():
            return 403, str(error), None
        case AlreadyExists():
            return 409, str(error), None
        case ResourceNotFoundException():
            return 404, error.message, None
        case KeyError():
            return 404, f"there is no rule {error.args[0]}", None
        case LookupError():
            return 404, str(error), None
        case ValueError():
            return 400, str(error), None
        case HTTPException(code=400):
            return 400, "the request cannot be read", None
        case HTTPException():
            return 404, f"there is no {request.method} {request.path}", None
    return 500, "the emulator failed; its log says why", None


def describe(guard: Guard) -> Response:
    """Describe this API in OpenAPI 3.1."""
    guard.check(request)
    return _json(openapi.document(ENDPOINTS, PREFIX.rstrip("/"), ErrorBody))
