"""``corrupt``: the spoilt body on the wire, and the output that boto3 makes of it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError
from tests.demo import SAMPLE, path

from .calls import FIRST, IDS, SAMPLE_IDS, SECOND, THIRD, call, list_all, list_all_leniently, make_client, send

JSON_KINDS: list[Any] = [
    *("truncate", "empty", "not-json", "html", "missing-member", "unknown-enum", "unknown-member", "iso-timestamps")
]


def send_plain_and_corrupt(emulator: Emulator, fault: Fault) -> Any:
    """Return the second page without a fault, and with it."""
    plain = send(emulator, token := send(emulator).json["nextToken"])
    emulator.faults.add(fault)
    corrupt = send(emulator, token)
    assert corrupt.status_code == 200
    assert int(corrupt.headers["Content-Length"]) == len(corrupt.data)
    return plain, corrupt


def test_truncate_sends_half_and_boto3_loses_the_rest_in_silence(emulator: Emulator) -> None:
    plain, corrupt = send_plain_and_corrupt(emulator, Fault.corrupt("truncate", page=2))
    assert corrupt.data == plain.data[: len(plain.data) // 2]
    with pytest.raises(json.JSONDecodeError):
        json.loads(corrupt.data)
    emulator.reset("calls")
    with pytest.raises(KeyError, match=r"^'imageSetPropertiesList'$"):
        list_all(emulator)
    assert [len(each.attempts) for each in emulator.calls] == [1, 1]  # no retry
    assert list_all_leniently(emulator) == [FIRST, []]


def test_build_full_result_hides_the_loss(emulator: Emulator) -> None:
    emulator.faults.add(Fault.corrupt("truncate", page=2))
    result = make_client(emulator).get_paginator("list_image_set_versions").paginate(**IDS).build_full_result()
    assert [int(entry["versionId"]) for entry in result["imageSetPropertiesList"]] == FIRST
    assert "NextToken" not in result


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("empty", b""),
        ("not-json", b"This is not JSON."),
        ("html", b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    ],
)
def test_a_body_that_is_not_json_has_the_same_status(emulator: Emulator, kind: Any, content: bytes) -> None:
    _, corrupt = send_plain_and_corrupt(emulator, Fault.corrupt(kind, page=2))
    assert corrupt.data == content
    assert corrupt.content_type == ("text/html" if kind == "html" else "application/json")
    assert list_all_leniently(emulator) == [FIRST, []]


def test_missing_member_leaves_out_the_first_required_one(emulator: Emulator) -> None:
    plain, corrupt = send_plain_and_corrupt(emulator, Fault.corrupt("missing-member", page=2))
    assert corrupt.json == {"nextToken": plain.json["nextToken"]}
    with pytest.raises(KeyError, match=r"^'imageSetPropertiesList'$"):
        list_all(emulator)


def test_unknown_enum_changes_every_enum(emulator: Emulator) -> None:
    plain, corrupt = send_plain_and_corrupt(emulator, Fault.corrupt("unknown-enum", page=2))
    unknown = {"imageSetState": "UNKNOWN_VALUE", "ImageSetWorkflowStatus": "UNKNOWN_VALUE"}
    entries = [each | unknown for each in plain.json["imageSetPropertiesList"]]
    assert corrupt.json == plain.json | {"imageSetPropertiesList": entries}
    pages = make_client(emulator).get_paginator("list_image_set_versions").paginate(**IDS)
    assert list(pages)[1]["imageSetPropertiesList"][0]["imageSetState"] == "UNKNOWN_VALUE"


def test_unknown_member_adds_one_to_every_structure(emulator: Emulator) -> None:
    plain, corrupt = send_plain_and_corrupt(emulator, Fault.corrupt("unknown-member", page=2))
    unknown = {"unknownMember": "unknown"}
    entries = [each | unknown for each in plain.json["imageSetPropertiesList"]]
    assert corrupt.json == plain.json | unknown | {"imageSetPropertiesList": entries}
    assert list_all(emulator) == [FIRST, SECOND, THIRD]


def test_iso_timestamps_are_text_and_boto3_takes_them(emulator: Emulator) -> None:
    emulator.faults.add(Fault.corrupt("iso-timestamps"))
    newest = emulator.app.test_client().post(path(SAMPLE)).json["imageSetPropertiesList"][0]  # type: ignore[index]
    assert (newest["createdAt"], newest["updatedAt"]) == ("2023-03-28T18:12:06.436Z", "2023-03-28T18:50:36.304Z")
    assert newest["deletedAt"] is None
    page = make_client(emulator).list_image_set_versions(**SAMPLE_IDS)
    assert page["imageSetPropertiesList"][0]["createdAt"].timestamp() == 1680027126.436


@pytest.mark.parametrize("kind", JSON_KINDS)
@pytest.mark.parametrize("operation", ["ListImageSetVersions", "GetImageSet", "UpdateImageSetMetadata"])
def test_every_kind_changes_the_body_of_every_operation_in_json(emulator: Emulator, operation: str, kind: Any) -> None:
    def answer(emulator: Emulator) -> bytes:
        return bytes(emulator.app.test_client().post(target, json=body, query_string=query).data)

    word = operation[0].lower() + operation[1:]
    target = path(SAMPLE).replace("listImageSetVersions", word)
    body, query = {"revertToVersionId": "1"}, {"latestVersion": "4"}
    emulator.clock.freeze(1700000000)
    plain = answer(emulator)
    emulator.reset("changes")
    emulator.faults.add(Fault.corrupt(kind, operation=operation))
    assert answer(emulator) != plain
    assert emulator.faults["fault-1"].fired == 1


# Metadata, a blob.


def send_metadata(emulator: Emulator) -> Any:
    return emulator.app.test_client().post(path(SAMPLE).replace("listImageSetVersions", "getImageSetMetadata"))


def test_truncate_cuts_a_blob_and_boto3_hands_over_the_half(emulator: Emulator) -> None:
    plain = send_metadata(emulator).data
    emulator.faults.add(Fault.corrupt("truncate"))
    response = call(make_client(emulator), "GetImageSetMetadata")
    half = response["imageSetMetadataBlob"].read()
    assert half == plain[: len(plain) // 2]
    with pytest.raises(EOFError):
        gzip.decompress(half)


@pytest.mark.parametrize(("kind", "content_type"), [("empty", "application/json"), ("html", "text/html")])
def test_a_blob_can_be_empty_or_html(emulator: Emulator, kind: Any, content_type: str) -> None:
    emulator.faults.add(Fault.corrupt(kind, operation="GetImageSetMetadata"))
    response = send_metadata(emulator)
    assert (response.status_code, response.content_type) == (200, content_type)
    assert response.data == (b"" if kind == "empty" else b"<html><body><h1>502 Bad Gateway</h1></body></html>")


@pytest.mark.parametrize("kind", sorted({*JSON_KINDS} - {"truncate", "empty", "html"}))
def test_a_blob_is_not_json_to_spoil(emulator: Emulator, kind: Any) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.corrupt(kind, operation="GetImageSetMetadata"))
    assert (raised.value.path, raised.value.message) == (
        "$[0].corrupt",
        "can never do anything: an answer of GetImageSetMetadata is not JSON",
    )


@pytest.mark.parametrize("operation", ["TagResource", "UntagResource"])
def test_an_answer_without_a_body_has_nothing_to_spoil(emulator: Emulator, operation: str) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.corrupt("empty", operation=operation))
    assert (raised.value.path, raised.value.message) == (
        "$[0].corrupt",
        f"can never do anything: an answer of {operation} has no body",
    )


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_an_error_keeps_its_body_and_the_count_is_given_back(emulator: Emulator, kind: Any) -> None:
    emulator.faults.add(Fault.corrupt(kind, times=1))
    response = send(emulator, size=99)
    assert (response.status_code, response.content_type) == (400, "application/json")
    assert "x-emulator-fault" not in response.headers
    (attempt,) = emulator.calls[0].attempts
    assert (attempt.faults, attempt.unused, emulator.faults["fault-1"].fired) == ([], ["fault-1"], 0)
    assert send(emulator).headers["x-emulator-fault"] == "fault-1"


def test_only_a_kind_that_needs_timestamps_is_refused_where_there_are_none(emulator: Emulator) -> None:
    emulator.faults.add(Fault.corrupt("missing-member", operation="ListTagsForResource"))
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(Fault.corrupt("iso-timestamps", operation="ListTagsForResource"))
    assert "an answer of ListTagsForResource has no timestamp" in str(raised.value)
