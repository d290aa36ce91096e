"""Emulator: the seed, the accounts and the settings; what a user holds."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthimaging_emulator.accounts import DEFAULT_ACCOUNT, Account, Part
from healthimaging_emulator.aws.credentials import Credentials, checked, choose
from healthimaging_emulator.aws.pagination import Tokens
from healthimaging_emulator.clock import Clock
from healthimaging_emulator.control.access import Guard
from healthimaging_emulator.faults.engine import Faults
from healthimaging_emulator.healthimaging.shapes import ImageSetProperties, is_text
from healthimaging_emulator.healthimaging.store import Store
from healthimaging_emulator.journal import Calls
from healthimaging_emulator.pipeline import create_app
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.loader import Seed
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.settings import Limits
from healthimaging_emulator.transports import environment

if TYPE_CHECKING:
    from ssl import SSLContext

    from botocore.client import BaseClient
    from flask import Flask

    from healthimaging_emulator.aws.sigv4 import Verifier

DEFAULT_TOKEN_KEY = "healthimaging-emulator"


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

    def append(self, *, after: float = 0.0, **members: Any) -> ImageSetProperties | None:
        """Add the next version and return it, or None if it appears only in ``after`` seconds of the account's clock.

        ``members`` are those of ``ImageSetProperties``, of which ``image_set_state`` is needed; left out,
        ``version_id`` is the next number, ``created_at`` the image set's, and ``updated_at`` the time when the version
        appears. Raises ``ValueError`` or ``TypeError`` for members that break AWS's model.
        """
        return self._store.append(*self._key, after=after, **members)

    def replace(self, version_id: str, *, after: float = 0.0, **members: Any) -> ImageSetProperties | None:
        """Put another version in the place of one, whole; nothing of the old one is kept. See ``append``.

        Raises ``LookupError`` where there is no such version.
        """
        return self._store.replace(*self._key, version_id, after=after, **members)


class Emulator:
    """An emulated AWS HealthImaging. Two in one process share nothing.

    ``page_size`` is what a request without ``maxResults`` gets (1 to 50); ``token_key`` seals the tokens, and with
    ``token_lifetime`` in seconds they expire. The control API asks for ``control_token``, or without one is open to
    ``control_hosts`` besides loopback. In a browser, pages from ``cors_origins`` may read the answers:
    ``http://localhost:3000``, say, or ``*``. With ``credentials``, requests must be signed with one of them, in
    ``region`` if that is given; this needs botocore, the extra ``sigv4``. Raises ``ValueError`` for settings out of
    range.
    """

    def __init__(
        self,
        seed: Seed,
        *,
        page_size: int = 50,
        token_key: str = DEFAULT_TOKEN_KEY,
        token_lifetime: float | None = None,
        control_token: str | None = None,
        control_hosts: Collection[str] = (),
        cors_origins: Collection[str] = (),
        credentials: Collection[Credentials] = (),
        region: str | None = None,
        limits: Limits = Limits(),
    ) -> None:
        if not isinstance(page_size, int) or not 1 <= page_size <= 50:
            raise ValueError("page_size is a whole number from 1 to 50")
        if not isinstance(token_key, str) or not (token_key and is_text(token_key)):
            raise ValueError("token_key is a text that is not empty")
        if control_token is not None and not (control_token and is_text(control_token)):
            raise ValueError("control_token is a text that is not empty")
        if token_lifetime is not None and not token_lifetime > 0:
            raise ValueError("token_lifetime is a number of seconds above 0")
        self.cors_origins = tuple(origin.lower() for origin in cors_origins)  # as browsers say them
        for origin in self.cors_origins:
            if not re.fullmatch(r"\*|https?://[^/?#@\s*]+", origin):
                raise ValueError(f"{origin} is no origin, such as http://localhost:3000")
        for host in control_hosts:
            if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+", host):
                raise ValueError(f"{host} is not the name or the address of a host, without a port")
        if region is not None and not re.fullmatch("[a-z0-9-]{1,32}", region):
            raise ValueError(f"{region!r} is no region, such as us-east-1")
        if region is not None and not credentials:
            raise ValueError("a region is only checked where a signature is")
        self.seed = seed
        self.guard = Guard(control_token, [host.lower() for host in control_hosts], self.cors_origins)
        self.page_size = page_size
        self.tokens = Tokens(token_key, token_lifetime)
        self.credentials = checked(credentials)
        self.region = region
        self.verifier = _verifier(self.credentials, region, limits.body)
        self.limits = limits
        self._accounts: dict[str, Account] = {}
        self._creating = threading.Lock()

    @classmethod
    def from_seed(cls, *sources: str | Path | Mapping[str, Any], **settings: Any) -> Emulator:
        """Load seeds, merged in order: files, folders of them, or documents; with none, the demo.

        ``settings`` are those of ``Emulator``. Raises ``SeedError``.
        """
        return cls(seeds.load(*(sources or [seeds.fixture("demo")])), **settings)

    def account(self, id: str = DEFAULT_ACCOUNT) -> Account:
        """Return an account, which begins with the seed when it is first asked for.

        Raises ``ValueError`` for an id that has not 12 digits, since no client could be that account, and
        ``LimitExceeded`` where there are too many already.
        """
        found = self._accounts.get(id)
        if found:
            return found
        if not re.fullmatch("[0-9]{12}", id):
            raise ValueError("an account has 12 digits")
        with self._creating:
            if id not in self._accounts:
                self.limits.check("accounts", len({*self._accounts, DEFAULT_ACCOUNT, id}))
                self._accounts[id] = Account(id, self.seed, self.limits, self._forget)
            return self._accounts[id]

    def _forget(self, account: Account) -> None:
        with self._creating:
            if self._accounts.get(account.id) is account:
                del self._accounts[account.id]

    @property
    def accounts(self) -> list[Account]:
        """All accounts that have been asked for."""
        return list(self._accounts.values())

    @property
    def faults(self) -> Faults:
        """The fault rules of the default account."""
        return self.account().faults

    @property
    def calls(self) -> Calls:
        """What clients of the default account did."""
        return self.account().calls

    @property
    def clock(self) -> Clock:
        """The clock of the default account."""
        return self.account().clock

    def reset(self, *only: Part) -> None:
        """Return the default account to its seed, whole or in some parts: changes, faults, calls, clock."""
        self.account().reset(only or None)

    def image_set(self, datastore_id: str, image_set_id: str, *, account: str = DEFAULT_ACCOUNT) -> ImageSet:
        """Return a handle to read and change an image set. Raises ``errors.ResourceNotFoundException``."""
        return ImageSet(self.account(account).store, datastore_id, image_set_id)

    def add_image_set(
        self, datastore_id: str, image_set_id: str, *, account: str = DEFAULT_ACCOUNT, **members: Any
    ) -> ImageSet:
        """Add an image set with its version 1, and return a handle; ``members`` are those of ``ImageSetProperties``.

        Left out, the version is ACTIVE, CREATED, and created now. Raises ``ValueError`` if the image set is there.
        """
        self.account(account).store.add(datastore_id, image_set_id, **members)
        return self.image_set(datastore_id, image_set_id, account=account)

    @cached_property
    def app(self) -> Flask:
        """The WSGI application, for Flask's test client or a server of one's own."""
        return create_app(self)

    def client(self, *, backoff: bool = True, **options: Any) -> BaseClient:
        """Return a boto3 client whose requests reach this emulator without a socket; ``options`` are boto3's.

        Without ``backoff`` its retries come at once, and ``Attempt.pause`` says how long it would have waited. Raises
        ``ImportError`` where boto3, the extra of that name, is not installed.
        """
        from healthimaging_emulator.transports import (
            boto3_transport as inprocess,  # boto3 costs as much as Flask to import, and is an extra
        )

        options = self._defaults(options.get("aws_access_key_id")) | options
        return inprocess.client(self.app, backoff=backoff, **options)

    def _defaults(self, id: str | None = None) -> dict[str, Any]:
        """Return options of boto3 with which a client signs as this emulator wants it."""
        from healthimaging_emulator.transports import boto3_transport as inprocess

        key = choose(self.credentials, id)
        region = {"region_name": self.region} if self.region else {}
        return region | (inprocess.credentials(key) if key else {})

    def signing(self, account: str | None = None) -> dict[str, str]:
        """Return the variables with which SDKs sign as this emulator wants it: as an account, or as the first who may.

        There are none where any credentials do. Raises ``LookupError`` where nobody may sign as that account.
        """
        key = choose(self.credentials, account)
        if self.credentials and key is None:
            raise LookupError(f"no credential is that of account {account}")
        return environment.signing(key, self.region)

    @contextmanager
    def patch(self, *, backoff: bool = True) -> Iterator[Emulator]:
        """Let every ``medical-imaging`` client of boto3 in this process reach this emulator, within a ``with``.

        Those that exist already, and those that are made inside, which need neither region nor credentials. Of several
        emulators the last one patched answers. See ``client`` for the rest.
        """
        from healthimaging_emulator.transports import boto3_transport as inprocess

        with inprocess.patch(self.app, backoff=backoff, defaults=self._defaults()):
            yield self

    def serve(self, host: str = "127.0.0.1", port: int = 0, *, tls: SSLContext | None = None) -> Server:
        """Return a server, listening; a context manager that stops it. Raises what ``Server`` does."""
        return Server(self.app, host, port, tls=tls, limits=self.limits, signing=self.signing())


def _verifier(credentials: Collection[Credentials], region: str | None, max_body: int) -> Verifier | None:
    if not credentials:
        return None
    from healthimaging_emulator.aws.sigv4 import Verifier  # botocore is an extra

    return Verifier(credentials, region, max_body)
