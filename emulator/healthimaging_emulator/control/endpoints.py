"""The endpoints of the control API, under ``/_emulator``: a table, and a handler for each row.

Flask's routes and the OpenAPI document are both made from the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from ..accounts import Account, Accounts
from ..credentials import DEFAULT_ACCOUNT
from ..errors import ConflictError, InvalidError
from ..faults.engine import FaultStatus
from ..faults.fault import Fault
from ..faults.near_miss import explain_miss
from ..healthimaging.baseline import measure
from ..healthimaging.metadata import tags_of
from ..healthimaging.pictures import draw_frame
from ..healthimaging.records import ImageSet
from ..seeds.document import SeedDocument, SeedVersion
from ..seeds.loader import Seed, build_seed, count_document
from .bodies import (
    AccountList,
    AccountName,
    AccountSummary,
    CallList,
    ClockChange,
    ClockState,
    DatastoreList,
    DatastoreSummary,
    EventList,
    FaultChange,
    FaultList,
    Health,
    ImageSetList,
    ImageSetSummary,
    NewVersion,
    Reset,
    StrayList,
    StrayRequest,
    TransitionList,
    TransitionState,
    VersionList,
    show_version,
)
from .openapi import Endpoint

Body = TypeVar("Body")


@dataclass(frozen=True)
class ControlRequest(Generic[Body]):
    """A request to the control API. ``can_break`` says whether its server can break connections."""

    accounts: Accounts
    account_id: str
    body: Body
    query: Mapping[str, str]
    can_break: bool

    @property
    def account(self) -> Account:
        """The account that the request names. Raises ``NotOpenError`` and ``LimitExceededError``."""
        self.accounts.named.add(self.account_id)
        return self.accounts.get(self.account_id)


AnyRequest = ControlRequest[Any]


def get_health(_: AnyRequest) -> Health:
    """Say that the emulator is ready."""
    return Health("ready")


def open_account(request: ControlRequest[AccountName], id: str) -> None:
    """Open a test account, under the name of its test."""
    request.accounts.open(id, request.body.name)


def list_strays(request: AnyRequest) -> StrayList:
    """List the requests of test accounts that were not open."""
    return StrayList([StrayRequest(*each) for each in list(request.accounts.strays)])


def reset(request: ControlRequest[Reset]) -> None:
    """Return to the seed, or to the last one put."""
    request.account.reset(*(request.body.only or ()))


def list_faults(request: AnyRequest) -> FaultList:
    """List the faults, and how often each matched and fired; or those that were added and never fired, and why."""
    if "unfired" not in request.query:
        return FaultList(list(request.account.faults))
    unfired, calls = request.account.faults.find_unfired(), request.account.calls
    return FaultList(unfired, {str(each.id): explain_miss(each, calls) for each in unfired})


def add_faults(request: ControlRequest[Fault | list[Fault]]) -> FaultList:
    """Add one fault or a list of them, all or none; return them with their ids."""
    faults = request.body if isinstance(request.body, list) else [request.body]
    try:
        _check_faults(request, faults, "$[{}]")
        return FaultList(request.account.faults.add(*faults))
    except (ConflictError, InvalidError) as error:
        raise _move_path(error, "$[0]", "$") if not isinstance(request.body, list) else error from None


def clear_faults(request: AnyRequest) -> None:
    """Remove all faults; their stalls and delays end."""
    request.account.faults.clear()


def get_fault(request: AnyRequest, id: str) -> FaultStatus:
    """Return one fault."""
    return request.account.faults[id]


def change_fault(request: ControlRequest[FaultChange], id: str) -> FaultStatus:
    """Switch a fault on or off, or move it in the order."""
    faults, change = request.account.faults, request.body
    if change.is_on is not None:
        faults.switch(id, on=change.is_on)
    if change.position is not None:
        faults.move(id, change.position)
    return faults[id]


def remove_fault(request: AnyRequest, id: str) -> None:
    """Remove one fault; its stalls and delays end."""
    request.account.faults.remove(id)


def list_calls(request: AnyRequest) -> CallList:
    """Return the call journal; with ``after``, only the calls that have changed since."""
    calls = request.account.journal.snapshot(request.query.get("after", ""))
    found = calls.filter(
        image_set_id=request.query.get("imageSetId"),
        code=request.query.get("code"),
        attempts=_read_number(request, "attempts"),
    )
    return CallList(found, calls.dropped, calls.first, calls.last, calls.is_whole)


def clear_calls(request: AnyRequest) -> None:
    """Forget all calls."""
    request.account.journal.clear()


def list_events(request: AnyRequest) -> EventList:
    """List the events that the service would have sent to EventBridge, oldest first."""
    return EventList(request.account.list_events(request.query.get("after", "")))


def get_seed(request: AnyRequest) -> msgspec.Raw:
    """Return the present state as a seed."""
    return msgspec.Raw(request.account.export_seed())


def put_seed(request: ControlRequest[SeedDocument]) -> None:
    """Replace the whole state by a seed. Later resets return to this seed."""
    request.account.put(_build_seed(request))


def add_seed(request: ControlRequest[SeedDocument]) -> None:
    """Add image sets and faults to the account's changes, all or none."""
    seed = _build_seed(request)
    try:
        request.account.merge(seed)
    except (ConflictError, InvalidError) as error:
        raise _move_path(error, "$", "$.faults") from None


def list_datastores(request: AnyRequest) -> DatastoreList:
    """List the data stores."""
    found = request.account.store.datastores()
    return DatastoreList([DatastoreSummary(each.datastore_id, each.status, each.name) for each in found])


def list_image_sets(request: AnyRequest, datastore_id: str) -> ImageSetList:
    """List the image sets of a data store in the order of their ids, page by page; with a search, those it finds."""
    limit = _read_number(request, "limit", default=IMAGE_SETS_PER_PAGE)
    if not limit:
        raise InvalidError("invalid limit '0': expected a number above 0", path="limit")
    datastore = request.account.datastore(datastore_id)
    query = request.query
    found = datastore.list_image_sets(query.get("after", ""), limit + 1, query.get("search", ""))
    page = [_show_image_set(each) for each in found[:limit]]
    return ImageSetList(page, page[-1].image_set_id if len(found) > limit else None)


def get_image_set(request: AnyRequest, datastore_id: str, image_set_id: str) -> ImageSetSummary:
    """Return an image set with its latest version."""
    return _show_image_set(request.account.image_set(datastore_id, image_set_id).record)


def remove_image_set(request: AnyRequest, datastore_id: str, image_set_id: str) -> None:
    """Remove an image set as if it had never been."""
    request.account.image_set(datastore_id, image_set_id).remove()


def finish_image_set(request: AnyRequest, datastore_id: str, image_set_id: str) -> None:
    """End the transition of an image set now, if one is under way."""
    request.account.image_set(datastore_id, image_set_id).finish()


def get_metadata(request: AnyRequest, datastore_id: str, image_set_id: str) -> dict[str, Any]:
    """Return the metadata document of a version, by default of the latest; a deleted image set has none."""
    return request.account.image_set(datastore_id, image_set_id).metadata(request.query.get("versionId"))


def list_versions(request: AnyRequest, datastore_id: str, image_set_id: str) -> VersionList:
    """Return the versions of one image set, newest first, and its copies."""
    record = request.account.image_set(datastore_id, image_set_id).record
    return VersionList([show_version(version, image_set_id) for version in record.history[:][::-1]], record.copies)


def get_picture(request: AnyRequest, datastore_id: str, image_set_id: str, image_frame_id: str) -> bytes:
    """Return a frame as a PNG picture; needs the extra frames."""
    return draw_frame(request.account.image_set(datastore_id, image_set_id).record, image_frame_id)


def append_version(request: ControlRequest[NewVersion], datastore_id: str, image_set_id: str) -> SeedVersion | None:
    """Append a version, by default with the next number; with ``after`` the answer is 204."""
    image_set = request.account.image_set(datastore_id, image_set_id)
    version = image_set.append(after=request.body.after, **request.body.members())
    return None if version is None else show_version(version, image_set_id)


def replace_version(
    request: ControlRequest[NewVersion], datastore_id: str, image_set_id: str, version_id: str
) -> SeedVersion | None:
    """Replace a version completely; with ``after`` the answer is 204."""
    members = request.body.members()
    if members.pop("version_id", version_id) != version_id:
        raise InvalidError(f"versionId is not {version_id}, which the path names", path="$.versionId")
    image_set = request.account.image_set(datastore_id, image_set_id)
    version = image_set.replace(version_id, after=request.body.after, **members)
    return None if version is None else show_version(version, image_set_id)


def remove_version(request: AnyRequest, datastore_id: str, image_set_id: str, version_id: str) -> None:
    """Remove a version as if it had never been; the only one cannot be removed."""
    request.account.image_set(datastore_id, image_set_id).remove_version(version_id)


def list_transitions(request: AnyRequest) -> TransitionList:
    """List the operations that continue after their answer."""
    elapsed = request.account.clock.elapsed()
    return TransitionList(
        [
            TransitionState(
                each.name,
                [image_set_id for _, image_set_id in each.ends],
                each.reads,
                None if each.due is None else round(max(0.0, each.due - elapsed), 3),
                None if each.ends else each.subject,
            )
            for each in request.account.store.transitions
        ]
    )


def finish_transitions(request: AnyRequest) -> None:
    """End all transitions now."""
    request.account.finish_transitions()


def list_accounts(request: AnyRequest) -> AccountList:
    """List the accounts that have been used, in the order of their ids."""
    accounts = request.accounts
    ids = sorted({DEFAULT_ACCOUNT, *(each.id for each in accounts.all())})
    return AccountList([AccountSummary(id, accounts.test_of(id)) for id in ids])


def forget_account(request: AnyRequest) -> None:
    """Remove the account. Its next use starts from the initial seed."""
    request.account.forget()


def get_clock(request: AnyRequest) -> ClockState:
    """Return the account's date."""
    return ClockState(request.account.clock.now(), request.account.clock.is_frozen)


def set_clock(request: ControlRequest[ClockChange]) -> ClockState:
    """Stop the account's clock, advance it, or let it run."""
    body, clock = request.body, request.account.clock
    given = [name for name in ("freeze", "advance", "run") if getattr(body, name) is not None]
    if len(given) != 1 or body.freeze is False or body.run is False:
        raise InvalidError("expected one of freeze, advance and run, and not false", path="$")
    if body.advance is not None:
        clock.advance(body.advance)
    elif body.run:
        clock.run()
    else:
        clock.freeze(None if body.freeze is True else body.freeze)
    return get_clock(request)


def _read_number(request: AnyRequest, name: str, default: int | None = None) -> int | None:
    text = request.query.get(name)
    if text is not None and not re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        raise InvalidError(f"invalid {name} {text!r}: expected a whole number", path=name)
    return default if text is None else int(text)


def _show_image_set(record: ImageSet) -> ImageSetSummary:
    id, latest = record.image_set_id, record.latest
    found = {} if latest.image_set_state == "DELETED" else msgspec.to_builtins(tags_of(latest, id))
    tags = {name: value for name, value in found.items() if value is not None}
    return ImageSetSummary(image_set_id=id, latest=show_version(latest, id), tags=tags)


def _build_seed(request: ControlRequest[SeedDocument]) -> Seed:
    document, settings = request.body, request.account.settings
    _check_faults(request, document.faults, "$.faults[{}]")
    settings.check_limit("versions", count_document(document))
    settings.check_limit("faults", len(document.faults))
    seed = build_seed([("", None, document)])
    settings.check_limit("metadata", measure(seed.baseline)[1])
    return seed


def _check_faults(request: AnyRequest, faults: list[Fault], path: str) -> None:
    """Refuse faults that the server that took this request cannot carry out, or that read files of its machine."""
    for index, fault in enumerate(faults):
        if fault.connection_effect and not request.can_break:
            raise InvalidError(
                "only the emulator's own server can break a connection", path=f"{path.format(index)}.connection"
            )
        if "file" in (fault.respond_effect or {}):
            raise InvalidError("a file cannot be named over HTTP", path=f"{path.format(index)}.respond.file")


def _move_path(error: ConflictError | InvalidError, old: str, new: str) -> ConflictError | InvalidError:
    return type(error)(error.message, path=error.path.replace(old, new, 1), source=error.source)


IMAGE_SETS = "/datastores/{datastoreId}/imageSets"
IMAGE_SET = IMAGE_SETS + "/{imageSetId}"
VERSIONS = IMAGE_SET + "/versions"
VERSION = VERSIONS + "/{versionId}"
IMAGE_SETS_PER_PAGE = 1000
IMAGE_SET_QUERY = {"after": "string", "limit": "integer", "search": "string"}
CALL_QUERY = {"after": "string", "imageSetId": "string", "code": "string", "attempts": "integer"}

ENDPOINTS = (
    Endpoint("GET", "/health", get_health, result=Health),
    Endpoint("POST", "/reset", reset, body=Reset, is_body_required=False),
    Endpoint("GET", "/faults", list_faults, result=FaultList, query={"unfired": "string"}),
    Endpoint("POST", "/faults", add_faults, body=Fault | list[Fault], result=FaultList),
    Endpoint("DELETE", "/faults", clear_faults),
    Endpoint("GET", "/faults/{id}", get_fault, result=FaultStatus),
    Endpoint("PUT", "/faults/{id}", change_fault, body=FaultChange, result=FaultStatus),
    Endpoint("DELETE", "/faults/{id}", remove_fault),
    Endpoint("GET", "/calls", list_calls, result=CallList, query=CALL_QUERY),
    Endpoint("DELETE", "/calls", clear_calls),
    Endpoint("GET", "/events", list_events, result=EventList, query={"after": "string"}),
    Endpoint("GET", "/seed", get_seed, result=SeedDocument),
    Endpoint("PUT", "/seed", put_seed, body=SeedDocument),
    Endpoint("POST", "/seed", add_seed, body=SeedDocument),
    Endpoint("GET", "/datastores", list_datastores, result=DatastoreList),
    Endpoint("GET", IMAGE_SETS, list_image_sets, result=ImageSetList, query=IMAGE_SET_QUERY),
    Endpoint("GET", IMAGE_SET, get_image_set, result=ImageSetSummary),
    Endpoint("DELETE", IMAGE_SET, remove_image_set),
    Endpoint("POST", IMAGE_SET + "/finish", finish_image_set),
    Endpoint("GET", IMAGE_SET + "/metadata", get_metadata, result=dict[str, Any], query={"versionId": "string"}),
    Endpoint("GET", VERSIONS, list_versions, result=VersionList),
    Endpoint("GET", IMAGE_SET + "/frames/{imageFrameId}.png", get_picture, result=bytes),
    Endpoint("POST", VERSIONS, append_version, body=NewVersion, result=SeedVersion | None),
    Endpoint("PUT", VERSION, replace_version, body=NewVersion, result=SeedVersion | None),
    Endpoint("DELETE", VERSION, remove_version),
    Endpoint("GET", "/transitions", list_transitions, result=TransitionList),
    Endpoint("POST", "/transitions/finish", finish_transitions),
    Endpoint("GET", "/accounts", list_accounts, result=AccountList),
    Endpoint("PUT", "/accounts/{id}", open_account, body=AccountName),
    Endpoint("GET", "/strays", list_strays, result=StrayList),
    Endpoint("DELETE", "/account", forget_account),
    Endpoint("GET", "/clock", get_clock, result=ClockState),
    Endpoint("PUT", "/clock", set_clock, body=ClockChange, result=ClockState),
)

for _endpoint in ENDPOINTS:  # two threads that prepare a type at the same time crash Python (msgspec 0.22)
    if _endpoint.body:
        msgspec.json.Decoder(_endpoint.body)
