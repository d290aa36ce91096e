"""Whom the control API listens to: who knows its token, or without one who is no page of somebody else's website.

A browser sends what any page tells it to, also to this machine. It cannot lie about ``Origin`` and ``Host``, and asks
beforehand for a content type that forms cannot have.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import NamedTuple

from flask import Request


class Guard(NamedTuple):
    """Asks for the ``token`` if there is one; else ``hosts`` and ``origins`` are let in besides those of loopback."""

    token: str | None = None
    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, request: Request) -> None:
        """Raise ``PermissionError`` for who is not let in, and ``ValueError`` for a body that a form might send."""
        if self.token is not None:
            given = request.headers.get("x-emulator-token", "")
            if not hmac.compare_digest(given.encode("latin-1"), self.token.encode()):
                raise PermissionError("the header x-emulator-token does not hold the control token")
            return
        host, origin = request.headers.get("Host", "localhost"), request.headers.get("Origin")
        if not (is_loopback(name := _without_port(host)) or name in self.hosts):
            raise PermissionError(f"{name} is not loopback; allow it with --control-host, or use a --control-token")
        own = (f"http://{host}", f"https://{host}")
        if origin is not None and origin not in (*own, *self.origins) and "*" not in self.origins:
            raise PermissionError(f"pages of {origin} have no say here; allow them with --cors-origin")
        has_body = request.content_length or "Transfer-Encoding" in request.headers
        if has_body and request.mimetype != "application/json":
            raise ValueError("a body is JSON, and the header Content-Type says so: application/json")


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
