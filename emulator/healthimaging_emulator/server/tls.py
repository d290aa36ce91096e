"""What a server needs to be reached over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path


def loaded(certificate: str | Path, key: str | Path) -> ssl.SSLContext:
    """Use a certificate, with those that lead to its authority, and its key: files in PEM. Raises ``OSError``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key, password=b"")  # or OpenSSL would ask for one on the terminal
    return context


def self_signed(hosts: Iterable[str] = ()) -> tuple[ssl.SSLContext, bytes]:
    """Make a certificate for loopback and ``hosts``, and return also the authority for clients to trust, in PEM.

    Of a name there is one with the operations' host prefix too. Raises ``ImportError`` without the extra ``tls``.
    """
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
