"""Flask with the control API, and the service mounted around it.

The service's requests bypass Flask's dispatch, which would route by the decoded path, redirect, and answer 405 and
OPTIONS by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, Flask
from werkzeug.routing import Map

from ..pipeline import Pipeline
from ..settings import Settings
from .targets import CONTROL_PREFIX
from .wsgi import make_service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _Application(Flask):
    url_map_class = staticmethod(partial(Map, merge_slashes=False))  # type: ignore[assignment]  # takes a path as it is


def create_app(pipeline: Pipeline, blueprints: Sequence[Blueprint], settings: Settings) -> Flask:
    """Make the application of an emulator: the service, and blueprints under the prefix of the control API."""
    app = _Application("healthimaging_emulator", static_folder=None)
    app.wsgi_app = make_service(_Control(app, blueprints), pipeline, settings)  # type: ignore[method-assign,assignment]  # as Flask documents it
    return app


class _Control:
    """Flask with the control API, whose routes are added at the first request: compiling them takes milliseconds."""

    def __init__(self, app: Flask, blueprints: Sequence[Blueprint]) -> None:
        self._app = app
        self._wsgi_app = app.wsgi_app
        self._blueprints = list(blueprints)
        self._adding = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._adding:
            while self._blueprints:
                self._app.register_blueprint(self._blueprints.pop(), url_prefix=CONTROL_PREFIX)
        return _collect(self._wsgi_app(environ, start_response))


def _collect(chunks: Iterable[bytes]) -> list[bytes]:
    """Return the body of an answer in at least one chunk: hypercorn answers 500 if there is none."""
    try:
        return list(chunks) or [b""]
    finally:
        getattr(chunks, "close", lambda: None)()
