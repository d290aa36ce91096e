"""The control API: each row, and the clear answer to each mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from healthimaging_emulator import Emulator
from healthimaging_emulator.seeds import loader as seeds
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, ONE, SAMPLE, UNKNOWN, path

Ask = Callable[..., Any]
VERSIONS = f"/datastores/{DATASTORE}/imageSets/{SAMPLE}/versions"
THROTTLE = {"error": {"code": "ThrottlingException"}}
A, B = "111111111111", "222222222222"


@pytest.fixture
def ask(emulator: Emulator) -> Ask:
    return asking(emulator)


def asking(emulator: Emulator) -> Ask:
    """Return a function that sends a control request and returns the answer; of an error, its status and body."""
    client = emulator.app.test_client()

    def ask(method: str, path: str, body: Any = None, *, account: str | None = None, **headers: str) -> Any:
        sent = {"Content-Type": "application/json"} | headers | ({"x-emulator-account": account} if account else {})
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        served = {"emulator.link": None}  # as the emulator's own server would say
        response = client.open(f"/_emulator{path}", method=method, data=data, headers=sent, environ_overrides=served)
        if response.status_code >= 400:
            return response.status_code, response.json["error"]  # type: ignore[index]
        return response.json if response.data else None

    return ask


def newest(emulator: Emulator, account: str = "000000000000", image_set_id: str = SAMPLE) -> dict[str, Any]:
    client = emulator.client(aws_access_key_id=account)
    page = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return dict(page["imageSetPropertiesList"][0])


def throttled(emulator: Emulator, account: str = "000000000000") -> bool:
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={account}/x"}
    response: TestResponse = emulator.app.test_client().post(path(), headers=headers)
    return response.status_code == 429


# Faults.


def test_add_list_and_remove_rules(emulator: Emulator, ask: Ask) -> None:
    assert ask("POST", "/faults", THROTTLE)["faults"] == [THROTTLE | {"id": "fault-1", "matched": 0, "fired": 0}]
    assert throttled(emulator)
    added = ask("POST", "/faults", [THROTTLE | {"id": "a"}, {"delay": {"seconds": 0}, "id": "b"}])
    assert [rule["id"] for rule in added["faults"]] == ["a", "b"]
    listed = ask("GET", "/faults")["faults"]
    assert [(rule["id"], rule["matched"], rule["fired"]) for rule in listed] == [
        ("fault-1", 1, 1),
        ("a", 0, 0),
        ("b", 0, 0),
    ]
    assert ask("GET", "/faults/a") == listed[1]
    assert ask("DELETE", "/faults/fault-1") is None
    assert [rule["id"] for rule in ask("GET", "/faults")["faults"]] == ["a", "b"]
    assert ask("DELETE", "/faults") is None
    assert ask("GET", "/faults") == {"faults": []}
    assert not throttled(emulator)


def test_the_rule_of_the_design(ask: Ask) -> None:
    rule = {
        "id": "second-page-throttled-twice",
        "match": {
            "operation": "ListImageSetVersions",
            "datastoreId": DATASTORE,
            "imageSetId": MANY,
            "page": 2,
            "attempt": [1, 2],
        },
        "skip": 1,
        "every": 2,
        "times": 2,
        "probability": 0.5,
        "seed": 7,
        "expiresAfter": 60.0,
        "delay": {"seconds": 0.25, "jitter": 0.05},
        "error": {"code": "ThrottlingException", "message": "Rate exceeded", "retryAfter": 1.5},
    }
    assert ask("POST", "/faults", rule) == {"faults": [rule | {"matched": 0, "fired": 0}]}


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({}, "$", "has an effect, or a delay"),
        ([THROTTLE, {}], "$[1]", "has an effect, or a delay"),
        (THROTTLE | {"time": 1}, "$", "unknown field `time`"),
        (THROTTLE | {"times": "1"}, "$.times", "Expected `int"),
        (THROTTLE | {"times": 0}, "$.times", ">= 1"),
        ({"error": {"code": "Nonsense"}}, "$.error", "needs a status"),
        ([{"error": {"code": "Nonsense"}}], "$[0].error", "needs a status"),
        ({"page": "explode"}, "$.page", "Invalid enum value 'explode': it is one of repeat-token, cycle, empty-page"),
        ({"match": {"page": [0]}, **THROTTLE}, "$.match.page[0]", ">= 1"),
        (b"{", "$", "truncated"),
        (b"", "$", "truncated"),
        (b'{"times": 1, "times": 2}', "$", "'times' stands twice"),
        (b"null", "$", "Expected"),
        (b'"x"', "$", "Expected"),
    ],
)
def test_a_mistake_in_a_rule(ask: Ask, body: Any, path: str, message: str) -> None:
    status, error = ask("POST", "/faults", body)
    assert (status, error["code"], error["path"]) == (400, "BadRequest", path)
    assert message in error["message"]
    assert ask("GET", "/faults") == {"faults": []}


def test_a_rule_that_is_there_already(ask: Ask) -> None:
    ask("POST", "/faults", THROTTLE | {"id": "a"})
    status, error = ask("POST", "/faults", [THROTTLE | {"id": "b"}, THROTTLE | {"id": "a"}])
    assert (status, error) == (409, {"code": "Conflict", "message": "there is a rule a already", "path": "$[1].id"})
    assert [rule["id"] for rule in ask("GET", "/faults")["faults"]] == ["a"]


def test_a_connection_rule_under_another_server(emulator: Emulator) -> None:
    rule = [THROTTLE, {"connection": "reset"}]
    for method, target, sent in (
        ("POST", "/faults", rule),
        ("PUT", "/seed", {"faults": rule}),
        ("POST", "/seed", {"faults": rule}),
    ):
        response = emulator.app.test_client().open(f"/_emulator{target}", method=method, json=sent)
        assert response.status_code == 400
        assert "own server" in response.json["error"]["message"]  # type: ignore[index]
        assert response.json["error"]["path"].endswith("[1].connection")  # type: ignore[index]
    assert len(emulator.faults) == 0


# Calls.


def test_the_journal(emulator: Emulator, ask: Ask) -> None:
    emulator.clock.freeze(1000)
    ask("POST", "/faults", {"error": {"code": "ConflictException"}, "times": 1, "id": "a"})
    for target in (path(), path(MANY) + "?maxResults=2", "/x"):
        emulator.app.test_client().post(target)
    journal = ask("GET", "/calls")
    attempt: dict[str, Any] = {"number": 1, "time": 1000.0, "pause": None, "delay": 0.0, "faults": []}
    call = {"invocationId": None, "method": "POST", "retryMode": None, "page": 1, "operation": "ListImageSetVersions"}
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE, "maxResults": None}
    assert journal == {
        "calls": [
            call
            | ids
            | {"path": path(), "outcome": "ConflictException"}
            | {"attempts": [attempt | {"status": 409, "code": "ConflictException", "faults": ["a"]}]},
            call
            | {"datastoreId": DATASTORE, "imageSetId": MANY, "maxResults": 2, "path": path(MANY), "outcome": "Success"}
            | {"attempts": [attempt | {"status": 200, "code": None}]},
            call
            | {
                "datastoreId": None,
                "imageSetId": None,
                "maxResults": None,
                "path": "/x",
                "page": None,
                "operation": None,
            }
            | {"outcome": "UnknownOperationException"}
            | {"attempts": [attempt | {"status": 404, "code": "UnknownOperationException"}]},
        ],
        "dropped": 0,
    }
    assert [call["path"] for call in ask("GET", f"/calls?imageSetId={MANY}")["calls"]] == [path(MANY)]
    assert [call["path"] for call in ask("GET", "/calls?code=ConflictException&attempts=1")["calls"]] == [path()]
    assert ask("GET", "/calls?attempts=2")["calls"] == []
    assert ask("DELETE", "/calls") is None
    assert ask("GET", "/calls") == {"calls": [], "dropped": 0}


def test_rejected_requests_are_in_it(emulator: Emulator, ask: Ask) -> None:
    client = emulator.app.test_client()
    client.post(path() + "?maxResults=x")
    client.post(path(), headers={"Accept": "text/html"})
    client.post(path(), data=b"x" * 2_000_000)
    assert [call["outcome"] for call in ask("GET", "/calls")["calls"]] == [
        "SerializationException",
        "NotAcceptableException",
        "RequestEntityTooLargeException",
    ]


@pytest.mark.parametrize("query", ["imageSet=x", "attempts=x", "attempts=-1", "attempts=", "attempts=%D9%A1"])
def test_a_mistaken_filter(ask: Ask, query: str) -> None:
    status, error = ask("GET", f"/calls?{query}")
    assert (status, error["code"]) == (400, "BadRequest")


# Versions.


def test_append_a_version(emulator: Emulator, ask: Ask) -> None:
    emulator.clock.freeze(1700000000)
    version = ask("POST", VERSIONS, {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING"})
    assert version == {
        "imageSetId": SAMPLE,
        "versionId": "5",
        "imageSetState": "LOCKED",
        "ImageSetWorkflowStatus": "UPDATING",
        "createdAt": 1680027126.436,
        "updatedAt": 1700000000.0,
    }
    assert newest(emulator)["versionId"] == "5"
    assert ask("POST", VERSIONS, {"versionId": "9", "imageSetState": "ACTIVE"})["versionId"] == "9"


def test_a_loop_waits_for_updating_to_become_updated(emulator: Emulator, ask: Ask) -> None:
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
    ("method", "target", "body", "status", "message"),
    [
        ("POST", VERSIONS, {}, 400, "missing required field `imageSetState`"),
        ("POST", VERSIONS, {"imageSetState": "GONE"}, 400, "Invalid enum value 'GONE'"),
        ("POST", VERSIONS, {"imageSetState": "ACTIVE", "message": "é"}, 400, "regex"),
        ("POST", VERSIONS, {"imageSetState": "ACTIVE", "versionId": "4"}, 400, "does not follow 4"),
        ("POST", VERSIONS, {"imageSetState": "ACTIVE", "versionId": "9", "after": 5}, 400, "numbers itself"),
        ("POST", VERSIONS, {"imageSetState": "ACTIVE", "after": -1}, 400, ">= 0"),
        ("POST", VERSIONS, {"imageSetState": "ACTIVE", "createdAt": -1}, 400, "1970 to 9999"),
        ("POST", VERSIONS, {"imageSetState": "ACTIVE", "imageSetWorkflowStatus": "X"}, 400, "unknown field"),
        ("POST", VERSIONS.replace(SAMPLE, UNKNOWN), {"imageSetState": "ACTIVE"}, 404, "was not found"),
        ("POST", VERSIONS.replace(DATASTORE, UNKNOWN), {"imageSetState": "ACTIVE"}, 404, "was not found"),
        ("PUT", VERSIONS + "/5", {"imageSetState": "ACTIVE"}, 404, "has no version 5"),
        ("PUT", VERSIONS + "/5", {"imageSetState": "ACTIVE", "after": 5}, 404, "has no version 5"),
        ("PUT", VERSIONS + "/4", {"imageSetState": "ACTIVE", "versionId": "3"}, 400, "versionId is not 4"),
    ],
)
def test_a_mistaken_version(
    emulator: Emulator, ask: Ask, method: str, target: str, body: Any, status: int, message: str
) -> None:
    answered, error = ask(method, target, body)
    assert answered == status
    assert message in error["message"]
    assert newest(emulator)["versionId"] == "4"


# The clock.


def test_the_clock(ask: Ask) -> None:
    assert ask("GET", "/clock")["isFrozen"] is False
    assert ask("PUT", "/clock", {"freeze": "2024-01-01T00:00:00Z"}) == {"now": 1704067200.0, "isFrozen": True}
    assert ask("PUT", "/clock", {"advance": 60}) == {"now": 1704067260.0, "isFrozen": True}
    assert ask("GET", "/clock") == {"now": 1704067260.0, "isFrozen": True}
    assert ask("PUT", "/clock", {"run": True})["isFrozen"] is False
    assert 1704067260 <= ask("GET", "/clock")["now"] < 1704070000
    assert ask("PUT", "/clock", {"freeze": True})["isFrozen"] is True
    assert ask("PUT", "/clock", {"freeze": 0}) == {"now": 0.0, "isFrozen": True}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"freeze": False},
        {"advance": -1},
        {"advance": 1e300},
        {"freeze": "x"},
        {"freeze": -1},
        {"run": False},
        {"freeze": 1, "run": True},
        [],
    ],
)
def test_a_mistaken_clock(ask: Ask, body: Any) -> None:
    status, _ = ask("PUT", "/clock", body)
    assert status == 400
    assert ask("GET", "/clock")["isFrozen"] is False


# Seeds and resetting.

OTHER = {
    "datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": UNKNOWN, "generate": {"versions": 3}}]}]
}


def test_the_seed_that_an_account_sees_loads_again(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"})
    ask("POST", "/faults", THROTTLE | {"id": "a", "match": {"page": 2}})
    document = ask("GET", "/seed")
    loaded = seeds.load(document)
    assert loaded.baseline[DATASTORE][SAMPLE][-1].version_id == "5"
    assert loaded.baseline == emulator.account().store.histories()
    assert [rule.id for rule in loaded.faults] == ["a"]


def test_put_begins_again_with_another_seed(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"}, account=A)
    assert ask("PUT", "/seed", OTHER | {"faults": [THROTTLE | {"id": "a", "times": 1}]}, account=A) is None
    assert throttled(emulator, A)
    assert newest(emulator, A, UNKNOWN)["versionId"] == "3"
    emulator.image_set(DATASTORE, UNKNOWN, account=A).append(image_set_state="LOCKED")
    assert ask("POST", "/reset", account=A) is None
    assert (newest_after_throttle(emulator), newest(emulator)["versionId"]) == ("3", "4")
    assert SAMPLE not in emulator.account(A).store.histories()[DATASTORE]


def newest_after_throttle(emulator: Emulator) -> str:
    assert throttled(emulator, A)
    return str(newest(emulator, A, UNKNOWN)["versionId"])


def test_post_adds_to_what_there_is(emulator: Emulator, ask: Ask) -> None:
    assert ask("POST", "/seed", OTHER | {"faults": [{"delay": {"seconds": 0}, "id": "a"}]}) is None
    assert (newest(emulator)["versionId"], newest(emulator, image_set_id=UNKNOWN)["versionId"]) == ("4", "3")
    ask("POST", "/reset")
    status, _ = ask("POST", VERSIONS.replace(SAMPLE, UNKNOWN), {"imageSetState": "ACTIVE"})
    assert (status, ask("GET", "/faults")) == (404, {"faults": []})


def test_post_adds_all_or_nothing(emulator: Emulator, ask: Ask) -> None:
    image_sets = [{"imageSetId": id, "generate": {"versions": 1}} for id in (UNKNOWN, SAMPLE)]
    both = {"datastores": [{"datastoreId": DATASTORE, "imageSets": image_sets}], "faults": [THROTTLE]}
    status, error = ask("POST", "/seed", both)
    assert (status, error["code"]) == (409, "Conflict")
    assert f"image set {SAMPLE} is in data store {DATASTORE} already" in error["message"]
    assert ask("GET", "/faults") == {"faults": []}
    assert UNKNOWN not in emulator.account().store.histories()[DATASTORE]


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"datastores": [{"datastoreId": "X"}]}, "$.datastores[0].datastoreId"),
        (
            {"datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": ONE}]}]},
            "$.datastores[0].imageSets[0]",
        ),
        ({"faults": [{}]}, "$.faults[0]"),
        ({"x": 1}, "$"),
        (b"nonsense", "$"),
        (b"", "$"),
    ],
)
def test_a_mistaken_seed(emulator: Emulator, ask: Ask, method: str, body: Any, path: str) -> None:
    status, error = ask(method, "/seed", body)
    assert (status, error["path"]) == (400, path)
    assert newest(emulator)["versionId"] == "4"


@pytest.mark.parametrize("target", ["/health?x", "/faults?x=1", VERSIONS + "?after=30", "/calls?attempt=3"])
def test_a_parameter_that_nobody_reads(ask: Ask, target: str) -> None:
    status, error = ask("POST" if "after" in target else "GET", target, {"imageSetState": "ACTIVE"})
    assert (status, error["code"]) == (400, "BadRequest")
    assert error["message"] == f"there is no parameter {error['path']} here"


def test_changes_to_come_can_build_on_each_other(emulator: Emulator, ask: Ask) -> None:
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


def test_a_change_to_come_that_another_one_made_impossible(
    emulator: Emulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    ask("PUT", "/clock", {"freeze": 1000000})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 5})
    ask("PUT", VERSIONS + "/5", {"imageSetState": "ACTIVE", "after": 30})
    ask("POST", VERSIONS, {"imageSetState": "ACTIVE", "versionId": "9"})
    ask("PUT", "/clock", {"advance": 60})
    assert newest(emulator)["versionId"] == "10"
    assert "a change that was due could not be made" in caplog.text


@pytest.mark.parametrize("year", ["2000", "2100"])
def test_a_seeds_rules_are_armed_by_the_clock_that_runs_again(year: str) -> None:
    rule = THROTTLE | {"expiresAfter": 60, "id": "a"}
    emulator = Emulator.from_seed(DEMO, {"faults": [rule]})
    ask = asking(emulator)
    for method, target, body in (("POST", "/reset", None), ("PUT", "/seed", {"faults": [rule]})):
        ask("PUT", "/clock", {"freeze": f"{year}-01-01T00:00:00Z"})
        ask(method, target, body)
        assert throttled(emulator)
        ask("PUT", "/clock", {"advance": 61})
        assert ask("GET", "/faults/a")["fired"] == 1
        emulator.app.test_client().post(path())
        assert ask("GET", "/faults/a")["fired"] == 1


def test_rules_without_a_name_can_be_posted_again(ask: Ask) -> None:
    for _ in range(2):
        assert ask("POST", "/seed", {"faults": [THROTTLE]}) is None
    assert [rule["id"] for rule in ask("GET", "/faults")["faults"]] == ["fault-1", "fault-2"]
    status, error = ask("POST", "/seed", {"faults": [{"delay": {"seconds": 0}}, THROTTLE | {"id": "fault-1"}]})
    assert (status, error["path"]) == (409, "$.faults[1].id")


def test_reset_in_parts(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 5})
    ask("POST", "/faults", {"delay": {"seconds": 1}})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"})
    newest(emulator)
    assert ask("POST", "/reset", {"only": ["faults", "clock"]}) is None
    assert (ask("GET", "/faults"), ask("GET", "/clock")["isFrozen"]) == ({"faults": []}, False)
    assert (newest(emulator)["versionId"], len(ask("GET", "/calls")["calls"])) == ("5", 2)
    ask("POST", "/reset", {"only": ["changes", "calls"]})
    assert ask("GET", "/calls") == {"calls": [], "dropped": 0}
    assert newest(emulator)["versionId"] == "4"
    assert ask("POST", "/reset", {"only": ["everything"]})[0] == 400


def test_reset_forgets_what_is_not_yet_due(emulator: Emulator, ask: Ask) -> None:
    ask("PUT", "/clock", {"freeze": 5})
    ask("POST", VERSIONS, {"imageSetState": "LOCKED", "after": 10})
    ask("POST", "/reset", {"only": ["changes"]})
    ask("PUT", "/clock", {"advance": 100})
    assert newest(emulator)["versionId"] == "4"


def test_a_seeds_own_rules_are_armed_for_every_account() -> None:
    emulator = Emulator.from_seed(DEMO, {"faults": [THROTTLE | {"times": 1}]})
    assert [throttled(emulator, account) for account in (A, A, B)] == [True, False, True]
    emulator.account(A).reset()
    assert [throttled(emulator, account) for account in (A, B)] == [True, False]


# Accounts, and the token.


def test_what_the_header_changes_is_what_the_key_sees(emulator: Emulator, ask: Ask) -> None:
    ask("POST", VERSIONS, {"imageSetState": "LOCKED"}, account=A)
    ask("POST", "/faults", THROTTLE | {"match": {"attempt": 1}}, account=B)
    ask("PUT", "/clock", {"freeze": 7}, account=A)
    assert [newest(emulator, account)["versionId"] for account in (A, "000000000000")] == ["5", "4"]
    assert [throttled(emulator, account) for account in (A, B, "000000000000")] == [False, True, False]
    assert [ask("GET", "/clock", account=account)["isFrozen"] for account in (A, B)] == [True, False]
    assert [len(ask("GET", "/calls", account=account)["calls"]) for account in (A, B)] == [2, 1]


@pytest.mark.parametrize("account", ["1", "x" * 12, "1" * 13])
def test_an_account_has_12_digits(ask: Ask, account: str) -> None:
    status, error = ask("GET", "/faults", account=account)
    assert (status, error["path"]) == (400, "x-emulator-account")


def test_a_control_token() -> None:
    emulator = Emulator.from_seed(DEMO, control_token="sesame")
    ask = asking(emulator)
    for headers in ({}, {"x-emulator-token": "x"}, {"x-emulator-token": "é"}):
        status, error = ask("POST", "/faults", THROTTLE, **headers)
        assert (status, error["code"]) == (403, "Forbidden")
    assert len(emulator.faults) == 0
    assert ask("GET", "/health") == {"status": "ready"}
    assert ask("POST", "/faults", THROTTLE, **{"x-emulator-token": "sesame"})["faults"]
    assert throttled(emulator)


def test_a_control_token_outside_ascii() -> None:
    ask = asking(Emulator.from_seed(DEMO, control_token="sésame"))
    assert ask("GET", "/faults", **{"x-emulator-token": "sésame".encode().decode("latin-1")}) == {"faults": []}


# What is not there, and what fails.


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/nothing"),
        ("GET", "/"),
        ("POST", "/health"),
        ("OPTIONS", "/health"),
        ("PATCH", "/faults"),
        ("PUT", "/reset"),
        ("GET", "/faults/"),
        ("GET", "//faults"),
        ("GET", "/faults/a/b"),
        ("GET", VERSIONS),
    ],
)
def test_what_is_not_there(ask: Ask, method: str, target: str) -> None:
    status, error = ask(method, target)
    assert (status, error) == (404, {"code": "NotFound", "message": f"there is no {method} /_emulator{target}"})


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_rule_that_is_not_there(ask: Ask, method: str) -> None:
    assert ask(method, "/faults/x") == (404, {"code": "NotFound", "message": "there is no rule x"})


def test_what_nobody_foresaw(
    emulator: Emulator, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(emulator.account(), "clock", None)
    assert ask("GET", "/clock") == (
        500,
        {"code": "InternalError", "message": "the emulator failed; its log says why"},
    )
    assert "AttributeError" in caplog.text


VERSION = {"versionId": "1", "imageSetState": "ACTIVE", "message": "a", "overrides": {"forced": True}}


@pytest.mark.parametrize(
    ("type", "document"),
    [
        ("shapes.ImageSetProperties", VERSION | {"imageSetId": SAMPLE}),
        ("rules.Rule", THROTTLE | {"match": {"page": [1]}}),
        ("seeds.SeedDocument", {"datastores": [{"datastoreId": DATASTORE, "imageSets": []}]}),
        ("control.Version", VERSION),
    ],
)
def test_threads_may_be_the_first_to_read_a_document(type: str, document: Any) -> None:
    """What msgspec knows of a type is built on first use, and threads that do so at once crash Python."""
    program = f"""
import sys, threading
import msgspec
from healthimaging_emulator.control import endpoints as control
from healthimaging_emulator.faults import fault as rules
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.healthimaging import shapes
sys.setswitchinterval(1e-6)
ready = threading.Barrier(16)
def read():
    ready.wait()
    for _ in range(100):
        msgspec.convert({document!r}, {type})
threads = [threading.Thread(target=read) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


# OpenAPI.


def test_the_description_is_valid_and_whole(emulator: Emulator, ask: Ask) -> None:
    document = ask("GET", "/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in emulator.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    snaked = {(method, path.replace("Id}", "_id}").replace("imageSet_", "image_set_")) for method, path in described}
    assert snaked | {("GET", "/_emulator/openapi.json")} == served
    assert {"Rule", "SeedDocument", "Call", "Attempt", "ErrorBody"} <= set(document["components"]["schemas"])
