"""The certificate of ``serve``, and the file of the authority that clients must trust."""

from __future__ import annotations

import ssl
from pathlib import Path

import click

from ..server.tls import load_certificate, make_self_signed


def make_context(
    cert: str | None, key: str | None, made: str | None, names: list[str]
) -> tuple[ssl.SSLContext | None, Path | None]:
    """Return the context of the server, and the file of the authority that clients must trust."""
    if (cert is None) != (key is None) or (cert is not None and made is not None):
        raise click.UsageError("give --tls-cert and --tls-key, or --tls-self-signed")
    try:
        if cert is not None and key is not None:
            return load_certificate(cert, key), None
        if made is None:
            return None, None
        context, authority = make_self_signed(names)
        Path(made).write_bytes(authority)
        return context, Path(made).absolute()
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(f"no certificate can be made for {', '.join(names)}: {error}") from None
    except ssl.SSLError:
        raise click.ClickException(
            f"TLS: expected {cert} and {key} to be a certificate and its key in PEM, unencrypted"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"TLS: {made if cert is None else f'{cert}, {key}'}: {error.strerror or error}"
        ) from None
