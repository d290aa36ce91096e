"""Image sets and their transitions in the control API."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, ONE, OTHER_DATASTORE, SAMPLE, UNKNOWN

from .conftest import VERSIONS, A, Ask, asking, newest


def update(emulator: Emulator, image_set_id: str = SAMPLE, version: str = "4", account: str = "000000000000") -> None:
    attributes = {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": "A^B"}}}
    emulator.client(aws_access_key_id=account).update_image_set_metadata(
        datastoreId=DATASTORE,
        imageSetId=image_set_id,
        latestVersionId=version,
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(attributes)}},
    )


def test_a_deleted_image_set_shows_no_attributes(emulator: Emulator, ask: Ask) -> None:
    target = f"/datastores/{DATASTORE}/imageSets/{SAMPLE}"
    assert ask("GET", target)["tags"]
    emulator.client().delete_image_set(datastoreId=DATASTORE, imageSetId=SAMPLE)
    emulator.finish_transitions()
    assert (ask("GET", target)["latest"]["imageSetState"], ask("GET", target)["tags"]) == ("DELETED", {})
    status, error = ask("GET", f"{target}/metadata?versionId=1")
    assert (status, error["message"]) == (404, f"image set {SAMPLE} is deleted: it has no metadata")


def test_image_sets_are_listed_page_by_page_in_the_order_of_their_ids(ask: Ask) -> None:
    assert ask("GET", "/datastores") == {
        "datastores": [
            {"datastoreId": DATASTORE, "status": "ACTIVE"},
            {"datastoreId": OTHER_DATASTORE, "status": "ACTIVE"},
        ]
    }
    path = f"/datastores/{OTHER_DATASTORE}/imageSets"
    whole = ask("GET", path)["imageSets"]
    pages = [ask("GET", f"{path}?limit=5")]
    pages.append(ask("GET", f"{path}?limit=5&after={pages[0]['next']}"))
    assert [len(page["imageSets"]) for page in pages] == [5, 4]
    assert pages[0]["imageSets"] + pages[1]["imageSets"] == whole
    assert (pages[0]["next"], "next" in pages[1]) == (whole[4]["imageSetId"], False)
    ids = [each["imageSetId"] for each in whole]
    assert ids == sorted(ids)
    forced = ask("GET", f"{path}/{'forced':0<32}")
    assert (forced in whole, forced["latest"]["versionId"]) == (True, "2")


@pytest.mark.parametrize(
    ("datastore_id", "search", "found"),
    [
        (DATASTORE, SAMPLE[:9].upper(), 1),
        (DATASTORE, "Copying_With", 1),
        (OTHER_DATASTORE, "demo^patient 1", 3),
        (DATASTORE, "  ", 19),
        (DATASTORE, "no such text", 0),
    ],
)
def test_image_sets_are_searched_by_any_text(ask: Ask, datastore_id: str, search: str, found: int) -> None:
    listed = ask("GET", f"/datastores/{datastore_id}/imageSets?search={quote(search)}")["imageSets"]
    assert len(listed) == found


def test_a_search_has_pages(ask: Ask) -> None:
    path = f"/datastores/{OTHER_DATASTORE}/imageSets?search=ACTIVE"
    whole = [each["imageSetId"] for each in ask("GET", path)["imageSets"]]
    page = ask("GET", f"{path}&limit=2")
    assert [each["imageSetId"] for each in page["imageSets"]] == whole[:2]
    rest = ask("GET", f"{path}&after={page['next']}")["imageSets"]
    assert [each["imageSetId"] for each in rest] == whole[2:]


def test_the_versions_of_an_image_set_come_with_its_copies(emulator: Emulator, ask: Ask) -> None:
    assert "copies" not in ask("GET", VERSIONS)
    client = emulator.client()
    copied = client.copy_image_set(
        datastoreId=DATASTORE,
        sourceImageSetId=SAMPLE,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "4"}},
    )
    id = copied["destinationImageSetProperties"]["imageSetId"]
    assert ask("GET", VERSIONS)["copies"] == [
        {"versionId": "4", "direction": "to", "otherImageSetId": id, "otherVersionId": "1"}
    ]
    assert ask("GET", f"/datastores/{DATASTORE}/imageSets/{id}/versions")["copies"] == [
        {"versionId": "1", "direction": "from", "otherImageSetId": SAMPLE, "otherVersionId": "4"}
    ]


def test_a_limit_is_above_zero(ask: Ask) -> None:
    status, error = ask("GET", f"/datastores/{DATASTORE}/imageSets?limit=0")
    assert (status, error["message"]) == (400, "invalid limit '0': expected a number above 0")


@pytest.mark.parametrize("limit", ["-1", "1.5", "x", "", "\u0663"])
def test_a_limit_has_digits(ask: Ask, limit: str) -> None:
    status, error = ask("GET", f"/datastores/{DATASTORE}/imageSets?limit={quote(limit)}")
    assert (status, error["path"], error["message"]) == (
        400,
        "limit",
        f"invalid limit {limit!r}: expected a whole number",
    )


@pytest.mark.parametrize(
    ("method", "end"),
    [("GET", ""), ("DELETE", ""), ("POST", "/finish"), ("GET", "/metadata"), ("DELETE", "/versions/1")],
)
def test_an_unknown_image_set_cannot_be_read_or_changed(ask: Ask, method: str, end: str) -> None:
    status, error = ask(method, f"/datastores/{DATASTORE}/imageSets/{UNKNOWN}{end}")
    message = f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."
    assert (status, error) == (404, {"code": "NotFound", "message": message})


def test_a_removed_image_set_is_gone_from_an_exported_seed(ask: Ask) -> None:
    assert ask("DELETE", f"/datastores/{DATASTORE}/imageSets/{SAMPLE}") is None
    (first, _) = ask("GET", "/seed")["datastores"]
    assert SAMPLE not in {each["imageSetId"] for each in first["imageSets"]}


def test_transitions_under_way_are_listed_oldest_first() -> None:
    emulator = Emulator.from_seed()
    ask = asking(emulator)
    ask("PUT", "/clock", {"freeze": 1000000})
    update(emulator)
    ask("PUT", "/clock", {"advance": 0.25})
    ask(
        "POST", "/faults", {"match": {"operation": "UpdateImageSetMetadata"}, "workflow": {"reads": 3, "seconds": None}}
    )
    update(emulator, ONE, "1")
    first = {"operation": "UpdateImageSetMetadata", "imageSetIds": [SAMPLE], "reads": 1, "seconds": 0.75}
    second = {"operation": "UpdateImageSetMetadata", "imageSetIds": [ONE], "reads": 3, "seconds": None}
    assert ask("GET", "/transitions") == {"transitions": [first, second]}
    assert newest(emulator, image_set_id=ONE)["ImageSetWorkflowStatus"] == "UPDATING"
    assert ask("GET", "/transitions") == {"transitions": [first, second | {"reads": 2}]}
    assert ask("GET", "/transitions", account=A) == {"transitions": []}


def test_the_control_api_does_not_count_as_a_reader(emulator: Emulator, ask: Ask) -> None:
    update(emulator)
    for target in (VERSIONS, "/transitions", "/seed", "/calls"):
        ask("GET", target)
    assert newest(emulator)["ImageSetWorkflowStatus"] == "UPDATING"
    assert newest(emulator)["ImageSetWorkflowStatus"] == "UPDATED"


def test_a_transition_that_is_due_is_over() -> None:
    emulator = Emulator.from_seed()
    ask = asking(emulator)
    ask("PUT", "/clock", {"freeze": 1000000})
    update(emulator)
    ask("PUT", "/clock", {"advance": 1})
    assert ask("GET", VERSIONS)["versions"][0]["ImageSetWorkflowStatus"] == "UPDATED"
    assert ask("GET", "/transitions") == {"transitions": []}


def test_all_transitions_of_the_account_are_finished(emulator: Emulator, ask: Ask) -> None:
    update(emulator)
    update(emulator, ONE, "1")
    update(emulator, account=A)
    assert ask("POST", "/transitions/finish") is None
    assert ask("GET", "/transitions") == {"transitions": []}
    assert [newest(emulator, image_set_id=id)["ImageSetWorkflowStatus"] for id in (SAMPLE, ONE)] == ["UPDATED"] * 2
    assert len(ask("GET", "/transitions", account=A)["transitions"]) == 1
    assert ask("POST", "/transitions/finish") is None
