"""Everything private of botocore that the emulator relies on, in one place, and checked when it is imported."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import botocore
from botocore.auth import _host_from_url
from botocore.awsrequest import HeadersDict
from botocore.endpoint import Endpoint
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.signers import RequestSigner

Responses = list[tuple[Any, Any]]

ENFORCES_LENGTH = int(
    version("urllib3").partition(".")[0]
) >= 2 and "enforce_content_length=False" not in inspect.getsource(URLLib3Session.send)
"""Whether this botocore raises an error for a body shorter than its Content-Length; others ignore it."""


def check_botocore() -> None:
    """Raise ``ImportError`` if this botocore lacks something that the emulator relies on."""
    wanted = {
        "Endpoint.make_request": getattr(Endpoint, "make_request", None),
        "Endpoint._send_request": getattr(Endpoint, "_send_request", None),
        "Session.create_client": getattr(Session, "create_client", None),
        "Session.get_scoped_config": getattr(Session, "get_scoped_config", None),
        "RequestSigner.sign": getattr(RequestSigner, "sign", None),
        "HeadersDict._dict": getattr(getattr(HeadersDict(), "_dict", None), "items", None),
    }
    missing = [name for name, found in wanted.items() if not callable(found)]
    if missing:
        raise ImportError(
            f"botocore {botocore.__version__} has no {', '.join(missing)}: this version is not supported yet; "
            "serve() needs none of it"
        )


@functools.lru_cache(maxsize=128)
def host_header(origin: str) -> str:
    """Return the Host header that botocore signs for a URL, of which the scheme and the host are enough."""
    return str(_host_from_url(origin))


def lower_names(headers: HeadersDict) -> Mapping[str, Any]:
    """Return headers under their names in lower case. Asking botocore's mapping for each would take much longer."""
    return {str(name).lower(): value for name, value in headers._dict.items()}


def read_timeout(endpoint: Endpoint) -> float | None:
    """Return how many seconds an endpoint waits for an answer."""
    timeout = getattr(endpoint.http_session, "_timeout", None)
    names = ("read_timeout", "sock_read", "read")  # of urllib3's, aiohttp's and httpx's
    seconds = next((getattr(timeout, name) for name in names if hasattr(timeout, name)), timeout)
    return float(seconds) if isinstance(seconds, (int, float)) else None


def disable_rate_limiter(responses: Responses) -> None:
    """Disable the rate limiter of the adaptive retry mode: it would sleep again before it sends."""
    for handler, _ in responses:
        limiter: Any = getattr(handler, "__self__", None)
        if type(limiter).__name__.endswith("ClientRateLimiter"):  # botocore's, and those of aiobotocore
            limiter._enabled = False


check_botocore()
