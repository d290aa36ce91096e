"""The router finds an operation by method and raw path; an operation knows what its declaration says."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from msgspec import Struct

from healthimaging_emulator.aws.errors import ResourceNotFoundException, UnknownOperationException
from healthimaging_emulator.aws.members import label, query
from healthimaging_emulator.aws.operation import Operation
from healthimaging_emulator.aws.rest_json import parse_input
from healthimaging_emulator.healthimaging.operations import OPERATIONS, OPERATIONS_BY_NAME, ROUTER
from healthimaging_emulator.healthimaging.operations.copy_image_set import COPY_IMAGE_SET
from healthimaging_emulator.messages import Request

DATASTORE, IMAGE_SET, JOB = "d" * 32, "a" * 32, "c" * 32
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"

PATHS = [
    ("POST", "/datastore", "CreateDatastore", {}),
    ("GET", "/datastore", "ListDatastores", {}),
    ("GET", f"/datastore/{DATASTORE}", "GetDatastore", {"datastoreId": DATASTORE}),
    ("DELETE", f"/datastore/{DATASTORE}", "DeleteDatastore", {"datastoreId": DATASTORE}),
    ("POST", f"/startDICOMImportJob/datastore/{DATASTORE}", "StartDICOMImportJob", {"datastoreId": DATASTORE}),
    (
        "GET",
        f"/getDICOMImportJob/datastore/{DATASTORE}/job/{JOB}",
        "GetDICOMImportJob",
        {"datastoreId": DATASTORE, "jobId": JOB},
    ),
    ("GET", f"/listDICOMImportJobs/datastore/{DATASTORE}", "ListDICOMImportJobs", {"datastoreId": DATASTORE}),
    ("POST", f"/datastore/{DATASTORE}/searchImageSets", "SearchImageSets", {"datastoreId": DATASTORE}),
    *(
        (
            "POST",
            f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/{name[0].lower()}{name[1:]}",
            name,
            {"datastoreId": DATASTORE, "imageSetId": IMAGE_SET},
        )
        for name in (
            "GetImageSet",
            "GetImageSetMetadata",
            "GetImageFrame",
            "ListImageSetVersions",
            "UpdateImageSetMetadata",
            "DeleteImageSet",
        )
    ),
    (
        "POST",
        f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/copyImageSet",
        "CopyImageSet",
        {"datastoreId": DATASTORE, "sourceImageSetId": IMAGE_SET},
    ),
    ("POST", f"/tags/{ARN}", "TagResource", {"resourceArn": ARN}),
    ("DELETE", f"/tags/{ARN}", "UntagResource", {"resourceArn": ARN}),
    ("GET", f"/tags/{ARN}", "ListTagsForResource", {"resourceArn": ARN}),
]


def route(method: str, path: str) -> tuple[str, dict[str, str]]:
    operation, labels = ROUTER.route(method, path)
    return operation.name, labels


@pytest.mark.parametrize(("method", "path", "name", "labels"), PATHS, ids=[name for _, _, name, _ in PATHS])
def test_every_operation_has_its_path(method: str, path: str, name: str, labels: dict[str, str]) -> None:
    assert route(method, path) == (name, labels)


def test_no_operation_is_left_out() -> None:
    assert sorted(name for _, _, name, _ in PATHS) == sorted(operation.name for operation in OPERATIONS)
    assert len(OPERATIONS_BY_NAME) == len(OPERATIONS) == 18


@pytest.mark.parametrize(("method", "path", "name", "labels"), PATHS, ids=[name for _, _, name, _ in PATHS])
def test_one_trailing_slash_is_accepted_unless_a_label_is_there(
    method: str, path: str, name: str, labels: dict[str, str]
) -> None:
    if (method, path) == ("GET", "/datastore"):
        assert route(method, f"{path}/") == ("GetDatastore", {"datastoreId": ""})
    elif path.startswith("/tags/"):  # a greedy label takes the slash
        assert route(method, f"{path}/") == (name, {"resourceArn": f"{ARN}/"})
    else:
        assert route(method, f"{path}/") == (name, labels)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/datastore/", "GetDatastore"),
        ("GET", "/datastore//", "GetDatastore"),  # and a trailing slash
        ("DELETE", "/datastore/", "DeleteDatastore"),
        ("GET", "/listDICOMImportJobs/datastore/", "ListDICOMImportJobs"),
        ("POST", "/startDICOMImportJob/datastore/", "StartDICOMImportJob"),
        ("POST", "/datastore//searchImageSets", "SearchImageSets"),
    ],
)
def test_an_empty_label_is_the_operations(method: str, path: str, name: str) -> None:
    assert route(method, path) == (name, {"datastoreId": ""})


def test_post_with_a_slash_behind_datastore_is_create_datastore() -> None:
    assert route("POST", "/datastore/") == ("CreateDatastore", {})


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("%2F", "/"),
        ("a%252Fb", "a%2Fb"),
        ("..", ".."),
        ("%", "%"),
        ("%zz", "%zz"),
        ("%C3%A9", "é"),
        ("%FF", "\ufffd"),
        ("a+b", "a+b"),
        ("a%0Ab", "a\nb"),
        ("", ""),
    ],
)
def test_a_label_is_decoded_once_and_an_encoded_slash_stays_inside_it(raw: str, decoded: str) -> None:
    path = f"/datastore/{raw}/imageSet/{raw}/getImageSet"
    assert route("POST", path) == ("GetImageSet", {"datastoreId": decoded, "imageSetId": decoded})


@pytest.mark.parametrize(
    "raw",
    [ARN, ARN.replace("/", "%2F"), ARN.replace("/", "%2f").replace(":", "%3A"), ARN.replace(":", "%3a")],
)
@pytest.mark.parametrize(
    ("method", "name"), [("POST", "TagResource"), ("DELETE", "UntagResource"), ("GET", "ListTagsForResource")]
)
def test_the_arn_of_tags_may_be_raw_or_encoded(method: str, name: str, raw: str) -> None:
    assert route(method, f"/tags/{raw}") == (name, {"resourceArn": ARN})
    assert route(method, f"/tags/{raw}%2Fimageset/{IMAGE_SET}") == (
        name,
        {"resourceArn": f"{ARN}/imageset/{IMAGE_SET}"},
    )
    assert route(method, "/tags/") == (name, {"resourceArn": ""})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/datastore"),
        ("OPTIONS", "/datastore"),
        ("PUT", "/datastore"),
        ("PATCH", f"/datastore/{DATASTORE}"),
        ("get", "/datastore"),
        ("POST", f"/datastore/{DATASTORE}"),
        ("DELETE", "/datastore"),
        ("GET", f"/datastore/{DATASTORE}/searchImageSets"),
        *(
            (method, f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/getImageSet")
            for method in ("GET", "HEAD", "OPTIONS", "DELETE")
        ),
        ("GET", ""),
        ("GET", "/"),
        ("GET", f"/datastore/{DATASTORE}//"),
        ("GET", f"//datastore/{DATASTORE}"),
        ("GET", "/Datastore"),
        ("GET", "/dataStore"),
        ("GET", f"/datastore%2F{DATASTORE}"),
        ("GET", "/%64atastore"),
        ("POST", f"/datastore/{DATASTORE}/imageset/{IMAGE_SET}/getImageSet"),
        ("POST", f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/getimageset"),
        ("POST", f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/getImageSet/more"),
        ("POST", f"/datastore/{DATASTORE}/imageSet/a/b/getImageSet"),
        ("POST", f"/datastore/{DATASTORE}/imageSet/getImageSet"),
        ("POST", f"/x/datastore/{DATASTORE}/searchImageSets"),
        ("GET", "/datastore\n"),
        ("GET", "/tags"),
        ("PUT", f"/tags/{ARN}"),
        ("GET", f"/getDICOMImportJob/datastore/{DATASTORE}"),
        ("GET", f"/getDICOMImportJob/datastore/{DATASTORE}/job"),
    ],
)
def test_any_other_method_or_path_is_unknown(method: str, path: str) -> None:
    with pytest.raises(UnknownOperationException) as raised:
        ROUTER.route(method, path)
    assert raised.value.message == f"Unable to determine the operation of {method} {path}."


@pytest.mark.parametrize(
    "path",
    [
        "/tags/" + "/" * 100_000,
        "/datastore/" + "/" * 100_000,
        f"/datastore/{DATASTORE}/imageSet/" + "getImageSet/" * 10_000,
    ],
    ids=["tags", "slashes", "names"],
)
def test_a_long_path_is_routed_all_the_same(path: str) -> None:
    """A pattern that backtracks would take for ever here."""
    if path.startswith("/tags/"):
        assert route("POST", path) == ("TagResource", {"resourceArn": "/" * 100_000})
        return
    with pytest.raises(UnknownOperationException):
        ROUTER.route("POST", path)


# Declarations.


class Input(Struct, kw_only=True, rename="camel"):
    datastore_id: Annotated[str, label()]
    name: Annotated[str | None, query()] = None


class Output(Struct, kw_only=True, rename="camel"):
    datastore_id: str


GET_THING = Operation(
    name="GetThing",
    method="GET",
    path="/thing/{datastoreId}",
    input=Input,
    output=Output,
    handler=lambda *_: Output(datastore_id=""),
    errors=(ResourceNotFoundException,),
)


def test_the_identifiers_are_the_labels_by_default() -> None:
    assert GET_THING.identify(Input(datastore_id=DATASTORE)) == {"datastoreId": [DATASTORE]}


@pytest.mark.parametrize(
    ("body", "image_sets"),
    [
        (
            {
                "sourceImageSet": {"latestVersionId": "1"},
                "destinationImageSet": {"imageSetId": JOB, "latestVersionId": "1"},
            },
            [IMAGE_SET, JOB],
        ),
        ({"sourceImageSet": {"latestVersionId": "1"}, "destinationImageSet": {}}, [IMAGE_SET]),
        ({"sourceImageSet": {"latestVersionId": "1"}}, [IMAGE_SET]),
        ({}, [IMAGE_SET]),
        (None, [IMAGE_SET]),
    ],
)
def test_the_identifiers_of_a_copy_are_source_and_destination(body: Any, image_sets: list[str]) -> None:
    """They are there before validation, which may refuse the request."""
    labels = {"datastoreId": DATASTORE, "sourceImageSetId": IMAGE_SET}
    request = Request("POST", "/", body=b"" if body is None else json.dumps(body).encode())
    found = COPY_IMAGE_SET.identify(parse_input(COPY_IMAGE_SET, labels, request))
    assert found == {"datastoreId": [DATASTORE], "imageSetId": image_sets}


@pytest.mark.parametrize(
    ("is_true", "names"),
    [
        (
            "is_paginated",
            {"ListImageSetVersions", "ListDatastores", "ListDICOMImportJobs", "SearchImageSets"},
        ),
        (
            "has_body",
            {
                "CreateDatastore",
                "StartDICOMImportJob",
                "SearchImageSets",
                "GetImageFrame",
                "UpdateImageSetMetadata",
                "CopyImageSet",
                "TagResource",
            },
        ),
        ("payload", {"SearchImageSets", "GetImageFrame", "UpdateImageSetMetadata", "CopyImageSet"}),
        ("output_payload", {"GetImageSetMetadata", "GetImageFrame"}),
        (
            "is_asynchronous",
            {
                "CreateDatastore",
                "DeleteDatastore",
                "StartDICOMImportJob",
                "UpdateImageSetMetadata",
                "CopyImageSet",
                "DeleteImageSet",
            },
        ),
    ],
)
def test_the_operations_that_have_a_property(is_true: str, names: set[str]) -> None:
    assert {operation.name for operation in OPERATIONS if getattr(operation, is_true)} == names
