"""The same program gives the same journal in process and over a socket, with every kind of fault."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, get_args

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.faults.check import EFFECTS
from healthimaging_emulator.faults.corrupt import CorruptKind
from healthimaging_emulator.faults.latency import Latency
from healthimaging_emulator.faults.pagination import PaginationKind
from healthimaging_emulator.transports.botocore_patch import forbid_aws, skip_backoff
from healthimaging_emulator.transports.environment import make_endpoint
from tests.demo import DATASTORE, MANY, SAMPLE

MOST_PAGES = 6
"""Some faults give a list no end."""

KEYS = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
SUMMARY: dict[str, Any] = {"imageSetId": SAMPLE, "datastoreId": DATASTORE, "versionId": "9", "imageSetState": "ACTIVE"}

FAULTS = [
    Fault.error("ThrottlingException", times=2),
    Fault.error("ThrottlingException"),
    Fault.error("AccessDeniedException", times=1),
    Fault.error("InternalServerException", when="after", times=1),
    Fault.error("SlowDown", status=503, times=1),
    Fault.rate_limit(0.001, 2),
    Fault.rate_limit("aws"),
    *(Fault.pagination(kind) for kind in get_args(PaginationKind)),
    *(Fault.corrupt(kind, times=1) for kind in get_args(CorruptKind)),
    *(Fault.connection(kind, times=1) for kind in ("reset", "close", "cut")),
    Fault.connection("reset", when="after", times=1),
    Fault.latency(0.01),
    Fault.workflow("failed", reads=2),
    Fault.respond(SUMMARY, operation="GetImageSet", times=1),
]

LATE = [
    Fault.connection("stall", times=1),
    Fault.latency(60, times=1),
    Fault.latency(60, when="after", times=1),
    Fault.error("ThrottlingException", times=1, latency=Latency(60)),
]
"""Faults whose answer comes after the client's read timeout, or never."""


def use(client: Any) -> list[str]:
    """Read, page and write, and return the outcome of each step as the program sees it."""
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    pages, many = client.get_paginator("list_image_set_versions"), ids | {"imageSetId": MANY}
    steps: list[Callable[[], Any]] = [
        lambda: client.get_image_set(**ids)["versionId"],
        lambda: [len(page["imageSetPropertiesList"]) for page in islice(pages.paginate(**many), MOST_PAGES)],
        lambda: len(client.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()),
        lambda: client.delete_image_set(**ids)["imageSetState"],
        *[lambda: client.get_image_set(**ids)["imageSetState"]] * 3,
    ]
    return [outcome_of(step) for step in steps]


def outcome_of(step: Callable[[], Any]) -> str:
    try:
        return str(step())
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except (BotoCoreError, KeyError) as error:
        return type(error).__name__


def journal(emulator: Emulator) -> list[Any]:
    members = ("number", "status", "code", "faults", "unused", "outcome", "delay", "met", "ended")
    return [
        (call.operation, call.page, call.outcome, [[getattr(each, name) for name in members] for each in call.attempts])
        for call in emulator.calls
    ]


@pytest.mark.parametrize("fault", FAULTS + LATE, ids=str)
def test_a_fault_gives_the_same_journal(fault: Fault) -> None:
    config = Config(read_timeout=2 if fault in LATE else 60, retries={"mode": "standard", "total_max_attempts": 3})
    ways = []
    for is_served in (False, True):
        emulator = Emulator.from_seed(transition_seconds=None)
        emulator.faults.add(fault)
        if is_served:
            with emulator.serve() as server, forbid_aws(lambda: ""), skip_backoff():
                url = make_endpoint(server.url)
                outcomes = use(boto3.client("medical-imaging", endpoint_url=url, config=config, **KEYS))
        else:
            outcomes = use(emulator.client(backoff=False, config=config))
        ways.append((outcomes, journal(emulator)))
    assert ways[0] == ways[1]


def test_every_kind_of_fault_is_tried() -> None:
    tried = {kind for fault in FAULTS + LATE for kind in fault.effects} | {"latency"}
    assert tried == set(EFFECTS)
