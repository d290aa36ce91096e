"""Smithy's protocol tests of restJson1, as far as the operations of this service have what they test.

The ids are those of https://github.com/smithy-lang/smithy, in smithy-aws-protocol-tests/model/restJson1. Each is mapped
to requests of our own that test the same rule, and to the status and the code that Smithy wants. Where the emulator
answers otherwise on purpose, the row has the emulator's answer and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.messages import Response
from tests.conftest import DEMO, ROOT
from tests.demo import CHEST_CT, DATASTORE, MANY, OTHER_DATASTORE, path
from tests.fuzz.conftest import ask

ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
LIST, TAGS = path(MANY), f"/tags/{ARN}"
READ = path(CHEST_CT, OTHER_DATASTORE).replace("listImageSetVersions", "getImageSet")
METADATA, FRAME = READ + "Metadata", READ.replace("getImageSet", "getImageFrame")
UPDATE = READ.replace("getImageSet", "updateImageSetMetadata") + "?latestVersion=3"
COPY = READ.replace("getImageSet", "copyImageSet")
SEARCH, IMPORT = f"/datastore/{DATASTORE}/searchImageSets", f"/startDICOMImportJob/datastore/{DATASTORE}"
JSON = {"content-type": "application/json"}

Answer = tuple[int, str | None]
OK: Answer = (200, None)
NO_CONTENT: Answer = (204, None)
UNREADABLE: Answer = (400, "SerializationException")
INVALID: Answer = (400, "ValidationException")
NOT_FOUND: Answer = (404, "ResourceNotFoundException")
NOT_ACCEPTABLE: Answer = (406, "NotAcceptableException")
UNSUPPORTED: Answer = (415, "UnsupportedMediaTypeException")


class Sent(NamedTuple):
    """A request."""

    method: str
    target: str
    body: str = ""
    headers: dict[str, str] = JSON


def post(target: str, *bodies: str) -> list[Sent]:
    return [Sent("POST", target, body) for body in bodies]


def filtered(*values: str) -> list[Sent]:
    """Return searches, each with a filter for a value in JSON."""
    return post(SEARCH, *(f'{{"filters": [{{"operator": "EQUAL", "values": [{value}]}}]}}' for value in values))


def created(*members: str) -> list[Sent]:
    return post("/datastore", *(f'{{"clientToken": "a", {member}}}' for member in members))


def mapped(path: str) -> list[Sent]:
    mapping = json.dumps({"studyInstanceUID": "1.2", "metadataFilePath": path})
    configuration = f'{{"dicomJsonMetadataImportConfiguration": {{"dicomMetadataMappings": [{mapping}]}}}}'
    arguments = '"clientToken": "a", "dataAccessRoleArn": "arn:aws:iam::000000000000:role/import"'
    uris = '"inputS3Uri": "s3://bucket/", "outputS3Uri": "s3://bucket/"'
    return post(IMPORT, f'{{{arguments}, {uris}, "importConfiguration": {configuration}}}')


HOLDS: list[tuple[str, list[Sent], Answer]] = [
    ("RestJsonWithBodyExpectsApplicationJsonAccept", [Sent("POST", LIST, "", {"accept": "text/csv"})], NOT_ACCEPTABLE),
    (
        "RestJsonBodyMalformedBlobInvalidBase64",
        post(
            UPDATE,
            *(
                f'{{"DICOMUpdates": {{"updatableAttributes": {value}}}}}'
                for value in (
                    "e30",
                    '"e30"',
                    '"e30gIA="',
                    '"e30=="',
                    "[123, 125]",
                    '["e", "3"]',
                    "30",
                    "false",
                    '"_-8="',
                )
            ),
        ),
        UNREADABLE,
    ),
    (
        "RestJsonBodyBooleanStringCoercion",
        filtered(*(f'{{"isPrimary": "{text}"}}' for text in ("true", "TRUE", "no", "1", "off"))),
        UNREADABLE,
    ),
    (
        "RestJsonBodyBooleanBadLiteral",
        filtered(*(f'{{"isPrimary": {text}}}' for text in ("True", "yes", "0", "on"))),
        UNREADABLE,
    ),
    (
        "RestJsonQueryBooleanStringCoercion",
        [
            sent
            for text in ("True", "TRUE", "yes", "1", "off", "")
            for sent in post(f"{UPDATE}&force={text}", '{"revertToVersionId": "1"}')
        ],
        UNREADABLE,
    ),
    (
        "RestJsonWithBodyExpectsApplicationJsonContentType",
        [Sent("POST", "/datastore", '{"clientToken": "a"}', {"content-type": "text/json"})],
        UNSUPPORTED,
    ),
    (
        "RestJsonQueryIntegerUnderflowOverflow",
        [Sent("POST", f"{LIST}?maxResults={text}") for text in ("-2147483649", "2147483648", "9" * 25)],
        UNREADABLE,
    ),
    (
        "RestJsonQueryIntegerMalformedValueRejected",
        [Sent("POST", f"{LIST}?maxResults={text}") for text in ("false", "7.5", "7up", "0x7", "Infinity", "NaN")],
        UNREADABLE,
    ),
    ("RestJsonBodyMalformedListUnclosed", post(SEARCH, '{"filters": [{"operator": "EQUAL"}'), UNREADABLE),
    ("RestJsonBodyMalformedMapNullKey", post(TAGS, '{"tags": {null: "b"}}'), UNREADABLE),
    (
        "RestJsonInvalidJsonBody",
        post(
            "/datastore",
            '{"clientToken"',
            '{"clientToken": "a"}b',
            'b{"clientToken": "a"}',
            '{"clientToken": "a" // a\n}',
            '{"clientToken": "a" /* a */}',
            '{"clientToken":\f"a"}',
            "{'clientToken': 'a'}",
            '{"clientToken": "a",}',
        ),
        UNREADABLE,
    ),
    ("RestJsonTechnicallyValidJsonBody", post("/datastore", '[{"clientToken": "a"}]', "7", '"a"'), UNREADABLE),
    (
        "RestJsonBodyTimestampDefaultRejectsDateTime",
        filtered('{"createdAt": "2024-01-02T03:04:05Z"}', '{"createdAt": "2024-01-02T03:04:05+01:00"}'),
        UNREADABLE,
    ),
    (
        "RestJsonBodyTimestampDefaultRejectsStringifiedEpochSeconds",
        filtered('{"createdAt": "1700000000"}', '{"updatedAt": "1700000000.5"}'),
        UNREADABLE,
    ),
    (
        "RestJsonBodyTimestampDefaultRejectsMalformedEpochSeconds",
        filtered(
            *(f'{{"createdAt": {text}}}' for text in ("false", "17x", "0x17", "1.7.0", "NaN", '"NaN"', "-Infinity"))
        ),
        UNREADABLE,
    ),
    (
        "RestJsonBodyTimestampDefaultRejectsHttpDate",
        filtered('{"createdAt": "Tue, 02 Jan 2024 03:04:05 GMT"}'),
        UNREADABLE,
    ),
    ("RestJsonMalformedUnionValueIsArray", post(UPDATE, '["revertToVersionId"]'), UNREADABLE),
    ("RestJsonMalformedEnumString", created('"losslessStorageFormat": "htj2k"'), INVALID),
    ("RestJsonMalformedLengthBlob", post(UPDATE, '{"DICOMUpdates": {"updatableAttributes": ""}}'), INVALID),
    ("RestJsonMalformedLengthString", created('"datastoreName": ""', f'"datastoreName": "{"a" * 257}"'), INVALID),
    ("RestJsonMalformedLengthMinString", [Sent("POST", f"{LIST}?nextToken=")], INVALID),
    ("RestJsonMalformedLengthMaxString", [Sent("POST", f"{LIST}?nextToken={'a' * 8193}")], INVALID),
    ("RestJsonMalformedLengthList", post(SEARCH, '{"filters": []}'), INVALID),
    ("RestJsonMalformedLengthMapKey", post(TAGS, f'{{"tags": {{"{"a" * 129}": "b"}}}}'), INVALID),
    ("RestJsonMalformedLengthMapValue", post(TAGS, f'{{"tags": {{"a": "{"b" * 257}"}}}}'), INVALID),
    ("RestJsonMalformedLengthListValue", [Sent("DELETE", f"{TAGS}?tagKeys=a&tagKeys={'b' * 129}")], INVALID),
    ("RestJsonMalformedPatternString", created('"datastoreName": "a b"'), INVALID),
    ("RestJsonMalformedPatternReDOSString", mapped("a" * 200 + "\u00e9"), INVALID),
    ("RestJsonMalformedPatternList", [Sent("DELETE", f"{TAGS}?tagKeys=a%40b")], INVALID),
    ("RestJsonMalformedPatternMapKey", post(TAGS, '{"tags": {"a@b": "c"}}'), INVALID),
    ("RestJsonMalformedPatternUnion", filtered('{"DICOMStudyInstanceUID": "a"}'), INVALID),
    ("RestJsonMalformedPatternSensitiveString", filtered('{"DICOMSeriesInstanceUID": "a-secret"}'), INVALID),
    ("RestJsonMalformedRangeInteger", [Sent("POST", f"{LIST}?maxResults={number}") for number in (0, 51)], INVALID),
    ("RestJsonMalformedRangeMinInteger", [Sent("POST", f"{LIST}?maxResults=-7")], INVALID),
    ("RestJsonMalformedRangeMaxInteger", [Sent("POST", f"{LIST}?maxResults=2147483647")], INVALID),
    ("RestJsonMalformedRequiredBodyUnset", post("/datastore", "{}"), INVALID),
    ("RestJsonMalformedRequiredBodyExplicitNull", post("/datastore", '{"clientToken": null}'), INVALID),
    (
        "RestJsonAllQueryStringTypes",
        [
            Sent("GET", "/datastore?datastoreStatus=ACTIVE&maxResults=3"),
            *post(f"{UPDATE}&force=true", '{"revertToVersionId": "1"}'),
        ],
        OK,
    ),
    ("RestJsonQueryStringEscaping", [Sent("DELETE", f"{TAGS}?tagKeys=a%3A%2Fb%2B%2C%2D&tagKeys=%3Bc")], NO_CONTENT),
    ("RestJsonSerializesEmptyQueryValue", [Sent("GET", "/datastore?nextToken=")], INVALID),  # an empty text, not none
    (
        "RestJsonInputWithHeadersAndAllParams",
        [Sent("GET", TAGS.replace(":", "%3A").replace(f"/{DATASTORE}", f"%2F{DATASTORE}"))],
        OK,
    ),
    ("RestJsonHttpRequestWithGreedyLabelInPath", [Sent("GET", TAGS)], OK),
    ("RestJsonTestBodyStructure", post("/datastore", '{"clientToken": "a"}'), OK),
    ("RestJsonHttpWithEmptyStructurePayload", post(SEARCH, "{}"), OK),
    ("RestJsonTestPayloadStructure", post(SEARCH, '{"sort": {"sortField": "createdAt", "sortOrder": "ASC"}}'), OK),
    ("RestJsonHttpPayloadWithStructure", post(COPY, '{"sourceImageSet": {"latestVersionId": "3"}}'), OK),
    ("RestJsonHttpWithNoModeledBody", [Sent("GET", "/datastore", "", {})], OK),
    (
        "RestJsonMustSupportParametersInContentType",
        [Sent("POST", "/datastore", '{"clientToken": "a"}', {"content-type": "application/json; charset=utf-8"})],
        OK,
    ),
    ("RestJsonHttpPayloadTraitsWithBlob", [Sent("POST", METADATA)], OK),
    ("RestJsonHttpPayloadTraitsWithBlobAcceptsAllAccepts", [Sent("POST", METADATA, "", {"accept": "image/jph"})], OK),
    ("RestJsonJsonBlobs", post(UPDATE, '{"DICOMUpdates": {"updatableAttributes": "e30="}}'), OK),
    ("RestJsonJsonTimestamps", [Sent("POST", READ), *filtered('{"createdAt": 1700000000}')], OK),
    ("RestJsonJsonTimestampsWithEpochSecondsFormat", filtered('{"createdAt": 1700000000.5}'), OK),
    ("RestJsonJsonEnums", created('"losslessStorageFormat": "JPEG_2000_LOSSLESS"'), OK),
    ("RestJsonLists", filtered('{"DICOMStudyId": "a"}'), OK),
    ("RestJsonJsonMaps", post(TAGS, '{"tags": {"a": "b", "c": "d"}}'), NO_CONTENT),
    ("RestJsonSerializeStringUnionValue", post(UPDATE, '{"revertToVersionId": "1"}'), OK),
    ("RestJsonSerializeStructureUnionValue", post(UPDATE, '{"DICOMUpdates": {"removableAttributes": "e30="}}'), OK),
    ("RestJsonSerializeBooleanUnionValue", filtered('{"isPrimary": false}'), OK),
    ("RestJsonSerializeTimestampUnionValue", filtered('{"updatedAt": 1700000000}'), OK),
    ("RestJsonInvalidGreetingError", [Sent("GET", f"/datastore/{'f' * 32}")], NOT_FOUND),
]
"""Tests that hold: their ids, our requests, and the status and the code that Smithy wants."""

CORAL = "the service validates as classic Coral services do"
DIFFERS: list[tuple[str, list[Sent], Answer, Answer, str]] = [
    (
        "RestJsonWithoutBodyExpectsEmptyContentType",
        post(LIST, "{}"),
        UNSUPPORTED,
        OK,
        "AWS's own viewer sends such bodies, and the service answers",
    ),
    (
        "RestJsonWithPayloadExpectsImpliedAccept",
        [Sent("POST", METADATA, "", {"accept": "application/xml"})],
        NOT_ACCEPTABLE,
        OK,
        "the service serves frames and metadata to viewers whatever they accept",
    ),
    ("RestJsonBodyMalformedListNullItem", post(SEARCH, '{"filters": [null]}'), UNREADABLE, INVALID, CORAL),
    ("RestJsonBodyMalformedMapNullValue", post(TAGS, '{"tags": {"a": null}}'), UNREADABLE, INVALID, CORAL),
    ("RestJsonTechnicallyValidJsonBody", post("/datastore", "null"), UNREADABLE, INVALID, "null counts as absent"),
    (
        "RestJsonMalformedUnionMultipleFieldsSet",
        post(UPDATE, '{"revertToVersionId": "1", "DICOMUpdates": {"removableAttributes": "e30="}}'),
        UNREADABLE,
        INVALID,
        "AWS's documentation shows a ValidationException",
    ),
    (
        "RestJsonMalformedUnionKnownAndUnknownFieldsSet",
        post(UPDATE, '{"revertToVersionId": "1", "other": "2"}'),
        UNREADABLE,
        OK,
        "unknown members are ignored everywhere",
    ),
    ("RestJsonMalformedUnionNoFieldsSet", post(UPDATE, '{"revertToVersionId": null}'), UNREADABLE, INVALID, CORAL),
    ("RestJsonMalformedUnionEmptyObjectNoFieldsSet", post(UPDATE, "{}"), UNREADABLE, INVALID, CORAL),
    ("RestJsonMalformedUnionUnknownMember", post(UPDATE, '{"other": "2"}'), UNREADABLE, INVALID, CORAL),
    (
        "RestJsonEmptyInputAndEmptyOutput",
        post(TAGS, '{"tags": {"a": "b"}}'),
        OK,
        NO_CONTENT,
        "AWS answers 204 for tags, although its model says 200",
    ),
]
"""Tests that do not hold: what Smithy wants, what the emulator answers, and why."""

MESSAGES = "Smithy's texts begin with a path such as '/a/0', and have a fieldList; the service's recorded texts do not."
"""The one difference of all validation tests: the code and the status are compared, not the text."""

NOT_THERE: dict[str, tuple[str, ...]] = {
    "no member of an input is of this type or travels there": (
        "RestJsonBodyIntegerUnderflowOverflow",
        "RestJsonBodyIntegerMalformedValueRejected",
        "RestJsonPathIntegerUnderflowOverflow",
        "RestJsonPathIntegerMalformedValueRejected",
        "RestJsonHeaderIntegerUnderflowOverflow",
        "RestJsonHeaderIntegerMalformedValueRejected",
        "RestJsonPathBooleanStringCoercion",
        "RestJsonHeaderBooleanStringCoercion",
        "RestJsonHeaderMalformedStringInvalidBase64MediaType",
        "RestJsonMalformedRequiredHeaderUnset",
        "RestJsonHttpRequestWithLabelsAndTimestampFormat",
        "RestJsonQueryStringMap",
        "RestJsonServersPutAllQueryParamsInMap",
        "RestJsonServersQueryParamsStringListMap",
        "RestJsonMalformedEnumList",
        "RestJsonMalformedEnumMapKey",
        "RestJsonMalformedEnumMapValue",
        "RestJsonMalformedEnumUnion",
        "RestJsonMalformedLengthMap",
        "RestJsonMalformedPatternMapValue",
        "RestJsonListsEmpty",
        "RestJsonRecursiveShapes",
    ),
    "no payload has a media type in the model, and no input is a blob": (
        "RestJsonWithPayloadExpectsModeledAccept",
        "RestJsonWithPayloadExpectsModeledContentType",
        "RestJsonWithPayloadExpectsImpliedContentType",
        "RestJsonHttpPayloadTraitsWithMediaTypeWithBlob",
        "RestJsonHttpPayloadTraitsWithBlobAcceptsAllContentTypes",
        "RestJsonHttpWithEmptyBlobPayload",
        "RestJsonTestPayloadBlob",
    ),
    "no timestamp has a format of its own": (
        "RestJsonBodyTimestampDateTimeRejectsHttpDate",
        "RestJsonBodyTimestampDateTimeRejectsEpochSeconds",
        "RestJsonBodyTimestampDateTimeRejectsUTCOffsets",
        "RestJsonBodyTimestampDateTimeRejectsDifferent8601Formats",
        "RestJsonBodyTimestampHttpDateRejectsDateTime",
        "RestJsonBodyTimestampHttpDateRejectsEpoch",
        "RestJsonJsonTimestampsWithDateTimeFormat",
        "RestJsonJsonTimestampsWithHttpDateFormat",
    ),
    "no two paths match one request": (
        "RestJsonUriConflictLiteralBeatsLabel",
        "RestJsonUriConflictLiteralPrefixBeatsLabel",
        "RestJsonUriConflictLabelBeatsGreedyLabel",
        "RestJsonUriConflictLiteralBeatsLabelAndGreedyLabel",
        "RestJsonUriConflictGreedyLabelMatchesMoreSegments",
    ),
}
"""Tests of what this service's model does not have."""

OTHER_FILES = (
    *("byte", "short", "long", "float", "double", "set", "uniqueitems"),
    *("timestamp-header", "timestamp-path", "timestamp-query"),
    *("http-headers", "http-prefix-headers", "http-response-code", "http-string-payload", "http-checksums"),
    *("documents", "event-stream", "streaming", "recursive-structures", "requestCompression", "defaults", "endpoints"),
)
"""Files of tests whose types or traits this service's model does not have at all."""


def requests() -> Iterator[Any]:
    rows = [(id, sent, answer) for id, sent, answer in HOLDS] + [(id, sent, ours) for id, sent, _, ours, _ in DIFFERS]
    for id, all_sent, answer in rows:
        for number, sent in enumerate(all_sent):
            yield pytest.param(id, sent, answer, id=f"{id}-{number}")


def send(sent: Sent) -> Response:
    emulator = Emulator.from_seed(DEMO)
    return ask(emulator, sent.method, sent.target, list(sent.headers.items()), sent.body.encode())


@pytest.mark.parametrize(("id", "sent", "expected"), list(requests()))
def test_a_rule_of_the_protocol(id: str, sent: Sent, expected: Answer) -> None:
    answer = send(sent)
    assert (answer.status, answer.headers.get("x-amzn-ErrorType")) == expected, answer.body[:300]
    assert b"a-secret" not in answer.body
    if expected[1] is not None:
        assert list(json.loads(answer.body)) == ["message"], id


def test_differences_are_differences_and_each_test_stands_in_one_place() -> None:
    assert all(smithy != ours for _, _, smithy, ours, _ in DIFFERS)
    names = [id for id, _, _ in HOLDS] + [id for ids in NOT_THERE.values() for id in ids]
    assert len(names) == len(set(names))
    twice = {id for id, *_ in DIFFERS} & set(names)
    assert twice == {"RestJsonTechnicallyValidJsonBody"}, "which holds for some values, and not for null"


def test_the_documentation_counts_the_tests_and_names_the_differences() -> None:
    text = (ROOT / "docs" / "fidelity.md").read_text()
    missing = sum(map(len, NOT_THERE.values()))
    assert f"{len(HOLDS)} hold, {len(DIFFERS)} differ on purpose, and {missing} test types" in text
    assert [id for id, *_ in DIFFERS if id not in text] == []
