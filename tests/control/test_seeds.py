"""Seeds, resetting and later changes in the control API."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.seeds.loader import load_seed
from tests.conftest import DEMO
from tests.demo import DATASTORE, ONE, SAMPLE, UNKNOWN, path

from .conftest import ACTIVE, NO_EFFECT, THROTTLE, VERSIONS, A, Ask, B, asking, newest, throttled

OTHER = {
    "datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": UNKNOWN, "generate": {"versions": 3}}]}]
}


def test_an_exported_seed_loads_again(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"})
    ask("POST", "/faults", THROTTLE | {"id": "a", "match": {"page": 2}})
    document = ask("GET", "/seed")
    loaded = load_seed(document)
    assert loaded.baseline[DATASTORE][SAMPLE].latest.version_id == "5"
    assert loaded.baseline == emulator.account().store.snapshot()
    assert [fault.id for fault in loaded.faults] == ["a"]


def test_put_begins_again_with_another_seed(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"}, account=A)
    assert ask("PUT", "/seed", OTHER | {"faults": [THROTTLE | {"id": "a", "times": 1}]}, account=A) is None
    assert throttled(emulator, A)
    assert newest(emulator, A, UNKNOWN)["versionId"] == "3"
    emulator.image_set(DATASTORE, UNKNOWN, account=A).append(image_set_state="LOCKED")
    assert ask("POST", "/reset", account=A) is None
    assert (newest_after_throttle(emulator), newest(emulator)["versionId"]) == ("3", "4")
    assert SAMPLE not in emulator.account(A).store.snapshot()[DATASTORE]


def newest_after_throttle(emulator: Emulator) -> str:
    assert throttled(emulator, A)
    return str(newest(emulator, A, UNKNOWN)["versionId"])


def test_post_adds_to_the_present_state(emulator: Emulator, ask: Ask) -> None:
    assert ask("POST", "/seed", OTHER | {"faults": [{"latency": {"seconds": 0}, "id": "a"}]}) is None
    assert (newest(emulator)["versionId"], newest(emulator, image_set_id=UNKNOWN)["versionId"]) == ("4", "3")
    ask("POST", "/reset")
    status, _ = ask("POST", VERSIONS.replace(SAMPLE, UNKNOWN), {"imageSetState": "ACTIVE"})
    assert (status, ask("GET", "/faults")) == (404, {"faults": []})


def test_post_adds_all_or_nothing(emulator: Emulator, ask: Ask) -> None:
    image_sets = [{"imageSetId": id, "generate": {"versions": 1}} for id in (UNKNOWN, SAMPLE)]
    both = {"datastores": [{"datastoreId": DATASTORE, "imageSets": image_sets}], "faults": [THROTTLE]}
    message = f"image set {SAMPLE} is in data store {DATASTORE} already"
    assert ask("POST", "/seed", both) == (409, {"code": "Conflict", "message": message})
    assert ask("GET", "/faults") == {"faults": []}
    assert UNKNOWN not in emulator.account().store.snapshot()[DATASTORE]


def of_one(**image_set: Any) -> dict[str, Any]:
    return {"datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": ONE} | image_set]}]}


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (
            {"datastores": [{"datastoreId": "X"}]},
            "$.datastores[0].datastoreId",
            "Expected `str` matching regex '[0-9a-z]{32}'",
        ),
        (of_one(), "$.datastores[0].imageSets[0]", "an image set needs versions or generate"),
        (
            of_one(generate={"versions": 1}, metadata="metadata.json"),
            "$.datastores[0].imageSets[0].metadata",
            "metadata can name a file only in a seed that is a file",
        ),
        ({"faults": [{}]}, "$.faults[0]", NO_EFFECT),
        ({"x": 1}, "$", "Object contains unknown field `x`: expected one of datastores, imports, faults"),
        (b"nonsense", "$", "JSON is malformed: invalid character (byte 4)"),
        (b"", "$", "Input data was truncated"),
    ],
)
def test_a_mistaken_seed_is_refused(
    emulator: Emulator, ask: Ask, method: str, body: Any, path: str, message: str
) -> None:
    assert ask(method, "/seed", body) == (400, {"code": "BadRequest", "message": message, "path": path})
    assert newest(emulator)["versionId"] == "4"


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/health?x", "x"),
        ("GET", "/faults?x=1", "x"),
        ("GET", "/calls?attempt=3", "attempt"),
        ("GET", "/calls?imageSet=x", "imageSet"),
        ("POST", VERSIONS + "?after=30", "after"),
    ],
)
def test_an_unknown_query_parameter_is_refused(ask: Ask, method: str, target: str, name: str) -> None:
    refused = {"code": "BadRequest", "message": f"there is no query parameter {name!r} here", "path": name}
    assert ask(method, target, ACTIVE) == (400, refused)


def test_later_changes_can_build_on_each_other(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING", "after": 5})
    updated = {"imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATED"}
    assert ask("PUT", VERSIONS + "/5", updated | {"after": 4})[0] == 404
    assert ask("PUT", VERSIONS + "/5", updated | {"after": 30}) is None
    seen = []
    for _ in range(4):
        seen.append(newest(emulator)["ImageSetWorkflowStatus"] + newest(emulator)["versionId"])
        ask("PUT", "/clock", {"advance": 10})
    assert seen == ["UPDATED4", "UPDATING5", "UPDATING5", "UPDATED5"]


def test_a_later_change_that_has_become_impossible_is_left_out(
    emulator: Emulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 5})
    ask("PUT", VERSIONS + "/5", {"imageSetState": "ACTIVE", "after": 30})
    ask("POST", VERSIONS, {"imageSetState": "ACTIVE", "versionId": "9"})
    ask("PUT", "/clock", {"advance": 60})
    assert newest(emulator)["versionId"] == "10"
    assert caplog.messages == [
        "version 9 follows 4: AWS skips no number",
        f"a change that was due could not be made: image set {SAMPLE} has no version 5",
    ]


@pytest.mark.parametrize("year", ["2000", "2100"])
def test_the_faults_of_a_seed_expire_whatever_date_was_set(year: str) -> None:
    fault = THROTTLE | {"expiresAfter": 60, "id": "a"}
    emulator = Emulator.from_seed(DEMO, {"faults": [fault]})
    ask = asking(emulator)
    for method, target, body in (("POST", "/reset", None), ("PUT", "/seed", {"faults": [fault]})):
        ask("PUT", "/clock", {"freeze": f"{year}-01-01T00:00:00Z"})
        ask(method, target, body)
        assert throttled(emulator)
        ask("PUT", "/clock", {"advance": 61})
        assert ask("GET", "/faults/a")["fired"] == 1
        emulator.app.test_client().post(path())
        assert ask("GET", "/faults/a")["fired"] == 1


def test_faults_without_an_id_can_be_posted_again(ask: Ask) -> None:
    for _ in range(2):
        assert ask("POST", "/seed", {"faults": [THROTTLE]}) is None
    assert [fault["id"] for fault in ask("GET", "/faults")["faults"]] == ["fault-1", "fault-2"]
    taken = {"code": "Conflict", "message": "there is a fault fault-1 already", "path": "$.faults[1].id"}
    two = [{"latency": {"seconds": 0}}, THROTTLE | {"id": "fault-1"}]
    assert ask("POST", "/seed", {"faults": two}) == (409, taken)


def test_reset_may_be_of_some_parts_only(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 5})
    ask("POST", "/faults", {"latency": {"seconds": 0.001}})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"})
    newest(emulator)
    assert ask("POST", "/reset", {"only": ["faults", "clock"]}) is None
    assert (ask("GET", "/faults"), ask("GET", "/clock")["isFrozen"]) == ({"faults": []}, False)
    assert (newest(emulator)["versionId"], len(ask("GET", "/calls")["calls"])) == ("5", 2)
    ask("POST", "/reset", {"only": ["changes", "calls"]})
    assert ask("GET", "/calls")["calls"] == []
    assert newest(emulator)["versionId"] == "4"
    message = "Invalid enum value 'everything': expected one of calls, changes, clock, faults"
    refused = {"code": "BadRequest", "message": message, "path": "$.only[0]"}
    assert ask("POST", "/reset", {"only": ["everything"]}) == (400, refused)


def test_reset_drops_changes_that_are_due_later(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 5})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 10})
    ask("POST", "/reset", {"only": ["changes"]})
    ask("PUT", "/clock", {"advance": 100})
    assert newest(emulator)["versionId"] == "4"


def test_the_faults_of_a_seed_are_there_for_every_account() -> None:
    emulator = Emulator.from_seed(DEMO, {"faults": [THROTTLE | {"times": 1}]})
    assert [throttled(emulator, account) for account in (A, A, B)] == [True, False, True]
    emulator.account(A).reset()
    assert [throttled(emulator, account) for account in (A, B)] == [True, False]
