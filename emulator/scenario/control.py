"""The emulator's own API over HTTP, under ``/_emulator``, a prefix that cannot be a path of the service."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("control", __name__, url_prefix="/_emulator")


@blueprint.get("/health", provide_automatic_options=False)
def health() -> dict[str, str]:
    """Say that the emulator is ready: it listens only when every seed is loaded."""
    return {"status": "ready"}
