"""Emulator: the seed, the accounts and the settings; what a user holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .app import create_app
from .reach.server import Server
from .scenario import seeds
from .service.pagination import Tokens
from .service.shapes import ImageSetProperties
from .service.store import Baseline, Store

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from flask import Flask

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_TOKEN_KEY = "healthimaging-emulator"


class Account:
    """One AWS account: it sees the seed, and has its own changes to it."""

    def __init__(self, id: str, baseline: Baseline) -> None:
        self.id = id
        self.store = Store(baseline, self.now)

    def now(self) -> float:
        """Return the time in epoch seconds, to the millisecond as the service keeps it."""
        return round(time.time(), 3)


class ImageSet:
    """One image set, as one account sees it."""

    def __init__(self, store: Store, datastore_id: str, image_set_id: str) -> None:
        store.history(datastore_id, image_set_id)
        self._store = store
        self._key = datastore_id, image_set_id

    @property
    def versions(self) -> tuple[ImageSetProperties, ...]:
        """All versions, newest first."""
        return self._store.history(*self._key)[::-1]

    def append(self, **members: Any) -> ImageSetProperties:
        """Add the next version; see ``Store.append``."""
        return self._store.append(*self._key, **members)

    def replace(self, version_id: str, **members: Any) -> ImageSetProperties:
        """Put another version in the place of one; see ``Store.replace``."""
        return self._store.replace(*self._key, version_id, **members)


class Emulator:
    """An emulated AWS HealthImaging. Two in one process share nothing.

    ``page_size`` is what a request without ``maxResults`` gets (1 to 50); ``token_key`` seals the tokens, and with
    ``token_lifetime`` in seconds they expire. Raises ``ValueError`` for settings out of range.
    """

    def __init__(
        self,
        baseline: Baseline,
        *,
        page_size: int = 50,
        token_key: str = DEFAULT_TOKEN_KEY,
        token_lifetime: float | None = None,
    ) -> None:
        if not 1 <= page_size <= 50:
            raise ValueError("page_size is from 1 to 50")
        if token_lifetime is not None and not token_lifetime > 0:
            raise ValueError("token_lifetime is a number of seconds above 0")
        self.baseline = baseline
        self.page_size = page_size
        self.tokens = Tokens(token_key, token_lifetime)
        self._accounts: dict[str, Account] = {}

    @classmethod
    def from_seed(cls, *sources: str | Path | Mapping[str, Any], **settings: Any) -> Emulator:
        """Load seeds, merged in order: files, folders of them, or documents. Raises ``seeds.SeedError``."""
        return cls(seeds.load(*sources), **settings)

    def account(self, id: str = DEFAULT_ACCOUNT) -> Account:
        """Return an account by its 12 digits; it begins with the seed when it is first asked for."""
        return self._accounts.get(id) or self._accounts.setdefault(id, Account(id, self.baseline))

    def image_set(self, datastore_id: str, image_set_id: str, *, account: str = DEFAULT_ACCOUNT) -> ImageSet:
        """Return a handle to read and change an image set. Raises ``ResourceNotFoundException``."""
        return ImageSet(self.account(account).store, datastore_id, image_set_id)

    def add_image_set(
        self, datastore_id: str, image_set_id: str, *, account: str = DEFAULT_ACCOUNT, **members: Any
    ) -> ImageSet:
        """Add an image set with its version 1 and return a handle; see ``Store.add``."""
        self.account(account).store.add(datastore_id, image_set_id, **members)
        return self.image_set(datastore_id, image_set_id, account=account)

    @cached_property
    def app(self) -> Flask:
        """The WSGI application, for Flask's test client or a server of one's own."""
        return create_app(self)

    def client(self, **options: Any) -> BaseClient:
        """Return a boto3 client whose requests reach this emulator without a socket; ``options`` are boto3's."""
        from .reach import inprocess  # boto3 costs as much as Flask to import, and is an extra

        return inprocess.client(self.app, **options)

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> Server:
        """Return a server, listening; a context manager that stops it. Raises ``OSError`` if it cannot listen."""
        return Server(self.app, host, port)
