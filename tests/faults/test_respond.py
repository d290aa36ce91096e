"""``respond``: answer with an output of the test's own, in place of the operation."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, Fault, InvalidError
from tests.demo import DATASTORE, SAMPLE

from .calls import DATASTORE_ARN, DESTINATION, INPUTS, JOB, SAMPLE_IDS, call, make_client

STORE = {"datastoreId": DATASTORE, "datastoreName": "images", "datastoreStatus": "ACTIVE"}
COPY = {
    "datastoreId": DATASTORE,
    "sourceImageSetProperties": {"imageSetId": SAMPLE, "latestVersionId": "4", "imageSetState": "LOCKED"},
    "destinationImageSetProperties": {"imageSetId": DESTINATION, "latestVersionId": "1"},
}
JOB_PROPERTIES = {
    "jobId": JOB,
    "jobName": "nightly",
    "jobStatus": "COMPLETED",
    "datastoreId": DATASTORE,
    "dataAccessRoleArn": "arn:aws:iam::000000000000:role/importer",
    "inputS3Uri": "s3://input/",
    "outputS3Uri": "s3://output/",
    "submittedAt": 1700000000.5,
}
SUMMARY = {name: value for name, value in JOB_PROPERTIES.items() if not name.endswith("S3Uri")}
STORE_STATUS = {"datastoreId": DATASTORE, "datastoreStatus": "CREATING"}

OUTPUTS: dict[str, dict[str, Any]] = {
    "ListImageSetVersions": {
        "imageSetPropertiesList": [{"imageSetId": SAMPLE, "versionId": "9", "imageSetState": "ACTIVE"}]
    },
    "GetImageSet": SAMPLE_IDS | {"versionId": "9", "imageSetState": "ACTIVE", "overrides": {"forced": True}},
    "UpdateImageSetMetadata": SAMPLE_IDS | {"latestVersionId": "9", "imageSetState": "LOCKED"},
    "CopyImageSet": COPY,
    "CreateDatastore": STORE_STATUS,
    "DeleteDatastore": STORE_STATUS,
    "DeleteImageSet": SAMPLE_IDS | {"imageSetState": "LOCKED", "imageSetWorkflowStatus": "DELETING"},
    "GetDatastore": {"datastoreProperties": STORE},
    "GetDICOMImportJob": {"jobProperties": JOB_PROPERTIES},
    "ListDatastores": {"datastoreSummaries": [STORE]},
    "ListDICOMImportJobs": {"jobSummaries": [SUMMARY]},
    "ListTagsForResource": {"tags": {"key": "value"}},
    "SearchImageSets": {
        "imageSetsMetadataSummaries": [{"imageSetId": SAMPLE, "version": 4, "DICOMTags": {"DICOMPatientId": "1"}}],
        "sort": {"sortField": "updatedAt", "sortOrder": "DESC"},
    },
    "StartDICOMImportJob": {
        "datastoreId": DATASTORE,
        "jobId": JOB,
        "jobStatus": "SUBMITTED",
        "submittedAt": 1700000000.5,
    },
    "TagResource": {},
    "UntagResource": {},
}


def without_metadata(response: dict[str, Any]) -> Any:
    """Return an output as the test wrote it: times as numbers, and without boto3's addition."""
    response = {name: value for name, value in response.items() if name != "ResponseMetadata"}
    return json.loads(json.dumps(response, default=lambda time: time.timestamp()))


@pytest.mark.parametrize("operation", OUTPUTS)
@pytest.mark.newest_boto3
def test_boto3_gets_the_output_of_the_test(emulator: Emulator, operation: str) -> None:
    emulator.faults.add(Fault.respond(OUTPUTS[operation], operation=operation))
    response = call(make_client(emulator), operation)
    assert without_metadata(response) == OUTPUTS[operation]
    has_no_body = operation in ("TagResource", "UntagResource")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == (204 if has_no_body else 200)
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.faults, attempt.unused, emulator.calls[0].outcome) == (["fault-1"], [], "Success")


def test_on_the_wire_it_is_as_any_other_answer(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"datastoreProperties": STORE}, operation="GetDatastore"))
    response = emulator.app.test_client().get(f"/datastore/{DATASTORE}")
    unset = dict.fromkeys(
        ("createdAt", "datastoreArn", "kmsKeyArn", "lambdaAuthorizerArn", "losslessStorageFormat", "updatedAt")
    )
    assert (
        response.data
        == json.dumps({"datastoreProperties": STORE | unset}, sort_keys=True, separators=(",", ":")).encode()
    )
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.headers["x-emulator-fault"] == "fault-1"


def test_lists_and_maps_that_are_left_out_are_empty(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({}, operation="ListDatastores"))
    response = emulator.app.test_client().get("/datastore")
    assert response.json == {"datastoreSummaries": [], "nextToken": None}


def test_a_null_is_as_if_it_were_not_there(emulator: Emulator) -> None:
    output = {"datastoreProperties": STORE | {"createdAt": None}}
    emulator.faults.add(Fault.respond(output, operation="GetDatastore"))
    assert call(make_client(emulator), "GetDatastore")["datastoreProperties"] == STORE


def test_unset_members_are_left_out_if_the_settings_say_so() -> None:
    emulator = Emulator.from_seed(omit_unset=True)
    emulator.faults.add(Fault.respond({"datastoreSummaries": [STORE]}, operation="ListDatastores"))
    assert emulator.app.test_client().get("/datastore").json == {"datastoreSummaries": [STORE]}


def test_no_store_is_touched(emulator: Emulator) -> None:
    output = SAMPLE_IDS | {"latestVersionId": "9", "imageSetState": "LOCKED"}
    emulator.faults.add(Fault.respond(output, operation="UpdateImageSetMetadata"))
    before = emulator.image_set(DATASTORE, SAMPLE).versions
    assert call(make_client(emulator), "UpdateImageSetMetadata")["latestVersionId"] == "9"
    assert emulator.image_set(DATASTORE, SAMPLE).versions == before


def test_it_serves_unknown_resources_and_counts_its_times(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"datastoreProperties": STORE}, operation="GetDatastore", times=1))
    client = make_client(emulator)
    assert call(client, "GetDatastore", datastoreId="0" * 32)["datastoreProperties"] == STORE
    with pytest.raises(ClientError, match=r"Datastore 0{32} was not found\.$"):
        call(client, "GetDatastore", datastoreId="0" * 32)
    assert [(each.matched, each.fired) for each in emulator.faults] == [(2, 1)]


def test_it_comes_after_validation_and_gives_its_count_back(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"datastoreProperties": STORE}, operation="GetDatastore"))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ValidationException) as raised:
        call(client, "GetDatastore", datastoreId="UPPER")
    assert raised.value.response["Error"]["Message"] == (
        "1 validation error detected: Value 'UPPER' at 'datastoreId' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [0-9a-z]{32}"
    )
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.faults, attempt.unused, emulator.faults["fault-1"].fired) == ([], ["fault-1"], 0)


def test_a_latency_may_go_with_it(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add({"match": {"operation": "ListDatastores"}, "respond": {}, "latency": {"seconds": 5}})
    assert call(make_client(emulator), "ListDatastores")["datastoreSummaries"] == []
    assert emulator.calls[0].attempts[0].delay == 5


def test_an_output_is_for_the_operations_that_it_suits(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond(STORE_STATUS, operation=["CreateDatastore", "DeleteDatastore", "GetDatastore"]))
    client = make_client(emulator)
    assert without_metadata(call(client, "CreateDatastore")) == STORE_STATUS
    assert without_metadata(call(client, "DeleteDatastore")) == STORE_STATUS
    assert without_metadata(call(client, "GetDatastore")) != STORE_STATUS
    assert emulator.faults["fault-1"].matched == 2


# Pages.


PAGES = {"pages": [{"datastoreSummaries": [STORE | {"datastoreName": name}]} for name in ("one", "two", "three")]}


def names_of(page: dict[str, Any]) -> list[str]:
    return [each["datastoreName"] for each in page["datastoreSummaries"]]


def test_boto3_lists_all_pages(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond(PAGES, operation="ListDatastores"))
    pages = list(make_client(emulator).get_paginator("list_datastores").paginate())
    assert [names_of(page) for page in pages] == [["one"], ["two"], ["three"]]
    assert "nextToken" not in pages[-1]
    assert [each.page for each in emulator.calls] == [1, 2, 3]
    assert emulator.faults["fault-1"].fired == 3


def test_a_token_leads_to_its_page_as_often_as_it_is_used(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond(PAGES, operation="ListDatastores"))
    client = make_client(emulator)
    token = client.list_datastores()["nextToken"]
    first, second = client.list_datastores(nextToken=token), client.list_datastores(nextToken=token)
    assert names_of(first) == names_of(second) == ["two"]
    assert first["nextToken"] == second["nextToken"] != token


def test_a_token_that_the_emulator_did_not_make_is_refused(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond(PAGES, operation="ListDatastores"))
    client = make_client(emulator)
    with pytest.raises(client.exceptions.ValidationException) as raised:
        client.list_datastores(nextToken="mine")
    assert raised.value.response["Error"]["Message"] == "Invalid nextToken."
    assert emulator.calls[0].attempts[0].unused == ["fault-1"]


def test_a_token_belongs_to_its_list(emulator: Emulator) -> None:
    pages = {"pages": [{"jobSummaries": []}, {"jobSummaries": [SUMMARY]}]}
    emulator.faults.add(Fault.respond(pages, operation="ListDICOMImportJobs"))
    client = make_client(emulator)
    token = call(client, "ListDICOMImportJobs")["nextToken"]
    assert len(call(client, "ListDICOMImportJobs", nextToken=token)["jobSummaries"]) == 1
    with pytest.raises(client.exceptions.ValidationException) as raised:
        call(client, "ListDICOMImportJobs", datastoreId="0" * 32, nextToken=token)
    assert raised.value.response["Error"]["Message"] == "Invalid nextToken."


def test_another_fault_may_stand_before_one_of_its_pages(emulator: Emulator) -> None:
    emulator.faults.add(
        Fault.error("ThrottlingException", operation="ListDatastores", page=2, times=1),
        Fault.respond(PAGES, operation="ListDatastores"),
    )
    pages = make_client(emulator).get_paginator("list_datastores").paginate()
    assert [names_of(page) for page in pages] == [["one"], ["two"], ["three"]]
    assert [len(each.attempts) for each in emulator.calls] == [1, 2, 1]


def test_one_output_is_one_page(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"datastoreSummaries": [STORE]}, operation="ListDatastores"))
    (page,) = make_client(emulator).get_paginator("list_datastores").paginate()
    assert page["datastoreSummaries"] == [STORE]


def test_versions_may_be_listed_page_by_page_too(emulator: Emulator) -> None:
    entries = [{"imageSetId": SAMPLE, "versionId": version, "imageSetState": "ACTIVE"} for version in ("9", "7")]
    emulator.faults.add(
        Fault.respond(
            {"pages": [{"imageSetPropertiesList": [entry]} for entry in entries]}, operation="ListImageSetVersions"
        )
    )
    pages = make_client(emulator).get_paginator("list_image_set_versions").paginate(**SAMPLE_IDS)
    assert [page["imageSetPropertiesList"] for page in pages] == [[entry] for entry in entries]


# Blobs.


def get_frame(emulator: Emulator) -> tuple[str | None, bytes]:
    response = call(make_client(emulator), "GetImageFrame")
    return response.get("contentType"), response["imageFrameBlob"].read()


def test_a_blob_is_given_in_base64(emulator: Emulator) -> None:
    blob = {"base64": base64.b64encode(bytes(range(256))).decode(), "contentType": "image/jph"}
    emulator.faults.add(Fault.respond(blob, operation="GetImageFrame"))
    assert get_frame(emulator) == ("image/jph", bytes(range(256)))


def test_a_blob_is_given_as_a_document(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"document": {"a": [1, None]}}, operation="GetImageFrame"))
    assert get_frame(emulator) == ("application/json", b'{"a":[1,null]}')


def test_a_blob_is_read_from_a_file_at_each_request(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "frame.bin"
    file.write_bytes(b"first")
    blob = {"file": str(file), "contentType": "application/octet-stream"}
    emulator.faults.add(Fault.respond(blob, operation="GetImageFrame"))
    assert get_frame(emulator) == ("application/octet-stream", b"first")
    file.write_bytes(b"second")
    assert get_frame(emulator) == ("application/octet-stream", b"second")


def test_a_blob_may_be_empty_and_of_no_type(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"base64": ""}, operation="GetImageFrame"))
    assert get_frame(emulator) == (None, b"")


def test_a_file_that_is_gone_is_an_internal_error(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "frame.bin"
    file.write_bytes(b"")
    emulator.faults.add(Fault.respond({"file": str(file)}, operation="GetImageFrame"))
    file.unlink()
    client = make_client(emulator, attempts=1)
    with pytest.raises(client.exceptions.InternalServerException):
        call(client, "GetImageFrame")
    assert str(caplog.records[-1].exc_info[1]) == (  # type: ignore[index]
        f"respond.file: {file}: No such file or directory"
    )


def test_metadata_is_compressed_as_always(emulator: Emulator) -> None:
    emulator.faults.add(Fault.respond({"document": {"SchemaVersion": "9"}}, operation="GetImageSetMetadata"))
    response = call(make_client(emulator), "GetImageSetMetadata")
    assert (response["contentType"], response["contentEncoding"]) == ("application/json", "gzip")
    assert gzip.decompress(response["imageSetMetadataBlob"].read()) == b'{"SchemaVersion":"9"}'


# Mistakes.


def frame(blob: Any) -> Fault:
    return Fault.respond(blob, operation="GetImageFrame")


def store(properties: Any) -> Fault:
    return Fault.respond({"datastoreProperties": properties}, operation="GetDatastore")


def stores(output: Any) -> Fault:
    return Fault.respond(output, operation="ListDatastores")


ONE_OF = "respond: expected one of document, base64, file, and contentType if needed"
PAGE_LIST = "respond.pages: expected a list with at least one page, and nothing beside it"

MISTAKES = [
    (
        Fault.respond({"datastorePropertie": STORE}, operation="GetDatastore"),
        "respond has no member 'datastorePropertie' (did you mean datastoreProperties?)",
    ),
    (
        store(STORE | {"datastoreStatuss": "ACTIVE"}),
        "respond.datastoreProperties has no member 'datastoreStatuss' (did you mean datastoreStatus?)",
    ),
    (store(STORE | {"zzz": 1}), "respond.datastoreProperties has no member 'zzz'"),
    (Fault.respond({}, operation="GetDatastore"), "respond needs the member 'datastoreProperties'"),
    (store({"datastoreId": DATASTORE}), "respond.datastoreProperties needs the member 'datastoreName'"),
    (store(STORE | {"datastoreName": None}), "respond.datastoreProperties needs the member 'datastoreName'"),
    (
        Fault.respond(COPY | {"destinationImageSetProperties": {"imageSetId": DESTINATION}}, operation="CopyImageSet"),
        "respond.destinationImageSetProperties needs the member 'latestVersionId'",
    ),
    (
        store(STORE | {"datastoreName": 5}),
        "Value at 'respond.datastoreProperties.datastoreName' can not be converted to a String",
    ),
    (
        store(STORE | {"createdAt": "2024-01-01T00:00:00Z"}),
        "Value at 'respond.datastoreProperties.createdAt' can not be converted to a Timestamp",
    ),
    (store([]), "Value at 'respond.datastoreProperties' can not be converted to a structure"),
    (stores({"datastoreSummaries": STORE}), "Value at 'respond.datastoreSummaries' can not be converted to a List"),
    (
        stores({"datastoreSummaries": [STORE, 5]}),
        "Value at 'respond.datastoreSummaries.2.member' can not be converted to a structure",
    ),
    (
        stores({"datastoreSummaries": [STORE, {}]}),
        "respond.datastoreSummaries[1] needs the member 'datastoreId'",
    ),
    (
        Fault.respond({"tags": {"key": 5}}, operation="ListTagsForResource"),
        "Value at 'respond.tags.key' can not be converted to a String",
    ),
    (Fault.respond({"tags": {}}, operation="TagResource"), "respond has no member 'tags'"),
    (
        stores({"datastoreSummaries": [STORE], "nextToken": "mine"}),
        "respond.nextToken: give pages instead, and the emulator makes their tokens",
    ),
    (
        stores({"pages": [{}, {"nextToken": "mine"}]}),
        "respond.pages[1].nextToken: give pages instead, and the emulator makes their tokens",
    ),
    (
        stores({"pages": [{}, {"datastoreSummaries": [{}]}]}),
        "respond.pages[1].datastoreSummaries[0] needs the member 'datastoreId'",
    ),
    (stores({"pages": [5]}), "Value at 'respond.pages[0]' can not be converted to a structure"),
    (stores({"pages": [None]}), "respond.pages[0] is null"),
    (stores({"datastoreSummaries": [STORE, None]}), "respond.datastoreSummaries[1] is null"),
    (Fault.respond({"tags": {"key": None}}, operation="ListTagsForResource"), "respond.tags.key is null"),
    (stores({"pages": []}), PAGE_LIST),
    (stores({"pages": {}}), PAGE_LIST),
    (stores({"pages": [{}], "datastoreSummaries": []}), PAGE_LIST),
    (Fault.respond({"pages": [{}]}, operation="GetDatastore"), "respond has no member 'pages'"),
    (frame({}), ONE_OF),
    (frame({"base64": "", "document": {}}), ONE_OF),
    (frame({"base64": "", "contenttype": "image/jph"}), ONE_OF),
    (frame({"base64": "A"}), "invalid respond.base64 'A': expected base64"),
    (frame({"base64": 5}), "invalid respond.base64 5: expected base64"),
    (frame({"file": 5}), "invalid respond.file 5: expected a path"),
    (frame({"file": "/nowhere/at all"}), "respond.file: /nowhere/at all: No such file or directory"),
    (
        frame({"base64": "", "contentType": 5}),
        "invalid respond.contentType 5: expected a media type such as image/jph",
    ),
    (
        frame({"base64": "", "contentType": "image/jph\r\nSet-Cookie: a=b"}),
        r"invalid respond.contentType 'image/jph\r\nSet-Cookie: a=b': expected a media type such as image/jph",
    ),
]


@pytest.mark.parametrize(("fault", "reason"), MISTAKES, ids=[reason for _, reason in MISTAKES])
def test_an_output_that_the_model_does_not_know_is_refused(emulator: Emulator, fault: Fault, reason: str) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.latency(0), fault)
    assert (raised.value.path, raised.value.message) == ("$[1].respond", f"can never do anything: {reason}")
    assert len(emulator.faults) == 0


def test_it_needs_an_operation(emulator: Emulator) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.respond({"datastoreProperties": STORE}))
    assert (raised.value.path, raised.value.message) == ("$[0].match", "respond needs an operation to match")


def test_half_of_a_surrogate_pair_is_refused(emulator: Emulator) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(store(STORE | {"datastoreName": "\ud800"}))
    assert (raised.value.path, raised.value.message) == ("$[0].respond", "a text must be Unicode")


def test_constraints_of_the_model_are_only_warned_about(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    odd = STORE | {"datastoreId": "UPPER", "datastoreStatus": "PAUSED", "datastoreArn": DATASTORE_ARN}
    with caplog.at_level(logging.WARNING):
        emulator.faults.add(store(odd))
    assert [record.getMessage() for record in caplog.records] == [
        "warning: the output for GetDatastore: Value 'UPPER' at 'datastoreProperties.datastoreId' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [0-9a-z]{32}",
        "warning: the output for GetDatastore: Value 'PAUSED' at 'datastoreProperties.datastoreStatus' failed to "
        "satisfy constraint: Member must satisfy enum value set: [CREATING, CREATE_FAILED, ACTIVE, DELETING, DELETED]",
    ]
    assert call(make_client(emulator), "GetDatastore")["datastoreProperties"] == odd


def test_an_output_that_keeps_to_the_model_is_not_warned_about(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for operation, output in OUTPUTS.items():
        emulator.faults.add(Fault.respond(output, operation=operation))
    assert caplog.records == []
    assert len(OUTPUTS) == len(INPUTS) - 2  # the blobs
