"""The table in ``docs/faults.md``: how each client takes each fault."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import DEMO, ROOT
from tests.demo import DATASTORE, MANY

from .conftest import Program

Clients = Callable[[str], Program]


def read_table() -> list[list[str]]:
    """Return the rows of the table whose columns are clients."""
    text = (ROOT / "docs" / "faults.md").read_text()
    head = re.search(r"^\|.*\| boto3 \| AWS CLI \| JavaScript \|$", text, re.MULTILINE)
    assert head
    rows = text[head.start() :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]


ROWS = read_table()
FAULTS: list[dict[str, Any]] = [json.loads(row[0].strip("`")) for row in ROWS]
ENDLESS = 500
"""A client that has listed so many of 137 versions does not come to an end; pages of a circle have 37 at least."""

PAGES = ENDLESS // 37 + 1


def on_its_page(fault: dict[str, Any]) -> dict[str, Any]:
    """Return a fault of the table for the page that the document says."""
    if "rateLimit" in fault:
        return fault
    return fault | {"match": {"page": 3 if fault.get("pagination") == "cycle" else 2} | fault.get("match", {})}


def outcome(versions: int, error: str | None, attempts: int) -> str:
    if error:
        return f"{error} after {attempts} attempt{'s' if attempts > 1 else ''}"
    return "never ends" if versions >= ENDLESS else f"{versions} versions, no error"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_boto3(row: list[str]) -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.faults.add(on_its_page(json.loads(row[0].strip("`"))))
    client = emulator.client(backoff=False, config=Config(retries={"mode": "standard"}))
    pages = client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY)
    versions, error = 0, None
    try:
        for page in islice(pages, PAGES):
            versions += len(page.get("imageSetPropertiesList", []))
    except ClientError as raised:
        error = raised.response["Error"]["Code"]
    except BotoCoreError as raised:
        error = type(raised).__name__
    assert outcome(versions, error, len(emulator.calls[-1].attempts)) == row[2]


def account(emulator: Emulator, number: int, **changed: Any) -> str:
    """Return an account that has one of the faults."""
    id = f"{number + 1:012}"
    emulator.account(id).faults.add(on_its_page(FAULTS[number] | changed))
    return id


def attempts(emulator: Emulator, account: str) -> int:
    return len(emulator.account(account).calls[-1].attempts)


ERRORS = {
    r"An error occurred \((\w+)\)": r"\1",
    "Error during pagination": "PaginationError",
    "Connection was closed": "ConnectionClosedError",
    "Read timeout": "ReadTimeoutError",
}


def test_the_aws_cli(the: Clients, emulator: Emulator, server: Server) -> None:
    cli, endpoint = the("aws-cli"), make_endpoint(server.url)
    ids = ["--datastore-id", DATASTORE, "--image-set-id", MANY]

    def run(number: int) -> str:
        id = account(emulator, number)
        timeout = "1" if "stall" in json.dumps(FAULTS[number]) else "60"
        options = ["--endpoint-url", endpoint, "--max-items", str(ENDLESS), "--cli-read-timeout", timeout]
        settings = {"AWS_ACCESS_KEY_ID": id, "AWS_RETRY_MODE": "standard"}
        finished = cli.run("list-image-set-versions", *ids, *options, environment=settings)
        found = next(filter(None, (re.search(pattern, finished.stderr) for pattern in ERRORS)), None)
        error = found.expand(ERRORS[found.re.pattern]) if found else finished.stderr or None
        assert (finished.returncode == 0) == (error is None)
        versions = len(json.loads(finished.stdout)["imageSetPropertiesList"]) if finished.stdout.strip() else 0
        return outcome(versions, error, attempts(emulator, id))

    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(run, range(len(FAULTS)))) == [row[3] for row in ROWS]


def test_javascript(the: Clients, emulator: Emulator, server: Server) -> None:
    short = {"connection": {"kind": "stall", "seconds": 0.1}}  # this client waits as long as the stall lasts
    changed = [short if "stall" in json.dumps(fault.get("connection")) else {} for fault in FAULTS]
    accounts = [account(emulator, number, **changed[number]) for number in range(len(FAULTS))]
    calls = [
        {
            "operation": "ListImageSetVersions",
            "arguments": {"datastoreId": DATASTORE, "imageSetId": MANY},
            "paginate": True,
            "limit": PAGES,
            "client": {"credentials": {"accessKeyId": id, "secretAccessKey": "emulator"}},
        }
        for id in accounts
    ]
    job = {"client": {"endpoint": server.url, "disableHostPrefix": True}, "calls": calls}

    def outcomes() -> Iterator[str]:
        for id, result in zip(accounts, the("javascript").do(job)["results"], strict=True):
            error = None if isinstance(result, list) else result["Code"]
            versions = 0 if error else sum(len(page.get("imageSetPropertiesList", [])) for page in result)
            yield outcome(versions, error, attempts(emulator, id))

    assert list(outcomes()) == [row[4] for row in ROWS]
