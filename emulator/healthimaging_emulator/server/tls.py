"""Certificates for a server that speaks TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from ..errors import requires_extra


def load_certificate(certificate: str | Path, key: str | Path) -> ssl.SSLContext:
    """Load a certificate, its chain behind it, and its private key from PEM files. Raises ``OSError``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key, password=b"")  # or OpenSSL would ask for one on the terminal
    return context


def make_self_signed(hosts: Iterable[str] = ()) -> tuple[ssl.SSLContext, bytes]:
    """Make a certificate for loopback and ``hosts``. Also returns the authority that clients must trust, in PEM.

    The certificate covers each name with the host prefix of the operations too (``runtime-localhost``). Raises
    ``ImportError`` if the extra ``tls`` is not installed.
    """
    with requires_extra("tls"):
        import trustme

    hosts = {"localhost", "127.0.0.1", "::1", *hosts}
    names = {host for host in hosts if not _is_address(host)}
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    prefixed = (f"runtime-{name}" for name in names)
    authority.issue_cert(*sorted({*hosts, *prefixed})).configure_cert(context)
    return context, authority.cert_pem.bytes()


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False
