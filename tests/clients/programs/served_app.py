"""The application for another server: an emulator at the root and one under a prefix, in WSGI and in ASGI."""

from a2wsgi import WSGIMiddleware
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from healthimaging_emulator import Emulator

wsgi = DispatcherMiddleware(Emulator.from_seed().app, {"/a b": Emulator.from_seed().app})
asgi = WSGIMiddleware(wsgi)
