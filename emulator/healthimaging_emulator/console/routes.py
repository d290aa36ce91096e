"""Serve the files of the console. They hold no data, so that they need no control token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, send_from_directory

FOLDER = Path(__file__).parent / "static"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy: scripts, styles and data come from the emulator alone, and no text becomes a script."""


def make_console_blueprint() -> Blueprint:
    """Make Flask's routes to the page and its files."""
    blueprint = Blueprint("console", __name__)
    options: dict[str, Any] = {"provide_automatic_options": False, "strict_slashes": True}
    blueprint.add_url_rule("", "enter", lambda: redirect("_emulator/"), **options)
    blueprint.add_url_rule("/", "page", lambda: _send("index.html"), **options)
    blueprint.add_url_rule("/console/<path:name>", "file", _send, **options)
    return blueprint


def _send(name: str) -> Response:
    response = send_from_directory(FOLDER, name)
    del response.headers["Date"]  # the server adds one
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-cache"
    return response
