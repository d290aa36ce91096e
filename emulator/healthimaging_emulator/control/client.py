"""An emulator that runs elsewhere, through its control API: what an ``Emulator`` offers, over HTTP."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from healthimaging_emulator.accounts import DEFAULT_ACCOUNT, Part
from healthimaging_emulator.control.endpoints import PREFIX, CallList, ClockState, ErrorBody, RuleList, Version
from healthimaging_emulator.faults.engine import RuleStatus
from healthimaging_emulator.faults.fault import Rule
from healthimaging_emulator.healthimaging.shapes import ImageSetProperties
from healthimaging_emulator.journal import Journal
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.loader import Seed, SeedDocument, SeedVersion
from healthimaging_emulator.seeds.reader import SeedError, decode
from healthimaging_emulator.transports import environment

TIMEOUT = 60.0
"""Seconds for an answer: a large seed takes some."""

T = TypeVar("T")


class ControlError(ValueError):
    """A refusal of the control API: its code, the message, and the path to the mistake."""

    def __init__(self, code: str, message: str, path: str | None = None) -> None:
        self.code, self.message, self.path = code, message, path
        super().__init__(code, message, path)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.message) if part)


class Remote:
    """One account of an emulator at a URL.

    What is asked of it raises ``ControlError`` where the emulator refuses, and ``OSError`` where there is none. Over
    https the authorities to trust are those of the file that ``AWS_CA_BUNDLE`` names, as for boto3, or the system's.
    """

    def __init__(self, url: str, account: str = DEFAULT_ACCOUNT, *, control_token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is not the URL of an emulator, such as http://127.0.0.1:4580")
        self.url = url.rstrip("/")
        self.account = account
        self.faults = RemoteFaults(self)
        self.clock = RemoteClock(self)
        self._headers: dict[str, str | bytes] = {"x-emulator-account": account, "Content-Type": "application/json"}
        if control_token:
            self._headers["x-emulator-token"] = control_token.encode()

    @property
    def environment(self) -> dict[str, str]:
        """The variables to add to this process's, so that SDKs find this account; see ``environment.variables``."""
        return environment.variables(self.url, self.account)

    @property
    def calls(self) -> Journal:
        """The journal as it is now, oldest call first."""
        fetched = self.ask("GET", "calls", type=CallList)
        return Journal(fetched.calls, fetched.dropped)

    def reset(self, *only: Part) -> None:
        """Return the account to its seed, whole or in some parts."""
        self.ask("POST", "reset", {"only": only} if only else {})

    def seed(self) -> bytes:
        """Return what the account sees, as a seed in JSON."""
        content = bytes(self.ask("GET", "seed", type=msgspec.Raw))
        try:
            decode(content, SeedDocument)
        except SeedError as error:
            raise ControlError("BadRequest", f"{self.url} is not an emulator: {error}") from None
        return content

    def put_seed(self, *sources: str | Path | Mapping[str, Any]) -> None:
        """Begin again with another seed, to which a reset returns from now on: files, folders, or documents."""
        self.put(seeds.load(*sources))

    def put(self, seed: Seed) -> None:
        """Begin again with a seed that is loaded."""
        self.ask("PUT", "seed", msgspec.Raw(seeds.dump(seed.baseline, seed.faults)))

    def forget(self) -> None:
        """Drop the account; asked for again, it begins with the seed of the start."""
        self.ask("DELETE", "account")

    def image_set(self, datastore_id: str, image_set_id: str) -> RemoteImageSet:
        """Return a handle to read and change an image set."""
        return RemoteImageSet(self, datastore_id, image_set_id)

    def add_image_set(self, datastore_id: str, image_set_id: str, **members: Any) -> RemoteImageSet:
        """Add an image set with its version 1, and return a handle; see ``Emulator.add_image_set``."""
        given: dict[str, Any] = {
            "version_id": "1",
            "image_set_state": "ACTIVE",
            "image_set_workflow_status": "CREATED",
            "created_at": self.clock.now(),
        }
        image_set = {"imageSetId": image_set_id, "versions": [SeedVersion(**given | members)]}
        self.ask("POST", "seed", {"datastores": [{"datastoreId": datastore_id, "imageSets": [image_set]}]})
        return self.image_set(datastore_id, image_set_id)

    def ask(self, method: str, path: str, body: Any = None, *, type: type[T] = object) -> T:  # type: ignore[assignment]
        """Send a request to the control API, and return its answer as a type."""
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
        if parts.scheme == "https":
            bundle = os.environ.get("AWS_CA_BUNDLE")
            if bundle and not Path(bundle).exists():
                raise FileNotFoundError(errno.ENOENT, f"there is no {bundle}, which AWS_CA_BUNDLE names")
            context = ssl.create_default_context(cafile=bundle)
            connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT, context=context)
        try:
            content = None if body is None else msgspec.json.encode(body)
            connection.request(method, parts.path + PREFIX + path, content, self._headers)
            with connection.getresponse() as response:
                answered = response.read()
        except (HTTPException, UnicodeError) as error:
            raise ControlError("BadRequest", f"{self.url} does not speak HTTP: {error!r}") from None
        finally:
            connection.close()
        try:
            if response.status >= 400:
                refusal = msgspec.json.decode(answered, type=ErrorBody).error
                raise ControlError(refusal.code, refusal.message, refusal.path)
            return msgspec.json.decode(answered or b"null", type=type)
        except msgspec.DecodeError:
            raise ControlError("BadRequest", f"{self.url} is not an emulator: it answered {response.status}") from None


class RemoteFaults:
    """The account's fault rules."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def add(self, *rules: Rule | Mapping[str, Any]) -> list[RuleStatus]:
        """Arm rules behind those that there are, all or none, and return them with their ids."""
        return self._remote.ask("POST", "faults", rules, type=RuleList).faults

    def remove(self, id: str) -> None:
        """Disarm a rule, and end the stalls and delays that it causes."""
        self._remote.ask("DELETE", f"faults/{quote(id)}")

    def clear(self) -> None:
        """Disarm all rules."""
        self._remote.ask("DELETE", "faults")

    def __getitem__(self, id: str) -> RuleStatus:
        return self._remote.ask("GET", f"faults/{quote(id)}", type=RuleStatus)

    def __iter__(self) -> Iterator[RuleStatus]:
        return iter(self._remote.ask("GET", "faults", type=RuleList).faults)

    def __len__(self) -> int:
        return len(list(iter(self)))


class RemoteClock:
    """The account's clock; see ``Clock``."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self._remote.ask("GET", "clock", type=ClockState).now

    @property
    def is_frozen(self) -> bool:
        """Whether time stands still."""
        return self._remote.ask("GET", "clock", type=ClockState).is_frozen

    def freeze(self, at: float | datetime | str | None = None) -> None:
        """Stand still, at a time or where the clock is."""
        self._remote.ask("PUT", "clock", {"freeze": True if at is None else at})

    def advance(self, seconds: float) -> None:
        """Move on, standing or running."""
        self._remote.ask("PUT", "clock", {"advance": seconds})

    def run(self) -> None:
        """Run on from where the clock stands."""
        self._remote.ask("PUT", "clock", {"run": True})


class RemoteImageSet:
    """One image set; see ``ImageSet``."""

    def __init__(self, remote: Remote, datastore_id: str, image_set_id: str) -> None:
        self._remote = remote
        self._ids = datastore_id, image_set_id
        self._path = f"datastores/{quote(datastore_id)}/imageSets/{quote(image_set_id)}/versions"

    @property
    def versions(self) -> tuple[ImageSetProperties, ...]:
        """All versions, newest first. Raises ``LookupError`` where there is no such image set."""
        datastore_id, image_set_id = self._ids
        baseline = seeds.build([(self._remote.url, decode(self._remote.seed(), SeedDocument))]).baseline
        return baseline[datastore_id][image_set_id][::-1]

    def append(self, *, after: float = 0.0, **members: Any) -> None:
        """Add the next version, now or in ``after`` seconds of the account's clock."""
        self._remote.ask("POST", self._path, Version(after=after, **members))

    def replace(self, version_id: str, *, after: float = 0.0, **members: Any) -> None:
        """Put another version in the place of one, whole."""
        path = f"{self._path}/{quote(version_id)}"
        self._remote.ask("PUT", path, Version(after=after, **members))
