"""Access control for the control API: require the token if one is set, otherwise reject cross-site requests.

A browser sends any request that a page asks for, also to this machine. But a page cannot forge ``Origin`` and ``Host``,
and before it sends a content type that forms cannot have, the browser asks the server.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ForbiddenError, InvalidError

if TYPE_CHECKING:
    from flask import Request


class AccessPolicy(NamedTuple):
    """Require the ``token`` if there is one; otherwise admit ``hosts`` and ``origins`` besides those of loopback."""

    token: str | None = None
    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, request: Request) -> None:
        """Raise ``ForbiddenError`` for a caller that is not admitted, ``InvalidError`` for a body a form might send."""
        if self.token is not None:
            given = request.headers.get("x-emulator-token", "")
            if not hmac.compare_digest(given.encode("latin-1"), self.token.encode()):
                raise ForbiddenError("the header x-emulator-token is missing or wrong")
            return
        host, origin = request.headers.get("Host", "localhost"), request.headers.get("Origin")
        name = _without_port(host)
        if not (is_loopback(name) or name in {each.lower() for each in self.hosts}):
            raise ForbiddenError(
                f"host {name} is not loopback: add it to control_hosts, or set a control_token and send it"
            )
        same_site = (f"http://{host}", f"https://{host}")
        origins = {each.lower() for each in self.origins}
        if origin is not None and origin not in (*same_site, *origins) and "*" not in origins:
            raise ForbiddenError(f"origin {origin} is not allowed: add it to cors_origins")
        has_body = request.content_length or "Transfer-Encoding" in request.headers
        if has_body and request.mimetype != "application/json":
            raise InvalidError("the body must be JSON: send the header Content-Type: application/json")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        address = ip_address(host)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost"


def _without_port(host: str) -> str:
    found = re.fullmatch(r"\[(.*)\](?::[0-9]*)?|([^:]*)(?::[0-9]*)?", host, re.DOTALL)
    return ((found[1] or found[2] or "") if found else host).lower()
