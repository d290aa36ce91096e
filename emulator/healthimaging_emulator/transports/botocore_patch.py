"""Patches of botocore for the whole process: clients reach an emulator, or at least never AWS.

A patch is on a stack while its ``with`` lasts, and the one patched last answers. ``_patches`` is a tuple that is
replaced whole under ``_lock``, so that client threads read it without the lock. botocore itself is changed when the
first patch begins, and restored when the last one ends.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.credentials import RefreshableCredentials
from botocore.endpoint import Endpoint
from botocore.session import Session
from botocore.signers import RequestSigner

from ..healthimaging.messages import SERVICE
from .boto3_transport import Boto3Transport, EndpointEvents, Handle
from .environment import DUMMY_CREDENTIALS

if TYPE_CHECKING:
    from botocore.client import BaseClient

AWS_HOST = re.compile(r"\.(amazonaws\.com(\.cn)?|api\.aws)$")

_OPTIONS = (*DUMMY_CREDENTIALS, "aws_session_token")

_lock = threading.Lock()
_patches: tuple[Boto3Transport | None, ...] = ()  # None answers nothing, and only forbids AWS
_restoring = ExitStack()


def patch_clients(
    handle: Handle, *, backoff: bool = True, defaults: Mapping[str, Any] | None = None
) -> AbstractContextManager[None]:
    """Let all ``medical-imaging`` clients of boto3 in this process reach an emulator, also those made before.

    Clients that ``make_client`` made stay with their own emulator. Clients of other services are not touched.
    ``defaults`` are options of new clients, used where they have none.
    """
    return _patch(Boto3Transport(handle, backoff=backoff, defaults=defaults))


def forbid_aws() -> AbstractContextManager[None]:
    """Raise ``RuntimeError`` for requests of this service to AWS, for example from a client that was made too early."""
    return _patch(None)


@contextmanager
def _patch(transport: Boto3Transport | None) -> Iterator[None]:
    global _patches  # noqa: PLW0603  # the whole process shares botocore, so it shares this state too
    with _lock:
        if not _patches:
            for owner, name, replacement in _REPLACEMENTS:
                original = getattr(owner, name)
                _restoring.callback(setattr, owner, name, original)
                setattr(owner, name, replacement(original))
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


def _active_transport() -> Boto3Transport | None:
    return next((transport for transport in reversed(_patches) if transport), None)


def _replace_make_request(original: Callable[..., Any]) -> Callable[..., Any]:
    """Send all attempts of one call to the same emulator, even if the patch ends meanwhile."""

    def make_request(endpoint: Endpoint, operation_model: Any, request_dict: dict[str, Any]) -> Any:
        if endpoint._endpoint_prefix != SERVICE or isinstance(endpoint._event_emitter, EndpointEvents):
            return original(endpoint, operation_model, request_dict)
        transport, host = _active_transport(), urlsplit(request_dict["url"]).hostname or ""
        if transport is None:
            if _patches and AWS_HOST.search(host):
                raise RuntimeError(
                    f"a client would have reached {host}: it was made before the test set its environment"
                )
            return original(endpoint, operation_model, request_dict)
        if type(endpoint)._send_request is not Endpoint._send_request:
            other = type(endpoint).__module__.partition(".")[0]
            raise RuntimeError(f"patch() answers boto3 only; for {other} use serve() or healthimaging_server")
        return original(transport.attach(endpoint), operation_model, request_dict)

    return make_request


def _replace_create_client(original: Callable[..., BaseClient]) -> Callable[..., BaseClient]:
    """Set the region and credentials of a new client, so that botocore searches no files and no network for them."""

    def create_client(session: Any, service_name: str, *args: Any, **options: Any) -> BaseClient:
        transport = _active_transport()
        if service_name == SERVICE and not args and transport:
            config_region = getattr(options.get("config"), "region_name", None)
            if not (options.get("region_name") or config_region or session.get_config_variable("region")):
                options["region_name"] = transport.defaults["region_name"]
            if not any(options.get(name) for name in DUMMY_CREDENTIALS):
                options |= _find_credentials(session, transport.defaults)
        return original(session, service_name, *args, **options)

    return create_client


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
    (Session, "create_client", _replace_create_client),
    (RequestSigner, "sign", _replace_sign),
)
