"""boto3 (newest and first), aiobotocore and the JavaScript SDK: every page, every field, every error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import endpoint
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN

from .conftest import Program

Clients = Callable[[str], Program]
Expected = dict[tuple[str, str], list[dict[str, Any]]]

SDKS = ["boto3", "boto3-1.28.6", "aiobotocore", "javascript"]


def do(
    program: Program,
    server: Server,
    *calls: dict[str, Any],
    client: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run calls; ``client`` are further options of the client."""
    given, config = dict(client or {}), {}
    if program.name == "javascript":
        given |= {"endpoint": server.url, "disableHostPrefix": True}
        calls = tuple(call | {"operation": camel(call["operation"])} for call in calls)
    elif program.name == "aiobotocore":
        given |= {"endpoint_url": server.url}
        config = {"inject_host_prefix": False}
    else:
        given |= {"endpoint_url": endpoint(server.url)}
    return program.do({"client": given, "config": config, "calls": calls}, environment)


def camel(operation: str) -> str:
    return operation.title().replace("_", "")


def listing(**arguments: Any) -> dict[str, Any]:
    arguments = {"datastoreId": DATASTORE, "imageSetId": MANY} | arguments
    return {"operation": "list_image_set_versions", "arguments": arguments}


@pytest.mark.parametrize("name", SDKS)
def test_every_page_of_every_image_set_with_every_field(
    the: Clients, demo_server: Server, expected: Expected, name: str
) -> None:
    calls = [listing(datastoreId=datastore, imageSetId=id) | {"paginate": True} for datastore, id in expected]
    done = do(the(name), demo_server, *calls)
    for pages, entries in zip(done["results"], expected.values(), strict=True):
        known = done.get("members", list({member for entry in entries for member in entry}))
        assert [entry for page in pages for entry in page["imageSetPropertiesList"]] == [
            {member: value for member, value in entry.items() if member in known} for entry in entries
        ]
        assert len(pages) == -(-len(entries) // 50)


@pytest.mark.parametrize("name", SDKS)
def test_the_page_size_is_what_was_asked_for(the: Clients, demo_server: Server, name: str) -> None:
    first, second = do(the(name), demo_server, listing(maxResults=7), listing(maxResults=50))["results"]
    assert [len(first[0]["imageSetPropertiesList"]), len(second[0]["imageSetPropertiesList"])] == [7, 50]
    ((following,),) = do(the(name), demo_server, listing(nextToken=first[0]["nextToken"], maxResults=1))["results"]
    assert following["imageSetPropertiesList"][0]["versionId"] == "130"


PATTERN = "failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9a-z]{32}"
ERRORS: list[tuple[dict[str, Any], str, int, str]] = [
    (
        listing(imageSetId=UNKNOWN),
        "ResourceNotFoundException",
        404,
        f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}.",
    ),
    (listing(datastoreId=UNKNOWN), "ResourceNotFoundException", 404, f"Datastore {UNKNOWN} was not found."),
    (listing(nextToken="not-ours"), "ValidationException", 400, "Invalid nextToken."),
    (
        listing(imageSetId="UPPER", maxResults=51),
        "ValidationException",
        400,
        f"2 validation errors detected: Value 'UPPER' at 'imageSetId' {PATTERN}; Value '51' at 'maxResults' "
        "failed to satisfy constraint: Member must have value less than or equal to 50",
    ),
    (
        listing(datastoreId="a/b"),
        "ValidationException",
        400,
        f"1 validation error detected: Value 'a/b' at 'datastoreId' {PATTERN}",
    ),
    (
        {"operation": "get_image_set", "arguments": {"datastoreId": DATASTORE, "imageSetId": SAMPLE}},
        "UnknownOperationException",
        404,
        f"Unable to determine the operation of POST /datastore/{DATASTORE}/imageSet/{SAMPLE}/getImageSet.",
    ),
]


@pytest.mark.parametrize("name", SDKS)
def test_every_error_that_the_emulator_gives_by_itself(the: Clients, demo_server: Server, name: str) -> None:
    raised = do(the(name), demo_server, *(call for call, *_ in ERRORS))["results"]
    for error, (_, code, status, message) in zip(raised, ERRORS, strict=True):
        modelled = code != "UnknownOperationException"
        assert error == {"Code": code, "Message": message, "status": status, "modelled": modelled}
