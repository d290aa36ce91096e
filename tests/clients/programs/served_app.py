"""The application for another server: an emulator at the root and one under a prefix, in WSGI and in ASGI."""

from a2wsgi import WSGIMiddleware
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from healthimaging_emulator import Emulator

first, second = (Emulator.from_seed(transition_seconds=None) for _ in range(2))
wsgi = DispatcherMiddleware(first.app, {"/a b": second.app})
asgi = WSGIMiddleware(wsgi)
