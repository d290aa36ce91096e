"""boto3 (newest and first), aiobotocore and the JavaScript SDK: every page, field, error and operation."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN

from .conftest import DOCUMENT, HEAD, Program

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
        given |= {"endpoint_url": make_endpoint(server.url)}
    return program.do({"client": given, "config": config, "calls": calls}, environment)


def camel(operation: str) -> str:
    return operation.title().replace("_", "")


def known_members(done: Mapping[str, Any], shape: str, *entries: Mapping[str, Any]) -> set[str]:
    """Return the members that a client knows: boto3 1.28.6 lacks some, the JavaScript SDK is the newest."""
    return set(done["members"][shape]) if "members" in done else {member for entry in entries for member in entry}


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
        known = known_members(done, "ImageSetProperties", *entries)
        assert [entry for page in pages for entry in page["imageSetPropertiesList"]] == [
            {member: value for member, value in entry.items() if member in known} for entry in entries
        ]
        assert len(pages) == -(-len(entries) // 50)


@pytest.mark.parametrize("name", SDKS)
def test_a_page_has_the_size_that_was_asked_for(the: Clients, demo_server: Server, name: str) -> None:
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
        {"operation": "get_datastore", "arguments": {"datastoreId": UNKNOWN}},
        "ResourceNotFoundException",
        404,
        f"Datastore {UNKNOWN} was not found.",
    ),
]


@pytest.mark.parametrize("name", SDKS)
def test_every_error_that_the_emulator_gives_by_itself(the: Clients, demo_server: Server, name: str) -> None:
    raised = do(the(name), demo_server, *(call for call, *_ in ERRORS))["results"]
    for error, (_, code, status, message) in zip(raised, ERRORS, strict=True):
        modelled = code != "UnknownOperationException"
        assert error == {"Code": code, "Message": message, "status": status, "modelled": modelled}


IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}


def on_sample(operation: str, **arguments: Any) -> dict[str, Any]:
    return {"operation": operation, "arguments": IDS | arguments}


def renaming(latest: str) -> dict[str, Any]:
    """Return a call that changes the patient's name."""
    update = json.dumps({"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Roe^Ann"}}})
    updates = {"DICOMUpdates": {"updatableAttributes": {"bytes": update}}}
    return on_sample("update_image_set_metadata", latestVersionId=latest, updateImageSetMetadataUpdates=updates)


@pytest.mark.parametrize("name", SDKS)
def test_the_properties_of_an_image_set(the: Clients, demo_server: Server, name: str) -> None:
    done = do(the(name), demo_server, on_sample("get_image_set"), on_sample("get_image_set", versionId="2"))
    shared = {
        **IDS,
        "imageSetState": "ACTIVE",
        "createdAt": 1680027126.436,
        "imageSetArn": f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}/imageset/{SAMPLE}",
        "storageTier": "FREQUENT_ACCESS",
    }
    latest = {"versionId": "4", "imageSetWorkflowStatus": "UPDATED", "updatedAt": 1680029436.304}
    second = {
        "versionId": "2",
        "imageSetWorkflowStatus": "COPY_FAILED",
        "updatedAt": 1680027455.944,
        "message": "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match.",
    }
    for (page,), entry in zip(done["results"], [shared | latest, shared | second], strict=True):
        known = known_members(done, "GetImageSetResponse", entry)
        assert page == {member: value for member, value in entry.items() if member in known}


def document(page: Mapping[str, Any]) -> Any:
    assert (page["contentType"], page["contentEncoding"]) == ("application/json", "gzip")
    return json.loads(gzip.decompress(base64.b64decode(page["imageSetMetadataBlob"])))


@pytest.mark.parametrize("name", SDKS)
def test_the_metadata_of_an_image_set_comes_in_gzip(the: Clients, stepwise: Server, name: str) -> None:
    ((page,),) = do(the(name), stepwise, on_sample("get_image_set_metadata"))["results"]
    assert document(page) == HEAD | DOCUMENT


@pytest.mark.parametrize("name", SDKS)
def test_an_update_is_locked_until_it_has_become_a_second_version(the: Clients, stepwise: Server, name: str) -> None:
    """The refused update is the first request that sees LOCKED, the first look at the image set the second."""
    begun, refused, locked, active, listed, stale, old, new = do(
        the(name),
        stepwise,
        renaming("1"),
        renaming("2"),
        on_sample("get_image_set"),
        on_sample("get_image_set"),
        on_sample("list_image_set_versions"),
        renaming("1"),
        on_sample("get_image_set_metadata", versionId="1"),
        on_sample("get_image_set_metadata"),
    )["results"]
    states = [(page["imageSetState"], page["imageSetWorkflowStatus"]) for (page,) in (begun, locked, active)]
    assert states == [("LOCKED", "UPDATING"), ("LOCKED", "UPDATING"), ("ACTIVE", "UPDATED")]
    assert [begun[0]["latestVersionId"], locked[0]["versionId"], active[0]["versionId"]] == ["2", "2", "2"]
    assert refused == {
        "Code": "ConflictException",
        "Message": f"ImageSet {SAMPLE} is LOCKED.",
        "status": 409,
        "modelled": True,
    }
    statuses = [(each["versionId"], each["ImageSetWorkflowStatus"]) for each in listed[0]["imageSetPropertiesList"]]
    assert statuses == [("2", "UPDATED"), ("1", "CREATED")]
    assert stale == {
        "Code": "ResourceNotFoundException",
        "Message": "Requested version(s) of ImageSet(s) is not the latest.",
        "status": 404,
        "modelled": True,
    }
    assert document(old[0]) == HEAD | DOCUMENT
    assert document(new[0]) == HEAD | DOCUMENT | {"Patient": {"DICOM": {"PatientID": "P1", "PatientName": "Roe^Ann"}}}


@pytest.mark.parametrize("name", SDKS)
def test_a_fault_answers_for_an_operation_that_is_not_emulated(
    the: Clients, emulator: Emulator, server: Server, name: str
) -> None:
    properties = {
        "datastoreId": DATASTORE,
        "datastoreName": "mine",
        "datastoreStatus": "ACTIVE",
        "createdAt": 1680027126.436,
    }
    emulator.faults.add(Fault.respond({"datastoreProperties": properties}, operation="GetDatastore"))
    asked = {"operation": "get_datastore", "arguments": {"datastoreId": DATASTORE}}
    assert do(the(name), server, asked)["results"] == [[{"datastoreProperties": properties}]]
