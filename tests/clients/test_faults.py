"""Errors and spoiled pages, as the AWS CLI and the JavaScript SDK take them. boto3 is in ``tests/faults``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.demo import DATASTORE, MANY
from tests.faults.test_error import ERRORS, RETRIED

from .conftest import Program

Clients = Callable[[str], Program]


def javascript(the: Clients, server: Server, **arguments: Any) -> Any:
    client = {"endpoint": server.url, "disableHostPrefix": True}
    call = {
        "operation": "ListImageSetVersions",
        "arguments": {"datastoreId": DATASTORE, "imageSetId": MANY} | arguments,
        "paginate": True,
    }
    (result,) = the("javascript").do({"client": client, "calls": [call]})["results"]
    return result


def aws_cli(the: Clients, server: Server) -> Any:
    ids = ["--datastore-id", DATASTORE, "--image-set-id", MANY]
    endpoint = ["--endpoint-url", make_endpoint(server.url)]
    # Of its five attempts in legacy mode the last waits for up to eight seconds.
    retries = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "2"}
    return the("aws-cli").run("list-image-set-versions", *ids, *endpoint, environment=retries)


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_in_javascript(the: Clients, emulator: Emulator, server: Server, code: str) -> None:
    emulator.faults.add(Fault.error(code, page=2))
    status, message = ERRORS[code]
    assert javascript(the, server) == {"Code": code, "Message": message, "status": status, "modelled": True}
    first, second = emulator.calls
    assert first.outcome == "Success"
    assert [attempt.code for attempt in second.attempts] == [code] * (3 if code in RETRIED else 1)


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_in_the_aws_cli(the: Clients, emulator: Emulator, server: Server, code: str) -> None:
    emulator.faults.add(Fault.error(code, page=2))
    finished = aws_cli(the, server)
    retries = " (reached max retries: 1)" if code in RETRIED else ""
    assert finished.stderr.strip() == (
        f"An error occurred ({code}) when calling the ListImageSetVersions operation{retries}: {ERRORS[code][1]}"
    )
    assert finished.returncode == 255  # of version 1; version 2 exits with 254
    assert [len(call.attempts) for call in emulator.calls] == [1, 2 if code in RETRIED else 1]


def test_throttled_twice_then_fine_in_javascript(the: Clients, emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", page=2, times=2))
    assert [len(page["imageSetPropertiesList"]) for page in javascript(the, server)] == [50, 50, 37]
    assert [attempt.code for attempt in emulator.calls[1].attempts] == [
        "ThrottlingException",
        "ThrottlingException",
        None,
    ]


def test_javascript_notices_a_truncated_body(the: Clients, emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.corrupt("truncate", page=2))
    assert javascript(the, server)["Code"] == "SyntaxError"


def test_the_aws_cli_loses_a_truncated_page_in_silence(the: Clients, emulator: Emulator, server: Server) -> None:
    emulator.faults.add(Fault.corrupt("truncate", page=2))
    finished = aws_cli(the, server)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert len(json.loads(finished.stdout)["imageSetPropertiesList"]) == 50
