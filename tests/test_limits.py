"""What an emulator refuses when it is full, and that nothing is lost then."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault, LimitExceeded, Limits, Remote, RuleError
from healthimaging_emulator.server import listener as server_module
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, path
from tests.raw import JSON, Client, exchange, request, until

ACTIVE: dict[str, Any] = {"image_set_state": "ACTIVE"}


def limited(**limits: int) -> Emulator:
    return Emulator.from_seed(DEMO, limits=Limits(**limits))


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None])
def test_a_limit_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"the limit of {name} is a whole number above 0"):
        Limits(**{name: value})


# Accounts.


def asked_by(emulator: Emulator, account: str) -> Any:
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/x/y"}
    return emulator.app.test_client().post(path(), headers=headers)


@pytest.mark.parametrize("origins", [[], ["http://localhost:3000"]])
def test_accounts(origins: list[str]) -> None:
    emulator = Emulator.from_seed(DEMO, limits=Limits(accounts=2), cors_origins=origins)
    assert [asked_by(emulator, account * 12).status_code for account in "1101"] == [200] * 4
    refused = asked_by(emulator, "333333333333")
    assert (refused.status_code, refused.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert refused.json["message"] == (
        "The emulator has no room for another account: that would make 3 accounts, and --max-accounts is 2."
    )
    with pytest.raises(LimitExceeded):
        emulator.account("333333333333")
    control = emulator.app.test_client().get("/_emulator/calls", headers={"x-emulator-account": "333333333333"})
    assert (control.status_code, control.json["error"]["code"]) == (400, "BadRequest")  # type: ignore[index]
    emulator.account("111111111111").forget()
    assert asked_by(emulator, "333333333333").status_code == 200


def test_the_default_account_is_always_there() -> None:
    emulator = limited(accounts=1)
    assert asked_by(emulator, "111111111111").status_code == 403
    assert asked_by(emulator, "000000000000").status_code == 200


def test_an_account_that_was_forgotten_begins_anew() -> None:
    emulator = Emulator.from_seed(DEMO)
    with emulator.serve() as server:
        remote = Remote(server.url, "111111111111")
        remote.put_seed({"datastores": []})
        remote.faults.add(Fault.error("ThrottlingException"))
        remote.forget()
        assert (len(remote.faults), len(remote.calls)) == (0, 0)
        assert len(remote.image_set(DATASTORE, SAMPLE).versions) == 4


def test_forgetting_ends_what_the_accounts_rules_hold_up(server: Server, emulator: Emulator) -> None:
    stall = emulator.account("111111111111")
    stall.faults.add(Fault.connection("stall", seconds=3600))
    with Client(server) as client:
        client.send(request("POST", path(), "Authorization: Credential=111111111111/"))
        until(lambda: any(armed.waiting for armed in stall.faults._armed.values()))
        stall.forget()
        assert client.is_closed()


def test_an_account_forgotten_twice_leaves_its_follower_alone() -> None:
    emulator = Emulator.from_seed(DEMO)
    first = emulator.account()
    first.forget()
    second = emulator.account()
    first.forget()
    assert emulator.account() is second is not first


# Calls, rules, versions.


def test_calls() -> None:
    emulator = limited(calls=2)
    for size in (1, 2, 3):
        emulator.app.test_client().post(f"{path()}?maxResults={size}")
    assert ([call.max_results for call in emulator.calls], emulator.calls.dropped) == ([2, 3], 1)


def test_rules() -> None:
    emulator = limited(faults=3)
    emulator.faults.add(Fault.delay(0), Fault.delay(0))
    with pytest.raises(LimitExceeded, match="that would make 4 faults, and --max-faults is 3"):
        emulator.faults.add(Fault.delay(0), Fault.delay(0))
    assert len(emulator.faults) == 2
    emulator.faults.add(Fault.delay(0))
    emulator.faults.clear()
    assert len(emulator.faults.add(*[Fault.delay(0)] * 3)) == 3


def test_rules_of_a_seed_that_is_put() -> None:
    emulator = limited(faults=1)
    for method in ("PUT", "POST"):
        body = json.dumps({"faults": [{"delay": {"seconds": 0}}] * 2})
        response = emulator.app.test_client().open(
            "/_emulator/seed", method=method, data=body, content_type="application/json"
        )
        assert response.status_code == 400
        assert "2 faults" in response.json["error"]["message"]  # type: ignore[index]
    assert len(emulator.faults) == 0


def test_a_seed_at_the_start_may_have_any_number_of_rules() -> None:
    emulator = Emulator.from_seed({"faults": [{"delay": {"seconds": 0}}] * 30}, limits=Limits(faults=10))
    emulator.faults.add()
    emulator.faults.add(*[Fault.delay(0)] * 10)
    with pytest.raises(LimitExceeded):
        emulator.faults.add(Fault.delay(0))
    assert len(emulator.faults) == 40


def test_versions_that_are_appended() -> None:
    emulator = limited(versions=2)
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    image_set.append(**ACTIVE)
    image_set.replace("1", **ACTIVE)  # adds none
    image_set.append(after=60, **ACTIVE)
    with pytest.raises(LimitExceeded, match="that would make 3 versions, and --max-versions is 2"):
        image_set.append(**ACTIVE)
    with pytest.raises(LimitExceeded):
        emulator.add_image_set(DATASTORE, "a" * 32)
    emulator.clock.advance(60)
    assert [version.version_id for version in image_set.versions] == ["6", "5", "4", "3", "2", "1"]
    emulator.reset("changes")
    assert image_set.append(**ACTIVE)


def test_changes_to_come_count_until_they_are_made() -> None:
    emulator = limited(pending=1, versions=1)
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    image_set.replace("1", after=1, **ACTIVE)
    with pytest.raises(LimitExceeded, match="that would make 2 pending, and --max-pending is 1"):
        image_set.append(after=1, **ACTIVE)
    emulator.clock.advance(1)
    image_set.append(after=1, **ACTIVE)  # of the one that was refused, nothing was counted
    emulator.clock.advance(1)
    assert len(image_set.versions) == 5


def test_data_stores_count_too() -> None:
    emulator = limited(versions=2)
    client = emulator.app.test_client()
    for names, status in (("ab", 204), ("ab", 204), ("c", 400)):
        body = json.dumps({"datastores": [{"datastoreId": name * 32} for name in names]})
        assert client.post("/_emulator/seed", data=body, content_type="application/json").status_code == status


def test_what_a_rule_or_the_journal_keeps_of_a_text() -> None:
    emulator = Emulator.from_seed(DEMO)
    for rule in (Fault.error("ThrottlingException", message="m" * 8193), Fault.delay(0, page=[1] * 1001)):
        with pytest.raises(RuleError, match="length <= "):
            emulator.faults.add(rule)
    long = "a" * 30_000
    headers = {"amz-sdk-invocation-id": long, "User-Agent": f"cfg/retry-mode#{long}"}
    for _ in range(2):
        emulator.app.test_client().post(path(long), headers=headers)
    (call,) = emulator.calls
    assert len(call.attempts) == 2
    kept = (call.path, call.invocation_id, call.image_set_id, call.retry_mode)
    assert [len(text or "") for text in kept] == [1000, 1000, 1000, 100]


def test_a_change_to_come_that_could_not_be_made_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    emulator = limited(versions=2)
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    emulator.clock.freeze()
    image_set.append(after=1, **ACTIVE)
    image_set.append(version_id="9" * 18, **ACTIVE)  # which nothing can follow
    emulator.clock.advance(1)
    assert len(image_set.versions) == 5
    assert "could not be made" in caplog.text
    emulator.add_image_set(DATASTORE, "a" * 32)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_versions_of_a_seed_that_is_put(method: str) -> None:
    emulator = limited(versions=1000)
    image_set = {"imageSetId": "a" * 32, "generate": {"versions": 10_000_000}}
    body = json.dumps({"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]})
    response = emulator.app.test_client().open(
        "/_emulator/seed", method=method, data=body, content_type=JSON.split()[1]
    )
    assert response.status_code == 400
    assert response.json["error"]["message"] == "that would make 10,000,001 versions, and --max-versions is 1,000"  # type: ignore[index]
    assert len(emulator.image_set(DATASTORE, MANY).versions) == 137


# Bytes and connections.


def test_bodies() -> None:
    with limited(body=10, control_body=30).serve() as server:
        assert exchange(server, request("POST", path(), body=b"x" * 10)).status == 200
        assert exchange(server, request("POST", path(), body=b"x" * 11)).status == 413
        assert exchange(server, request("PUT", "/_emulator/seed", JSON, body=b"{}".ljust(30))).status == 204
        refused = exchange(server, request("PUT", "/_emulator/seed", JSON, body=b"{}".ljust(31)))
        assert (refused.status, refused.json["error"]["message"]) == (400, "a body has at most 30 bytes")


def test_heads() -> None:
    with limited(head=1000).serve() as server:
        filled = request("POST", path(), "X: ").replace(
            b"X: ", b"X: " + b"a" * (1000 - len(request("POST", path(), "X: ")))
        )
        assert (len(filled), exchange(server, filled).status) == (1000, 200)
        assert exchange(server, filled.replace(b"X: ", b"X: a")).status == 431


def test_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REFUSED_CONNECTIONS", 1)
    monkeypatch.setattr(server_module, "LINGER_SECONDS", 30.0)
    with limited(connections=2).serve() as server:
        kept = [Client(server), Client(server)]
        for client in kept:
            client.send(request("POST", path()))
            assert client.receive().status == 200
        with Client(server) as refused, Client(server) as dropped:
            assert dropped.is_closed()  # so the other one has been accepted
            refused.send(request("POST", path()))
            reply = refused.receive()
            assert (reply.status, reply.headers["x-amzn-errortype"]) == (503, "ServiceUnavailableException")
            assert reply.json == {"message": "The limit of connections is reached: 2."}
            assert reply.is_closed
        kept.pop().__exit__()
        for client in kept:
            client.send(request("POST", path()))
            assert client.receive().status == 200
        until(lambda: len(server._connections) == 1)
        assert exchange(server, request("POST", path())).status == 200
        kept.pop().__exit__()


def test_a_place_that_is_given_back_is_there_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER_SECONDS", 30.0)
    with limited(connections=1).serve() as server:
        for _ in range(100):
            with Client(server) as first:
                first.send(request("POST", path()))
                assert first.receive().status == 200
                second = Client(server)
                until(lambda: len(server._connections) == 2)
            until(lambda: len(server._connections) == 1)
            second.send(request("POST", path()))
            assert second.receive().status == 200
            second.__exit__()
            until(lambda: not server._connections)


def test_a_body_that_does_not_say_its_length() -> None:
    """As another WSGI server hands it on."""
    emulator = limited(control_body=30)
    body = io.BytesIO(b"{}".ljust(31))
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    response = emulator.app.test_client().put(
        "/_emulator/seed", content_type="application/json", input_stream=body, environ_overrides=environ
    )
    assert response.status_code == 400
    assert response.json["error"]["message"] == "a body has at most 30 bytes"  # type: ignore[index]


def test_who_is_refused_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER_SECONDS", 30.0)
    with limited(connections=1).serve() as server:
        with Client(server) as kept:
            kept.send(request("POST", path()))
            assert kept.receive().status == 200
            silent = Client(server)
            until(lambda: len(server._connections) == 2)
        until(lambda: len(server._connections) == 1)
        assert exchange(server, request("POST", path())).status == 200
        silent.__exit__()
        until(lambda: not server._connections)
        assert server._refused == 0
