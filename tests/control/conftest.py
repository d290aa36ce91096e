"""A control API without a socket, and short ways to ask it and the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.connection import ServedExchange
from healthimaging_emulator.transports.targets import EXCHANGE_KEY
from tests.demo import DATASTORE, SAMPLE, path

Ask = Callable[..., Any]
VERSIONS = f"/datastores/{DATASTORE}/imageSets/{SAMPLE}/versions"
THROTTLE = {"error": {"code": "ThrottlingException"}}
NO_EFFECT = "a fault needs an effect: error, rateLimit, pagination, corrupt, connection, workflow, respond, latency"
ACTIVE = {"imageSetState": "ACTIVE"}
A, B = "111111111111", "222222222222"


@pytest.fixture
def ask(emulator: Emulator) -> Ask:
    return asking(emulator)


def asking(emulator: Emulator) -> Ask:
    """Return a function that sends a control request and returns the answer, or the status and the body of an error."""
    client = emulator.app.test_client()

    def ask(method: str, path: str, body: Any = None, *, account: str | None = None, **headers: str) -> Any:
        sent = {"Content-Type": "application/json"} | headers | ({"x-emulator-account": account} if account else {})
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        served = {EXCHANGE_KEY: ServedExchange()}  # as the emulator's own server does
        response = client.open(f"/_emulator{path}", method=method, data=data, headers=sent, environ_overrides=served)
        if response.status_code >= 400:
            return response.status_code, response.json["error"]  # type: ignore[index]
        return response.json if response.data else None

    return ask


def newest(emulator: Emulator, account: str = "000000000000", image_set_id: str = SAMPLE) -> dict[str, Any]:
    client = emulator.client(aws_access_key_id=account)
    page = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return dict(page["imageSetPropertiesList"][0])


def throttled(emulator: Emulator, account: str = "000000000000") -> bool:
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={account}/x"}
    response: TestResponse = emulator.app.test_client().post(path(), headers=headers)
    return response.status_code == 429
