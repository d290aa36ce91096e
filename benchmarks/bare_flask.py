"""The least that Flask can do on the emulator's own server: one route and one constant page. Serves until killed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from flask import Flask, Response

from healthimaging_emulator.server.listener import Server

app = Flask(__name__)
PAGE = Path(sys.argv[1]).read_bytes()


@app.post("/datastore/<datastore>/imageSet/<image_set>/listImageSetVersions")
def page(datastore: str, image_set: str) -> Response:  # noqa: ARG001  # the route's
    return Response(PAGE, content_type="application/json")


Server(app, "127.0.0.1", int(sys.argv[2]))
signal.pause()
