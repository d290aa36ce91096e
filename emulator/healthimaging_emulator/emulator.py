"""The emulator, as a user sees it: the seed, the settings and the accounts, and the ways to reach them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .accounts import Account, Accounts
from .credentials import DEFAULT_ACCOUNT, check_credentials, pick_credentials
from .errors import NotFoundError, NotOpenError, requires_extra, suggestion
from .handles import DatastoreHandle, ImageSetHandle
from .interfaces import ResetScope
from .pipeline import Pipeline
from .seeds.loader import Seed, find_fixture, load_seed
from .settings import Settings
from .transports.targets import CONTROL_PREFIX, is_control_path
from .transports.wsgi import make_service

if TYPE_CHECKING:
    from ssl import SSLContext

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from botocore.client import BaseClient
    from flask import Flask
    from typing_extensions import Unpack

    from .clock import Clock
    from .faults.engine import Faults
    from .healthimaging.records import NewVersionMembers
    from .journal import JournalSnapshot
    from .server.listener import Server
    from .settings import SettingsOptions


class Emulator:
    """An emulated AWS HealthImaging. Two in one process share nothing.

    ``settings`` are those of ``Settings``. Raises ``InvalidError`` for settings out of range, ``TypeError`` for
    unknown ones, and ``ImportError`` if there are ``credentials`` but not the extra ``sigv4``.
    """

    def __init__(self, seed: Seed, **settings: Unpack[SettingsOptions]) -> None:
        if not isinstance(seed, Seed):
            raise TypeError(f"expected a loaded seed, not {seed!r:.100}: use Emulator.from_seed({seed!r:.100})")
        for name in settings.keys() - Settings.__dataclass_fields__:
            raise TypeError(f"no setting {name!r}{suggestion(name, Settings.__dataclass_fields__)}")
        settings["credentials"] = check_credentials(settings.get("credentials", ()))
        self.settings = Settings(**settings)
        self._accounts = Accounts(seed, self.settings)
        self._pipeline = Pipeline(self._accounts, self.settings)

    @classmethod
    def from_seed(cls, *sources: str | Path | Mapping[str, Any], **settings: Unpack[SettingsOptions]) -> Emulator:
        """Load seeds, merged in order: files, folders of them, or documents; by default the demo.

        Raises ``InvalidError``.
        """
        return cls(load_seed(*(sources or [find_fixture("demo.json")])), **settings)

    @property
    def seed(self) -> Seed:
        """The seed that every account begins with."""
        return self._accounts.seed

    def adopt_unnamed(self) -> None:
        """Let requests to a server belong to the test account that was opened last, unless a test names their account.

        So a client with credentials of its own is seen by the test that runs.
        """
        self._accounts.adopts_unnamed = True

    def replace_seed(self, seed: Seed) -> None:
        """Let every account, also those to come, begin again with another seed."""
        self._accounts.put(seed)

    def account(self, id: str = DEFAULT_ACCOUNT) -> Account:
        """Return an account, which begins with the seed when it is first asked for.

        Clients in this process belong to the account of their access key id from then on; before, they all are the
        default account. Raises ``InvalidError`` for an id that does not have 12 digits, since no client could be that
        account, and ``LimitExceededError`` if there are too many.
        """
        try:
            found = self._accounts.get(id)
        except NotOpenError:
            found = self._accounts.open(id, "a test in this process")
        self._accounts.named.add(id)
        return found

    @property
    def accounts(self) -> list[Account]:
        """All accounts that have been asked for."""
        return self._accounts.all()

    @property
    def faults(self) -> Faults:
        """The faults of the default account."""
        return self.account().faults

    @property
    def calls(self) -> JournalSnapshot:
        """The call journal of the default account as it is now, oldest call first."""
        return self.account().calls

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the default account; see ``AccountInterface.events``."""
        return self.account().events

    @property
    def clock(self) -> Clock:
        """The clock of the default account."""
        return self.account().clock

    def deliver_events(self, timeout: float = 5.0) -> None:
        """Wait until all events so far are posted to the setting ``events_webhook``, or dropped.

        Raises ``TimeoutError`` if that takes more than ``timeout`` seconds.
        """
        webhook = self._accounts.webhook
        if webhook is not None and not webhook.wait(timeout):
            raise TimeoutError(f"events are still to be posted after {timeout} s")

    def reset(self, *only: ResetScope) -> None:
        """Return the default account to its seed, whole or only in some parts."""
        self.account().reset(*only)

    def finish_transitions(self) -> None:
        """End all transitions of the default account now."""
        self.account().finish_transitions()

    @property
    def datastores(self) -> list[DatastoreHandle]:
        """All data stores of the default account."""
        return self.account().datastores

    def datastore(self, datastore_id: str) -> DatastoreHandle:
        """Return a handle to a data store of the default account. Raises ``NotFoundError``."""
        return self.account().datastore(datastore_id)

    def image_set(self, datastore_id: str, image_set_id: str, *, account: str = DEFAULT_ACCOUNT) -> ImageSetHandle:
        """Return a handle to read and change an image set. Raises ``NotFoundError``."""
        return self.account(account).image_set(datastore_id, image_set_id)

    def add_image_set(
        self,
        datastore_id: str,
        image_set_id: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        **members: Unpack[NewVersionMembers],
    ) -> ImageSetHandle:
        """Add an image set with its version 1, and return a handle; see ``AccountInterface.add_image_set``."""
        return self.account(account).add_image_set(datastore_id, image_set_id, **members)

    @cached_property
    def app(self) -> Flask:
        """The WSGI application, for Flask's test client or a server of your own."""
        from .console.routes import make_console_blueprint
        from .control.routes import make_control_blueprint  # imports Flask, which a client in process does not need
        from .transports.flask_app import create_app

        blueprints = [make_control_blueprint(self._accounts, self.settings, CONTROL_PREFIX), make_console_blueprint()]
        return create_app(self._pipeline, blueprints, self.settings)

    def client(self, *, backoff: bool = True, **options: Any) -> BaseClient:
        """Return a boto3 client that reaches this emulator without a socket; ``options`` are boto3's.

        With ``backoff=False`` its retries come at once, and ``Attempt.pause`` says how long it would have waited.
        Raises ``ImportError`` if the extra ``boto3`` is not installed.
        """
        with requires_extra("boto3"):  # which is slow to import
            from .transports.boto3_transport import make_client

        id = options.get("aws_access_key_id")
        if id is not None and re.fullmatch("[0-9]{12}", id):
            self.account(id)
        return make_client(self._pipeline.handle_in_process, backoff=backoff, **(self._client_defaults(id) | options))

    def _client_defaults(self, id: str | None = None) -> dict[str, Any]:
        """Return the options of boto3 that make a client sign as the settings require."""
        from .transports.boto3_transport import credentials_options

        key = pick_credentials(self.settings.credentials, id)
        region = {"region_name": self.settings.region} if self.settings.region else {}
        return region | (credentials_options(key) if key else {})

    def signing_variables(self, account: str | None = None) -> dict[str, str]:
        """Return the variables that make SDKs sign as an account, by default with the first of the credentials.

        There are none if the settings have no credentials. Raises ``NotFoundError`` if the account has none.
        """
        from .transports.environment import signing_variables

        key = pick_credentials(self.settings.credentials, account)
        if self.settings.credentials and key is None:
            raise NotFoundError(f"no credential is that of account {account}")
        return signing_variables(key, self.settings.region)

    @contextmanager
    def patch(self, *, backoff: bool = True) -> Iterator[Emulator]:
        """Let every ``medical-imaging`` client of boto3 in this process reach this emulator, inside a ``with`` block.

        That includes clients that exist already; new ones need neither region nor credentials. If several emulators are
        patched, the last one answers. See ``client`` for ``backoff``.
        Raises ``ImportError`` if the extra ``boto3`` is not installed.
        """
        with requires_extra("boto3"):
            from .transports.botocore_patch import patch_clients

        with patch_clients(self._pipeline.handle_in_process, backoff=backoff, defaults=self._client_defaults()):
            yield self

    def serve(self, host: str = "127.0.0.1", port: int = 0, *, tls: SSLContext | None = None) -> Server:
        """Start a server; a ``with`` block or its ``stop`` ends it. Raises the errors of ``Server``."""
        from .server.listener import Server

        return Server(self._answer, host, port, tls=tls, settings=self.settings, signing=self.signing_variables())

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request to a server. Importing Flask takes a third of the start, so it waits until it is needed."""
        if "app" in self.__dict__ or is_control_path(environ["PATH_INFO"]):
            return self._call_app(environ, start_response)
        return self._service(environ, start_response)

    def _call_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start_response)

    @cached_property
    def _service(self) -> WSGIApplication:
        return make_service(self._call_app, self._pipeline, self.settings)
