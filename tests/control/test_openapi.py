"""The documents of the control API, and threads that are the first to read one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE

from .conftest import THROTTLE, Ask

VERSION = {"versionId": "1", "imageSetState": "ACTIVE", "message": "a", "overrides": {"forced": True}}


@pytest.mark.parametrize(
    ("module", "name", "document"),
    [
        ("healthimaging.records", "Version", VERSION),
        ("faults.fault", "Fault", THROTTLE | {"match": {"page": [1]}}),
        ("seeds.document", "SeedDocument", {"datastores": [{"datastoreId": DATASTORE, "imageSets": []}]}),
        ("control.bodies", "NewVersion", VERSION),
        ("control.client", "ClockState", {"now": 0.0, "isFrozen": True}),
        ("control.client", "ErrorBody", {"error": {"code": "Conflict", "message": "m"}}),
    ],
)
def test_threads_may_be_the_first_to_read_a_document(module: str, name: str, document: Any) -> None:
    """Msgspec prepares a type on its first use, and threads that do so at the same time crash Python."""
    program = f"""
import sys, threading
import msgspec
import healthimaging_emulator.control.endpoints
from healthimaging_emulator.{module} import {name}
sys.setswitchinterval(1e-6)
ready = threading.Barrier(16)
def read():
    ready.wait()
    for _ in range(100):
        msgspec.convert({document!r}, {name})
threads = [threading.Thread(target=read) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_openapi_document_is_valid_and_has_every_endpoint(emulator: Emulator, ask: Ask) -> None:
    document = ask("GET", "/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = {
        (method, route.rule.replace("<", "{").replace(">", "}"))
        for route in emulator.app.url_map.iter_rules()
        if not route.endpoint.startswith("console.")
        for method in (route.methods or set()) - {"HEAD"}
    }
    snaked = {
        (method, path.replace("Id}", "_id}").replace("imageSet_", "image_set_").replace("imageFrame_", "image_frame_"))
        for method, path in described
    }
    assert snaked | {("GET", "/_emulator/openapi.json")} == served
    assert {"Fault", "SeedDocument", "Call", "Attempt", "ErrorBody"} <= set(document["components"]["schemas"])
