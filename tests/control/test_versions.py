"""Versions in the control API."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator import Emulator
from tests.demo import DATASTORE, SAMPLE, UNKNOWN

from .conftest import ACTIVE, VERSIONS, Ask, newest


def test_a_version_is_appended_with_the_next_number(emulator: Emulator, ask: Ask) -> None:
    emulator.clock.freeze(1700000000)
    version = ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING"})
    assert version == UNSET | {
        "imageSetId": SAMPLE,
        "versionId": "5",
        "imageSetState": "LOCKED",
        "ImageSetWorkflowStatus": "UPDATING",
        "createdAt": 1680027126.436,
        "updatedAt": 1700000000.0,
    }
    assert newest(emulator)["versionId"] == "5"
    assert ask("POST", VERSIONS, {"versionId": "9", "imageSetState": "ACTIVE"})["versionId"] == "9"


UNSET = dict.fromkeys(["deletedAt", "isPrimary", "message", "metadata", "overrides", "updatedAt"])


def test_versions_are_listed_newest_first(emulator: Emulator, ask: Ask) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(
        image_set_state="ACTIVE", updated_at=5, message="m", is_primary=True, metadata={"Study": {}}
    )
    versions = ask("GET", VERSIONS)["versions"]
    assert [version["versionId"] for version in versions] == ["5", "4", "3", "2", "1"]
    assert versions[-1] == UNSET | {
        "imageSetId": SAMPLE,
        "versionId": "1",
        "imageSetState": "ACTIVE",
        "ImageSetWorkflowStatus": "COPIED",
        "createdAt": 1680027126.436,
    }
    told = {"message": "m", "isPrimary": True, "updatedAt": 5.0, "metadata": None}
    assert {name: versions[0][name] for name in told} == told


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (VERSIONS.replace(SAMPLE, UNKNOWN), f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        (VERSIONS.replace(DATASTORE, UNKNOWN), f"Datastore {UNKNOWN} was not found."),
    ],
)
def test_versions_of_an_unknown_image_set_are_not_found(ask: Ask, target: str, message: str) -> None:
    assert ask("GET", target) == (404, {"code": "NotFound", "message": message})


def test_versions_that_are_due_are_listed(ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    assert ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 5}) is None
    ask("PUT", "/clock", {"advance": 5})
    assert ask("GET", VERSIONS)["versions"][0]["versionId"] == "5"


def test_a_version_may_have_metadata(emulator: Emulator, ask: Ask) -> None:
    for method, target, body in (
        ("POST", VERSIONS, {"metadata": {"Study": {"DICOM": {"StudyID": "new"}}}}),
        ("PUT", VERSIONS + "/1", {"metadata": {"Study": {"DICOM": {"StudyID": "first"}}}}),
    ):
        ask(method, target, {"imageSetState": "ACTIVE"} | body)
    versions = emulator.image_set(DATASTORE, SAMPLE).versions
    studies = [each.metadata.parse()["Study"]["DICOM"]["StudyID"] for each in versions if each.metadata]
    assert studies == ["new", "first"]


def test_a_client_can_poll_until_updating_becomes_updated(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": "2024-01-01T00:00:00Z"})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING"})
    updated = {"imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATED", "after": 30}
    assert ask("PUT", VERSIONS + "/5", updated) is None
    polls = 0
    while newest(emulator)["ImageSetWorkflowStatus"] == "UPDATING" and polls < 10:
        polls += 1
        ask("PUT", "/clock", {"advance": 10})
    assert polls == 3
    assert newest(emulator)["updatedAt"].timestamp() == 1704067230.0


def test_versions_appear_in_the_order_in_which_they_are_due(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    for after, status in ((30, "UPDATED"), (10, "UPDATING"), (30, "UPDATE_FAILED")):
        state = "LOCKED" if status == "UPDATING" else "ACTIVE"
        ask("POST", VERSIONS, {"imageSetState": state, "ImageSetWorkflowStatus": status, "after": after})
    assert newest(emulator)["versionId"] == "4"
    ask("PUT", "/clock", {"advance": 30})
    versions = emulator.image_set(DATASTORE, SAMPLE).versions[:3]
    assert [(each.version_id, each.image_set_workflow_status, each.updated_at) for each in versions] == [
        ("7", "UPDATE_FAILED", 1000030.0),
        ("6", "UPDATED", 1000030.0),
        ("5", "UPDATING", 1000010.0),
    ]


@pytest.mark.parametrize(
    ("method", "target", "body", "path", "message"),
    [
        ("POST", VERSIONS, {}, "$", "Object missing required field `imageSetState`"),
        (
            "POST",
            VERSIONS,
            {"imageSetState": "GONE"},
            "$.imageSetState",
            "Invalid enum value 'GONE': expected one of ACTIVE, DELETED, LOCKED",
        ),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"message": "é"},
            "$.message",
            "Expected `str` matching regex '[A-Za-z0-9_ -:`]+'",
        ),
        ("POST", VERSIONS, ACTIVE | {"versionId": "4"}, None, "invalid version_id '4': expected more than 4"),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"versionId": "9", "after": 5},
            None,
            "version_id cannot be combined with after: the version gets the next number",
        ),
        ("POST", VERSIONS, ACTIVE | {"after": -1}, "$.after", "Expected `float` >= 0.0"),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"createdAt": -1},
            None,
            "invalid time -1.0: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        (
            "POST",
            VERSIONS,
            ACTIVE | {"imageSetWorkflowStatus": "X"},
            "$",
            "Object contains unknown field `imageSetWorkflowStatus` (did you mean ImageSetWorkflowStatus?)",
        ),
        ("POST", VERSIONS, ACTIVE | {"metadata": "a.json"}, "$.metadata", "Expected `object | null`, got `str`"),
        ("POST", VERSIONS, ACTIVE | {"metadata": {"Study": 1}}, "$.metadata.Study", "expected an object"),
        (
            "PUT",
            VERSIONS + "/4",
            ACTIVE | {"versionId": "3"},
            "$.versionId",
            "versionId is not 4, which the path names",
        ),
    ],
)
def test_a_mistaken_version_is_refused(
    emulator: Emulator, ask: Ask, method: str, target: str, body: Any, path: str | None, message: str
) -> None:
    at = {"path": path} if path else {}
    assert ask(method, target, body) == (400, {"code": "BadRequest", "message": message} | at)
    assert newest(emulator)["versionId"] == "4"


@pytest.mark.parametrize(
    ("method", "target", "body", "message"),
    [
        (
            "POST",
            VERSIONS.replace(SAMPLE, UNKNOWN),
            ACTIVE,
            f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}.",
        ),
        ("POST", VERSIONS.replace(DATASTORE, UNKNOWN), ACTIVE, f"Datastore {UNKNOWN} was not found."),
        ("PUT", VERSIONS + "/5", ACTIVE, f"image set {SAMPLE} has no version 5"),
        ("PUT", VERSIONS + "/5", ACTIVE | {"after": 5}, f"image set {SAMPLE} has no version 5"),
        ("PUT", VERSIONS + "/04", ACTIVE, f"image set {SAMPLE} has no version 04"),
        ("PUT", VERSIONS + "/x", ACTIVE, f"image set {SAMPLE} has no version x"),
    ],
)
def test_a_version_of_something_unknown_is_not_found(
    emulator: Emulator, ask: Ask, method: str, target: str, body: Any, message: str
) -> None:
    assert ask(method, target, body) == (404, {"code": "NotFound", "message": message})
    assert newest(emulator)["versionId"] == "4"
