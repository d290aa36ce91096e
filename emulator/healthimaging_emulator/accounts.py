"""Accounts: each has a store, faults, a journal and a clock of its own, over the seed that all share."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .clock import Clock
from .credentials import DEFAULT_ACCOUNT, DEFAULT_REGION, check_account_id
from .errors import ConflictError, InvalidError, LimitExceededError, NotOpenError
from .faults.engine import Faults
from .handles import DatastoreHandle, ImageSetHandle
from .healthimaging.events import Event
from .healthimaging.imports.job import Imports
from .healthimaging.records import NewVersionMembers
from .healthimaging.store import Store
from .interfaces import RESET_SCOPES, ResetScope
from .journal import MAX_TEXT, Journal, JournalSnapshot
from .objects import ObjectStore, open_objects
from .seeds.loader import Seed, load_seed
from .seeds.writer import write_seed
from .settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .webhook import Webhook

log = logging.getLogger("healthimaging_emulator")


class Account:
    """One AWS account; see ``AccountInterface``."""

    def __init__(
        self,
        id: str,
        seed: Seed,
        settings: Settings,
        objects: ObjectStore | None,
        webhook: Webhook | None,
        remove: Callable[[Account], None],
    ) -> None:
        self.id = id
        self.settings = settings
        self.clock = Clock()
        self.store = Store(seed.baseline, self.clock, settings, self._publish if webhook else None)
        self.imports = Imports(self.store, self.clock, objects)
        self.faults = Faults(self.clock, seed.faults, settings)
        self.journal = Journal(self.clock, settings.max_calls)
        self._webhook = webhook
        self._remove = remove
        self._lock = threading.Lock()

    @property
    def calls(self) -> JournalSnapshot:
        """The call journal as it is now, oldest call first."""
        return self.journal.snapshot()

    @property
    def events(self) -> list[dict[str, Any]]:
        """See ``AccountInterface``."""
        return self.list_events()

    def list_events(self, after: str = "") -> list[dict[str, Any]]:
        """Return the events behind the one of an id; all of them if there is none of this id."""
        return [self._to_message(event) for event in self.store.events(after)]

    def _to_message(self, event: Event) -> dict[str, Any]:
        return event.to_message(self.id, self.settings.region or DEFAULT_REGION)

    def _publish(self, event: Event) -> None:
        if self._webhook is not None:
            self._webhook.post(self._to_message(event))

    @property
    def datastores(self) -> list[DatastoreHandle]:
        """All data stores."""
        return [DatastoreHandle(self.store, each.datastore_id) for each in self.store.datastores()]

    def datastore(self, datastore_id: str) -> DatastoreHandle:
        """Return a handle. Raises ``NotFoundError`` if there is no such data store."""
        return DatastoreHandle(self.store, datastore_id)

    def image_set(self, datastore_id: str, image_set_id: str) -> ImageSetHandle:
        """Return a handle. Raises ``NotFoundError`` if there is no such image set."""
        return ImageSetHandle(self.store, datastore_id, image_set_id)

    def add_image_set(
        self, datastore_id: str, image_set_id: str, **members: Unpack[NewVersionMembers]
    ) -> ImageSetHandle:
        """See ``AccountInterface``."""
        self.store.edits.add(datastore_id, image_set_id, members)
        return self.image_set(datastore_id, image_set_id)

    def reset(self, *only: ResetScope) -> None:
        """See ``AccountInterface``."""
        resets: dict[ResetScope, Callable[[], None]] = {
            "clock": self.clock.reset,
            "changes": self.store.reset,
            "faults": self.faults.reset,
            "calls": self.journal.clear,
        }
        for scope in only:
            if scope not in RESET_SCOPES:
                raise InvalidError(f"invalid scope {scope!r}: expected one of {', '.join(RESET_SCOPES)}")
        with self._lock:
            for scope, reset in resets.items():
                if not only or scope in only:
                    reset()

    def put_seed(self, *sources: str | Path | Mapping[str, Any]) -> None:
        """See ``AccountInterface``."""
        self.put(load_seed(*sources))

    def put(self, seed: Seed, *, is_added: bool = True) -> None:
        """Replace the whole state by a seed that is loaded. The limits of an account hold for one that is added."""
        with self._lock:
            self.clock.reset()
            self.store.reset(seed.baseline, is_added=is_added)
            self.faults.reset(seed.faults, is_added=is_added)
            self.journal.clear()

    def merge(self, seed: Seed) -> None:
        """Add a seed's image sets and faults to the changes, all or none. Raises ``ConflictError``."""
        with self._lock:
            self.faults.add_with(lambda: self.store.edits.merge(seed.baseline), *seed.faults)

    def export_seed(self) -> bytes:
        """See ``AccountInterface``."""
        with self._lock:
            return write_seed(self.store.snapshot(), self.faults.without_counts())

    def finish_transitions(self) -> None:
        """See ``AccountInterface``."""
        self.store.finish_all()

    def forget(self) -> None:
        """See ``AccountInterface``."""
        self._remove(self)
        self.faults.clear()
        self.store.reset()  # which drops the import jobs


def _open_webhook(url: str | None) -> Webhook | None:
    if url is None:
        return None
    from .webhook import Webhook  # whose HTTP client an emulator without one need not load

    return Webhook(url)


FIRST_TEST_ACCOUNT = "900000000000"
"""From this id on, accounts are those of tests, which open them."""

MOST_ENDED = 10_000
"""Test accounts whose names are remembered after their test has ended."""

MOST_STRAYS = 100
"""Requests of test accounts that are not open, of which the last ones are kept."""

MOST_WARNINGS = 100
"""Access keys of which a warning is logged."""


class Stray(NamedTuple):
    """A request of a test account that was not open. ``test`` is the name of the test that had it, if one had."""

    account: str
    test: str | None
    method: str
    path: str


class Accounts:
    """All accounts of an emulator, made when they are first asked for; those of tests when they are opened.

    ``named`` are the ids that a test has used, in this process or through the control API. In this process, requests
    of all others belong to the default account; with ``adopts_unnamed``, those to a server belong to the test account
    that was opened last. ``generation`` tells this emulator from the next one at the same address.
    """

    def __init__(self, seed: Seed, settings: Settings) -> None:
        self.seed = seed
        self.generation = secrets.token_hex(8)
        self.named: set[str] = set()
        self.adopts_unnamed = False
        self.strays: deque[Stray] = deque(maxlen=MOST_STRAYS)
        self._open: dict[str, str] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._doubtful_keys: set[str] = set()
        self._settings = settings
        self._objects = open_objects(settings.s3)
        self.webhook = _open_webhook(settings.events_webhook)
        self._accounts: dict[str, Account] = {}
        self._creating = threading.Lock()

    def get(self, id: str = DEFAULT_ACCOUNT) -> Account:
        """Return an account, which begins with the seed.

        Raises ``InvalidError`` for an id that does not have 12 digits, ``NotOpenError`` for a test account that is not
        open, and ``LimitExceededError`` for too many.
        """
        found = self._accounts.get(id)
        if found:
            return found
        check_account_id(id)
        if id >= FIRST_TEST_ACCOUNT and id not in self._open:
            raise NotOpenError(self._explain_not_open(id))
        return self._create(id)

    def find_in_process(self, id: str) -> Account:
        """Return the account of a request of this process. Raises as ``get`` does."""
        return self.get(id if id in self.named else DEFAULT_ACCOUNT)

    def find_served(self, id: str) -> Account:
        """Return the account of a request to a server. Raises as ``get`` does."""
        if self.adopts_unnamed and id < FIRST_TEST_ACCOUNT and id not in self.named:
            id = [id, *self._open][-1]  # a copy, as others open accounts
        return self.get(id)

    def open(self, id: str, name: str) -> Account:
        """Open a test account under the name of its test. It begins with the seed, and is open until it is removed.

        Raises ``InvalidError`` for the id of no test account, and ``ConflictError`` for one that is open.
        """
        check_account_id(id)
        if id < FIRST_TEST_ACCOUNT:
            raise InvalidError(f"invalid test account {id!r}: expected an id from {FIRST_TEST_ACCOUNT} on")
        if self._open.setdefault(id, name) is not name:
            raise ConflictError(f"account {id} is open already, for {self._open[id]}")
        try:
            account = self._create(id)
        except LimitExceededError:
            del self._open[id]
            raise
        self._ended.pop(id, None)
        return account

    def note_stray(self, id: str, method: str, path: str) -> None:
        """Note a request of a test account that is not open."""
        self.strays.append(Stray(id, self._ended.get(id), method[:MAX_TEXT], path[:MAX_TEXT]))

    def warn_of_key(self, key: str) -> None:
        """Log, once, that an access key is not the account id that it seems to be."""
        if key not in self._doubtful_keys and len(self._doubtful_keys) < MOST_WARNINGS:
            self._doubtful_keys.add(key)
            log.warning("invalid account id %r: expected 12 digits; this access key selects no account of its own", key)

    def _explain_not_open(self, id: str) -> str:
        if id not in self._ended:
            return f"Account {id} is a test account, and no test has opened it: PUT /_emulator/accounts/{id}"
        return (
            f"Account {id} is that of {self._ended[id]}, which has ended. A client that is kept in a global, in an "
            "lru_cache, in a session or in a forkserver still signs as that account: make it inside each test."
        )

    def _create(self, id: str) -> Account:
        with self._creating:
            if id not in self._accounts:
                self._settings.check_limit("accounts", len({*self._accounts, DEFAULT_ACCOUNT, id}))
                self._accounts[id] = Account(id, self.seed, self._settings, self._objects, self.webhook, self._remove)
            return self._accounts[id]

    def put(self, seed: Seed) -> None:
        """Let every account, also those to come, begin again with another seed."""
        with self._creating:  # so that no account is made with the old seed after this
            self.seed = seed
            for account in self._accounts.values():
                account.put(seed, is_added=False)

    def test_of(self, id: str) -> str | None:
        """Return the name of the test that has an account open, or None."""
        return self._open.get(id)

    def all(self) -> list[Account]:
        """Return all accounts that have been asked for."""
        return [*self._accounts.values()]

    def _remove(self, account: Account) -> None:
        with self._creating:
            if self._accounts.get(account.id) is account:
                del self._accounts[account.id]
            name = self._open.pop(account.id, None)
            if name is not None:
                self._ended[account.id] = name
                while len(self._ended) > MOST_ENDED:
                    self._ended.popitem(last=False)
