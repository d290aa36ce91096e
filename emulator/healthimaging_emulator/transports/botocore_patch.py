"""Patches of botocore for the whole process: clients reach an emulator, or at least never AWS.

A patch is on a stack while its ``with`` lasts, and the one patched last answers. ``_patches`` is a tuple that is
replaced whole under ``_lock``, so that client threads read it without the lock. botocore itself is changed when the
first patch begins, and restored when the last one ends.
"""

from __future__ import annotations

import copy
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.credentials import RefreshableCredentials
from botocore.endpoint import Endpoint
from botocore.exceptions import ProfileNotFound
from botocore.session import Session
from botocore.signers import RequestSigner

from ..credentials import DEFAULT_REGION
from ..healthimaging.messages import SERVICE
from .aiobotocore_transport import AsyncEventsWithoutBackoff, attach, is_async
from .boto3_transport import Boto3Transport, EndpointEvents, EventsWithoutBackoff, Handle
from .environment import DUMMY_CREDENTIALS

if TYPE_CHECKING:
    from botocore.client import BaseClient

AWS_HOST = re.compile(r"\.(amazonaws\.com(\.cn)?|api\.aws|invalid)$")

ENDPOINT = "AWS_ENDPOINT_URL_MEDICAL_IMAGING"

_OPTIONS = (*DUMMY_CREDENTIALS, "aws_session_token")

_lock = threading.Lock()
_patches: tuple[Boto3Transport | Guard, ...] = ()
_skipping = 0
_restoring = ExitStack()


def patch_clients(
    handle: Handle, *, backoff: bool = True, defaults: Mapping[str, Any] | None = None
) -> AbstractContextManager[None]:
    """Let all ``medical-imaging`` clients of boto3 in this process reach an emulator, also those made before.

    Clients that ``make_client`` made stay with their own emulator. Clients of other services are not touched.
    ``defaults`` are options of new clients, used where they have none.
    """
    return _patch(Boto3Transport(handle, backoff=backoff, defaults=defaults))


def forbid_aws(
    explain: Callable[[], str], *, defaults: Mapping[str, Any] | None = None
) -> AbstractContextManager[None]:
    """Raise ``RuntimeError`` for requests of this service to AWS or to nowhere. ``explain`` returns the reason.

    ``defaults`` are options of new clients that neither code nor environment points anywhere.
    """
    return _patch(Guard(explain, defaults))


@contextmanager
def skip_backoff() -> Iterator[None]:
    """Let the clients of this service in this process retry without a pause, whatever server they reach."""
    global _skipping  # noqa: PLW0603  # see ``_patch``
    _skipping += 1
    try:
        yield
    finally:
        _skipping -= 1


class Guard(NamedTuple):
    """A patch that answers nothing, and only keeps requests from AWS."""

    explain: Callable[[], str]
    defaults: Mapping[str, Any] | None


@contextmanager
def _patch(transport: Boto3Transport | Guard) -> Iterator[None]:
    global _patches  # noqa: PLW0603  # the whole process shares botocore, so it shares this state too
    with _lock:
        if not _patches:
            for owner, name, replacement in _REPLACEMENTS:
                _replace(owner, name, replacement)
        _patches += (transport,)
    try:
        yield
    finally:
        with _lock:
            patches = list(_patches)
            patches.remove(transport)
            _patches = tuple(patches)
            if not patches:
                _restoring.close()


def _replace(owner: Any, name: str, replacement: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    _restoring.callback(setattr, owner, name, original)
    setattr(owner, name, replacement(original))


def _active_transport() -> Boto3Transport | None:
    return next((each for each in reversed(_patches) if isinstance(each, Boto3Transport)), None)


def _active_guard() -> Guard | None:
    return next((each for each in reversed(_patches) if isinstance(each, Guard)), None)


def _replace_make_request(original: Callable[..., Any]) -> Callable[..., Any]:
    """Send all attempts of one call to the same emulator, even if the patch ends meanwhile."""

    def make_request(endpoint: Endpoint, operation_model: Any, request_dict: dict[str, Any]) -> Any:
        if endpoint._endpoint_prefix != SERVICE or isinstance(endpoint._event_emitter, EndpointEvents):
            return original(endpoint, operation_model, request_dict)
        transport, host = _active_transport(), urlsplit(request_dict["url"]).hostname or ""
        if transport is None:
            guard = _active_guard()
            if guard is not None and AWS_HOST.search(host):
                raise RuntimeError(f"a request of {SERVICE} would have reached {host}: {guard.explain()}")
            if _skipping:
                hurry = AsyncEventsWithoutBackoff if is_async(endpoint) else EventsWithoutBackoff
                endpoint = copy.copy(endpoint)
                endpoint._event_emitter = hurry(endpoint._event_emitter)
            return original(endpoint, operation_model, request_dict)
        library = type(endpoint).__module__.partition(".")[0]
        if is_async(endpoint) and library != "aiobotocore":
            raise RuntimeError(f"patch() answers boto3 and aiobotocore; for {library} use serve()")
        attached = attach(endpoint, transport) if is_async(endpoint) else transport.attach(endpoint)
        return original(attached, operation_model, request_dict)

    return make_request


def _replace_init(original: Callable[..., None]) -> Callable[..., None]:
    """Notice the first session of aiobotocore, whose way to make a client is its own."""

    def init(session: Any, *args: Any, **options: Any) -> None:
        original(session, *args, **options)
        with _lock:
            made = type(session).create_client
            if _patches and made.__module__.startswith("aiobotocore."):
                owner = next(each for each in type(session).__mro__ if "create_client" in vars(each))
                _replace(owner, "create_client", _replace_create_client)

    return init


def _replace_create_client(original: Callable[..., BaseClient]) -> Callable[..., BaseClient]:
    """Set the region and credentials of a new client, so that botocore searches no files and no network for them."""

    def create_client(session: Any, service_name: str, *args: Any, **options: Any) -> BaseClient:
        transport, guard = _active_transport(), _active_guard()
        if service_name == SERVICE and not args and transport:
            config_region = getattr(options.get("config"), "region_name", None)
            if not (options.get("region_name") or config_region or session.get_config_variable("region")):
                options["region_name"] = transport.defaults["region_name"]
            if not any(options.get(name) for name in DUMMY_CREDENTIALS):
                options |= _find_credentials(session, transport.defaults)
        elif service_name == SERVICE and not args and guard and guard.defaults and ENDPOINT not in os.environ:
            # the test has cleared the environment that its fixture had set
            given = {name: value for name, value in options.items() if value is not None}
            options = {"region_name": DEFAULT_REGION, **guard.defaults, **given}
        return original(session, service_name, *args, **options)

    return create_client


def _replace_get_scoped_config(original: Callable[..., Any]) -> Callable[..., Any]:
    """Take a profile that this machine does not have for an empty one: nothing that it could say is asked for."""

    def get_scoped_config(session: Any) -> Any:
        try:
            return original(session)
        except ProfileNotFound:
            if _active_transport() or any(isinstance(each, Guard) and each.defaults for each in _patches):
                return {}
            raise

    return get_scoped_config


def _find_credentials(session: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the credentials that code or environment set, otherwise the default ones."""
    given = session._credentials
    if given and not isinstance(given, RefreshableCredentials):  # those would be refreshed over the network
        return dict(zip(_OPTIONS, (given.access_key, given.secret_key, given.token), strict=True))
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        return {name: defaults.get(name) for name in _OPTIONS}
    return {name: os.environ.get(name.upper()) or DUMMY_CREDENTIALS.get(name) for name in _OPTIONS}


def _replace_sign(original: Callable[..., None]) -> Callable[..., None]:
    """Do not sign for a client that was made before the patch, without credentials or with ones to be refreshed."""

    def sign(signer: RequestSigner, *args: Any, **options: Any) -> None:
        is_ready = signer._credentials and not isinstance(signer._credentials, RefreshableCredentials)
        if signer.signing_name != SERVICE or is_ready or not _active_transport():
            original(signer, *args, **options)

    return sign


_REPLACEMENTS: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (Endpoint, "make_request", _replace_make_request),
    (Session, "__init__", _replace_init),
    (Session, "create_client", _replace_create_client),
    (Session, "get_scoped_config", _replace_get_scoped_config),
    (RequestSigner, "sign", _replace_sign),
)
