"""The Python client of the control API: an account of an emulator in another process."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from ..credentials import DEFAULT_ACCOUNT, check_account_id
from ..documents import decode_json
from ..errors import (
    ConflictError,
    EmulatorError,
    ForbiddenError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    UnreachableError,
    invalid,
    suggestion,
)
from ..faults.engine import FaultStatus
from ..faults.fault import Fault
from ..healthimaging.records import NewVersionMembers, Version, VersionMembers, check_ids
from ..healthimaging.shapes.image_set import ImageSetState
from ..interfaces import ResetScope
from ..journal import JournalSnapshot
from ..seeds.document import SeedDocument, SeedVersion
from ..seeds.loader import Seed, load_seed
from ..seeds.writer import write_seed
from ..transports.environment import build_variables
from ..transports.targets import GENERATION_HEADER
from .bodies import (
    CallList,
    ClockState,
    DatastoreList,
    ErrorBody,
    EventList,
    FaultList,
    ImageSetList,
    ImageSetSummary,
    NewVersion,
    StrayList,
    StrayRequest,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

TIMEOUT = 60.0
"""Seconds to wait for an answer: a large seed takes some."""

KINDS: dict[str, type[EmulatorError]] = {
    "BadRequest": InvalidError,
    "LimitExceeded": LimitExceededError,
    "Forbidden": ForbiddenError,
    "NotFound": NotFoundError,
    "Conflict": ConflictError,
}

T = TypeVar("T")


class RemoteAccount:
    """One account of an emulator at a URL; see ``AccountInterface``.

    Every method raises ``UnreachableError`` if there is no emulator, and ``ForbiddenError`` if it does not admit this
    caller. Over https, the authorities to trust are in the file that ``AWS_CA_BUNDLE`` names, as for boto3, or the
    system's. Making one raises ``InvalidError`` for a wrong URL or an id that does not have 12 digits.
    """

    def __init__(self, url: str, id: str = DEFAULT_ACCOUNT, *, control_token: str | None = None) -> None:
        if not _is_url(url):
            raise invalid("url", url, "the URL of an emulator, such as http://127.0.0.1:4580")
        check_account_id(id)
        self.url = url.rstrip("/")
        self.id = id
        self.faults = RemoteFaults(self)
        self.clock = RemoteClock(self)
        self._headers: dict[str, str | bytes] = {"x-emulator-account": id, "Content-Type": "application/json"}
        if control_token:
            self._headers["x-emulator-token"] = control_token.encode()

    @property
    def environment(self) -> dict[str, str]:
        """The variables to add to this process's, so that SDKs find this account; see ``build_variables``."""
        return build_variables(self.url, self.id)

    @property
    def calls(self) -> JournalSnapshot:
        """The call journal as it is now, oldest call first."""
        fetched = self.request("GET", "calls", type=CallList)
        return JournalSnapshot(
            fetched.calls, fetched.dropped, first=fetched.first, last=fetched.last, is_whole=fetched.is_whole
        )

    @property
    def strays(self) -> list[StrayRequest]:
        """The last requests of test accounts that were not open."""
        return self.request("GET", "strays", type=StrayList).strays

    @property
    def events(self) -> list[dict[str, Any]]:
        """See ``AccountInterface``."""
        return self.request("GET", "events", type=EventList).events

    def open(self, name: str) -> None:
        """Open this test account under the name of its test. Raises ``ConflictError`` if it is open."""
        self.request("PUT", f"accounts/{self.id}", {"name": name})

    def check_health(self) -> None:
        """Raise ``UnreachableError`` if there is no emulator at the URL."""
        self.request("GET", "health")

    @property
    def generation(self) -> str:
        """The emulator that has the account's state. With another value than before, the account has begun again."""
        status, headers, _ = self._send("GET", "health", None)
        generation = headers[GENERATION_HEADER]
        if generation is None:
            raise self._not_an_emulator(status)
        return generation

    @property
    def datastores(self) -> list[RemoteDatastore]:
        """See ``AccountInterface``."""
        found = self.request("GET", "datastores", type=DatastoreList).datastores
        return [self.datastore(each.datastore_id) for each in found]

    def datastore(self, datastore_id: str) -> RemoteDatastore:
        """See ``AccountInterface``."""
        return RemoteDatastore(self, datastore_id)

    def image_set(self, datastore_id: str, image_set_id: str) -> RemoteImageSet:
        """See ``AccountInterface``."""
        return RemoteImageSet(self, datastore_id, image_set_id)

    def add_image_set(
        self, datastore_id: str, image_set_id: str, **members: Unpack[NewVersionMembers]
    ) -> RemoteImageSet:
        """See ``AccountInterface``."""
        check_ids(datastore_id, image_set_id)
        given: dict[str, Any] = {
            "version_id": "1",
            "image_set_state": "ACTIVE",
            "image_set_workflow_status": "CREATED",
            "created_at": self.clock.now(),
        }
        image_set = {"imageSetId": image_set_id, "versions": [_make(SeedVersion, given | members)]}
        self.request("POST", "seed", {"datastores": [{"datastoreId": datastore_id, "imageSets": [image_set]}]})
        return self.image_set(datastore_id, image_set_id)

    def reset(self, *only: ResetScope) -> None:
        """See ``AccountInterface``."""
        self.request("POST", "reset", {"only": only} if only else {})

    def put_seed(self, *sources: str | Path | Mapping[str, Any]) -> None:
        """See ``AccountInterface``."""
        self.put(load_seed(*sources))

    def put(self, seed: Seed) -> None:
        """Replace the whole state by a seed that is loaded."""
        self.request("PUT", "seed", msgspec.Raw(write_seed(seed.baseline, seed.faults)))

    def export_seed(self) -> bytes:
        """See ``AccountInterface``."""
        content = bytes(self.request("GET", "seed", type=msgspec.Raw))
        try:
            decode_json(content, SeedDocument)
        except InvalidError as error:
            raise UnreachableError(f"{self.url} is not an emulator: {error}") from None
        return content

    def finish_transitions(self) -> None:
        """See ``AccountInterface``."""
        self.request("POST", "transitions/finish")

    def forget(self) -> None:
        """See ``AccountInterface``."""
        self.request("DELETE", "account")

    def request(self, method: str, path: str, body: Any = None, *, type: type[T] = object) -> T:  # type: ignore[assignment]
        """Send a request to the control API, and return its answer as a type."""
        status, _, answer = self._send(
            method, path, None if body is None else msgspec.json.encode(body, enc_hook=_encode_date)
        )
        try:
            if status >= 400:
                detail = msgspec.json.decode(answer, type=ErrorBody).error
                raise KINDS.get(detail.code, EmulatorError)(detail.message, path=detail.path or "")
            return msgspec.json.decode(answer or b"null", type=type)
        except msgspec.DecodeError:
            raise self._not_an_emulator(status) from None

    def _not_an_emulator(self, status: int) -> UnreachableError:
        return UnreachableError(f"{self.url} is not an emulator: it answered {status}")

    def _send(self, method: str, path: str, content: bytes | None) -> tuple[int, Message, bytes]:
        parts = urlsplit(self.url)
        connection = _connect(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request(method, f"{parts.path}/_emulator/{path}", content, self._headers)
            with connection.getresponse() as response:
                return response.status, response.headers, response.read()
        except RemoteDisconnected:
            raise UnreachableError(f"cannot reach {self.url}: it closes connections without an answer") from None
        except (HTTPException, UnicodeError) as error:
            raise UnreachableError(f"{self.url} does not speak HTTP: {error!r}") from None
        except OSError as error:
            hint = "; AWS_CA_BUNDLE names the authority to trust" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
            raise UnreachableError(f"cannot reach {self.url}: {error.strerror or error}{hint}") from error
        finally:
            connection.close()


def _is_url(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    return False


def _encode_date(value: object) -> str:
    if isinstance(value, datetime):  # of a subclass, such as freezegun's
        return value.isoformat()
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def _connect(scheme: str, host: str, port: int | None) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(host, port, timeout=TIMEOUT)
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise UnreachableError(f"there is no file {bundle}, which AWS_CA_BUNDLE names")
    return HTTPSConnection(host, port, timeout=TIMEOUT, context=ssl.create_default_context(cafile=bundle))


class RemoteFaults:
    """The account's faults; see ``FaultsInterface``."""

    def __init__(self, account: RemoteAccount) -> None:
        self._account = account

    def add(self, *faults: Fault | Mapping[str, Any]) -> list[FaultStatus]:
        """See ``FaultsInterface``."""
        return self._account.request("POST", "faults", faults, type=FaultList).faults

    def remove(self, id: str) -> None:
        """See ``FaultsInterface``."""
        self._account.request("DELETE", f"faults/{quote(id)}")

    def switch(self, id: str, *, on: bool) -> None:
        """See ``FaultsInterface``."""
        self._account.request("PUT", f"faults/{quote(id)}", {"isOn": on})

    def move(self, id: str, position: int) -> None:
        """See ``FaultsInterface``."""
        self._account.request("PUT", f"faults/{quote(id)}", {"position": position})

    def clear(self) -> None:
        """See ``FaultsInterface``."""
        self._account.request("DELETE", "faults")

    def __getitem__(self, id: str) -> FaultStatus:
        if not isinstance(id, str):
            raise NotFoundError(f"there is no fault {id}")
        return self._account.request("GET", f"faults/{quote(id)}", type=FaultStatus)

    def __iter__(self) -> Iterator[FaultStatus]:
        return iter(self._account.request("GET", "faults", type=FaultList).faults)

    def __len__(self) -> int:
        return len(list(iter(self)))


class RemoteClock:
    """The account's clock; see ``ClockInterface``."""

    def __init__(self, account: RemoteAccount) -> None:
        self._account = account

    def now(self) -> float:
        """See ``ClockInterface``."""
        return self._account.request("GET", "clock", type=ClockState).now

    @property
    def is_frozen(self) -> bool:
        """See ``ClockInterface``."""
        return self._account.request("GET", "clock", type=ClockState).is_frozen

    def freeze(self, at: float | datetime | str | None = None) -> None:
        """See ``ClockInterface``."""
        self._account.request("PUT", "clock", {"freeze": True if at is None else at})

    def advance(self, seconds: float) -> None:
        """See ``ClockInterface``."""
        self._account.request("PUT", "clock", {"advance": seconds})

    def run(self) -> None:
        """See ``ClockInterface``."""
        self._account.request("PUT", "clock", {"run": True})


class RemoteDatastore:
    """One data store; see ``DatastoreInterface``."""

    def __init__(self, account: RemoteAccount, datastore_id: str) -> None:
        self._account = account
        self.datastore_id = datastore_id

    @property
    def image_sets(self) -> Iterator[RemoteImageSet]:
        """See ``DatastoreInterface``."""
        path, after = f"datastores/{quote(self.datastore_id)}/imageSets?after=", ""
        while True:
            page = self._account.request("GET", path + quote(after), type=ImageSetList)
            yield from (self.image_set(each.image_set_id) for each in page.image_sets)
            if page.next is None:
                return
            after = page.next

    def image_set(self, image_set_id: str) -> RemoteImageSet:
        """See ``DatastoreInterface``."""
        return RemoteImageSet(self._account, self.datastore_id, image_set_id)

    def add_image_set(self, image_set_id: str, **members: Unpack[NewVersionMembers]) -> RemoteImageSet:
        """See ``DatastoreInterface``."""
        return self._account.add_image_set(self.datastore_id, image_set_id, **members)


class RemoteImageSet:
    """One image set; see ``ImageSetInterface``."""

    def __init__(self, account: RemoteAccount, datastore_id: str, image_set_id: str) -> None:
        self._account = account
        self.datastore_id, self.image_set_id = datastore_id, image_set_id
        self._path = f"datastores/{quote(datastore_id)}/imageSets/{quote(image_set_id)}"

    @property
    def state(self) -> ImageSetState:
        """See ``ImageSetInterface``."""
        return self._account.request("GET", self._path, type=ImageSetSummary).latest.image_set_state

    @property
    def versions(self) -> tuple[Version, ...]:
        """See ``ImageSetInterface``. The versions come without their metadata."""
        return tuple(self._account.request("GET", f"{self._path}/versions", type=_Versions).versions)

    def metadata(self, version_id: str | None = None) -> dict[str, Any]:
        """See ``ImageSetInterface``."""
        query = "" if version_id is None else f"?versionId={_quote_version(version_id)}"
        return self._account.request("GET", f"{self._path}/metadata{query}", type=dict)

    def append(self, *, after: float = 0.0, **members: Unpack[NewVersionMembers]) -> Version | None:
        """See ``ImageSetInterface``."""
        body = _make(NewVersion, {"after": after, **members})
        return self._account.request("POST", f"{self._path}/versions", body, type=Version | None)  # type: ignore[arg-type]

    def replace(self, version_id: str, *, after: float = 0.0, **members: Unpack[VersionMembers]) -> Version | None:
        """See ``ImageSetInterface``."""
        path = f"{self._path}/versions/{_quote_version(version_id)}"
        body = _make(NewVersion, {"after": after, **members})
        return self._account.request("PUT", path, body, type=Version | None)  # type: ignore[arg-type]

    def remove_version(self, version_id: str) -> None:
        """See ``ImageSetInterface``."""
        self._account.request("DELETE", f"{self._path}/versions/{_quote_version(version_id)}")

    def remove(self) -> None:
        """See ``ImageSetInterface``."""
        self._account.request("DELETE", self._path)

    def finish(self) -> None:
        """See ``ImageSetInterface``."""
        self._account.request("POST", f"{self._path}/finish")


def _quote_version(version_id: str) -> str:
    if not isinstance(version_id, str):
        raise invalid("version_id", version_id, "a string of digits")
    return quote(version_id)


class _Versions(msgspec.Struct):
    versions: list[Version]


def _make(type: type[T], members: Mapping[str, Any]) -> T:
    known = [each for each in type.__struct_fields__ if each not in ("image_set_id", "after")]  # type: ignore[attr-defined]
    for name in members.keys() - {*known, "after"}:
        raise InvalidError(f"invalid member {name!r}{suggestion(name, known)}")
    try:
        return type(**members)
    except TypeError as error:
        raise InvalidError(f"invalid version: {error}") from None


for _type in (CallList, ClockState, DatastoreList, ErrorBody, FaultList, ImageSetList, ImageSetSummary, _Versions):
    msgspec.json.Decoder(_type)  # two threads that prepare a type at the same time crash Python (msgspec 0.22)
