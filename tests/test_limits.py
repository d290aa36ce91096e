"""Limits: an emulator refuses more than they allow, and loses nothing when it does."""

from __future__ import annotations

import io
import re
import tracemalloc
from typing import Any
from uuid import UUID

import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError, LimitExceededError, RemoteAccount, Server
from healthimaging_emulator.clock import Clock
from healthimaging_emulator.journal import MAX_ANSWER, MAX_ATTEMPTS, Journal
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Timeouts
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, path
from tests.raw import HANG_SECONDS, JSON, Client, exchange, request, until

ACTIVE: dict[str, Any] = {"image_set_state": "ACTIVE"}
LATENCY = {"latency": {"seconds": 0}}


def limited(**limits: int) -> Emulator:
    options: Any = limits
    return Emulator.from_seed(DEMO, **options)


def exceeded(message: str) -> tuple[int, Any]:
    return 400, {"error": {"code": "LimitExceeded", "message": f"limit exceeded: {message}"}}


def send_seed(emulator: Emulator, method: str, document: Any) -> tuple[int, Any]:
    response = emulator.app.test_client().open("/_emulator/seed", method=method, json=document)
    return response.status_code, response.json if response.data else None


# Accounts.


def authorization(account: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/x/y"


def asked_by(emulator: Emulator, account: str) -> Any:
    return emulator.app.test_client().post(path(), headers={"Authorization": authorization(account)})


@pytest.mark.parametrize("origins", [[], ["http://localhost:3000"]])
def test_an_account_beyond_the_limit_is_refused(origins: list[str]) -> None:
    emulator = Emulator.from_seed(DEMO, max_accounts=2, cors_origins=origins)
    told = "limit exceeded: 3 accounts, but max_accounts is 2"
    assert [asked_by(emulator, account * 12).status_code for account in "1101"] == [200] * 4
    refused = asked_by(emulator, "333333333333")
    assert (refused.status_code, refused.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert refused.json["message"] == "The emulator's limit is exceeded: 3 accounts, but max_accounts is 2."
    with pytest.raises(LimitExceededError) as raised:
        emulator.account("333333333333")
    assert str(raised.value) == told
    control = emulator.app.test_client().get("/_emulator/calls", headers={"x-emulator-account": "333333333333"})
    assert (control.status_code, control.json) == exceeded("3 accounts, but max_accounts is 2")
    emulator.account("111111111111").forget()
    assert asked_by(emulator, "333333333333").status_code == 200


def test_the_default_account_always_has_a_place() -> None:
    emulator = limited(max_accounts=1)
    assert asked_by(emulator, "111111111111").status_code == 403
    assert asked_by(emulator, "000000000000").status_code == 200


def test_an_account_that_was_forgotten_starts_from_the_initial_seed() -> None:
    emulator = Emulator.from_seed(DEMO)
    with emulator.serve() as server:
        remote = RemoteAccount(server.url, "111111111111")
        remote.put_seed({"datastores": []})
        remote.faults.add(Fault.error("ThrottlingException"))
        remote.forget()
        assert (len(remote.faults), len(remote.calls)) == (0, 0)
        assert len(remote.image_set(DATASTORE, SAMPLE).versions) == 4


def test_forgetting_an_account_ends_the_stalls_of_its_faults(server: Server, emulator: Emulator) -> None:
    account = emulator.account("111111111111")
    account.faults.add(Fault.connection("stall", seconds=3600, id="a"))
    with Client(server) as client:
        client.send(request("POST", path(), f"Authorization: {authorization(account.id)}"))
        until(lambda: account.faults["a"].fired)
        account.forget()
        assert client.is_closed()


def test_forgetting_an_account_twice_does_not_forget_the_next_one() -> None:
    emulator = Emulator.from_seed(DEMO)
    first = emulator.account()
    first.forget()
    second = emulator.account()
    first.forget()
    assert emulator.account() is second is not first


# Calls, faults, versions.


def test_the_oldest_calls_are_dropped() -> None:
    emulator = limited(max_calls=2)
    for size in (1, 2, 3):
        emulator.app.test_client().post(f"{path()}?maxResults={size}")
    assert ([call.input["maxResults"] for call in emulator.calls], emulator.calls.dropped) == ([2, 3], 1)


def test_faults_are_added_all_or_none() -> None:
    emulator = limited(max_faults=3)
    emulator.faults.add(Fault.latency(0), Fault.latency(0))
    with pytest.raises(LimitExceededError) as raised:
        emulator.faults.add(Fault.latency(0), Fault.latency(0))
    assert str(raised.value) == "limit exceeded: 4 faults, but max_faults is 3"
    assert len(emulator.faults) == 2
    emulator.faults.add(Fault.latency(0))
    emulator.faults.clear()
    assert len(emulator.faults.add(*[Fault.latency(0)] * 3)) == 3


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_faults_of_a_seed_over_http_are_limited(method: str) -> None:
    emulator = limited(max_faults=1)
    assert send_seed(emulator, method, {"faults": [LATENCY] * 2}) == exceeded("2 faults, but max_faults is 1")
    assert len(emulator.faults) == 0
    assert send_seed(emulator, method, {"faults": [LATENCY]}) == (204, None)


def test_the_initial_seed_may_have_any_number_of_faults() -> None:
    emulator = Emulator.from_seed({"faults": [LATENCY] * 30}, max_faults=10)
    emulator.faults.add()
    emulator.faults.add(*[Fault.latency(0)] * 10)
    with pytest.raises(LimitExceededError) as raised:
        emulator.faults.add(Fault.latency(0))
    assert str(raised.value) == "limit exceeded: 11 faults, but max_faults is 10"
    assert len(emulator.faults) == 40


def test_versions_that_are_appended_are_limited() -> None:
    emulator = limited(max_versions=2)
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    image_set.append(**ACTIVE)
    image_set.replace("1", **ACTIVE)  # adds none
    image_set.append(after=60, **ACTIVE)
    for after in (0.0, 1.0):
        with pytest.raises(LimitExceededError) as raised:
            image_set.append(after=after, **ACTIVE)
        assert str(raised.value) == "limit exceeded: 3 versions, but max_versions is 2"
    with pytest.raises(LimitExceededError):
        emulator.add_image_set(DATASTORE, "a" * 32)
    emulator.clock.advance(60)
    assert [version.version_id for version in image_set.versions] == ["6", "5", "4", "3", "2", "1"]
    emulator.reset("changes")
    assert image_set.append(**ACTIVE)


def test_a_seed_that_replaces_the_initial_one_may_have_any_number() -> None:
    emulator = Emulator.from_seed({}, max_versions=1, max_faults=1)
    emulator.account()
    emulator.replace_seed(load_seed(DEMO, {"faults": [{"latency": {"seconds": 0}}] * 2}))
    assert emulator.image_set(DATASTORE, SAMPLE).append(**ACTIVE)
    assert emulator.faults.add(Fault.latency(0))


def test_versions_of_clients_are_limited() -> None:
    emulator = limited(max_versions=1)
    client = emulator.client()
    updates = {"DICOMUpdates": {"updatableAttributes": b'{"SchemaVersion": "1.1", "Patient": {"DICOM": {}}}'}}
    ids: dict[str, Any] = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    client.update_image_set_metadata(**ids, latestVersionId="4", updateImageSetMetadataUpdates=updates)
    emulator.account().finish_transitions()
    with pytest.raises(client.exceptions.ServiceQuotaExceededException) as raised:
        client.update_image_set_metadata(**ids, latestVersionId="5", updateImageSetMetadataUpdates=updates)
    told = "The emulator's limit is exceeded: 2 versions, but max_versions is 1."
    assert raised.value.response["Error"]["Message"] == told
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 5


def test_pending_changes_count_until_they_are_made() -> None:
    emulator = limited(max_pending=1, max_versions=1)
    emulator.clock.freeze()
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    image_set.replace("1", after=1, **ACTIVE)
    with pytest.raises(LimitExceededError) as raised:
        image_set.append(after=1, **ACTIVE)
    assert str(raised.value) == "limit exceeded: 2 pending, but max_pending is 1"
    assert image_set.replace("1", **ACTIVE)  # a change for now is none
    emulator.clock.advance(1)
    image_set.append(after=1, **ACTIVE)  # the refused one was not counted
    emulator.clock.advance(1)
    assert len(image_set.versions) == 5


def test_data_stores_count_as_versions() -> None:
    emulator = limited(max_versions=2)
    for names, status in (("ab", 204), ("ab", 204), ("c", 400)):
        document = {"datastores": [{"datastoreId": name * 32} for name in names]}
        assert send_seed(emulator, "POST", document)[0] == status


def test_a_seed_that_was_put_counts_also_after_a_reset() -> None:
    emulator = limited(max_versions=11, max_faults=3)
    account = emulator.account()
    image_sets = [{"imageSetId": SAMPLE, "generate": {"versions": 10}}]
    account.put_seed({"datastores": [{"datastoreId": DATASTORE, "imageSets": image_sets}], "faults": [LATENCY] * 3})
    for _ in range(2):
        with pytest.raises(LimitExceededError, match=r"^limit exceeded: 12 versions, but max_versions is 11$"):
            account.image_set(DATASTORE, SAMPLE).append(**ACTIVE)
        with pytest.raises(LimitExceededError, match=r"^limit exceeded: 4 faults, but max_faults is 3$"):
            account.faults.add(LATENCY)
        account.reset()
    account.faults.clear()
    account.faults.add(*[LATENCY] * 3)
    with pytest.raises(LimitExceededError, match=r"^limit exceeded: 4 faults, but max_faults is 3$"):
        account.faults.add(LATENCY)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_metadata_and_frames_of_a_seed_over_http_are_counted(method: str) -> None:
    emulator = limited(max_metadata=10_000)
    frame = {"a" * 32: {"base64": "AAAA" * 4000}}
    instance = {"ImageFrames": [{"ID": "a" * 32}]}
    metadata = {"Study": {"Series": {"1.2": {"Instances": {"1.2.3": instance}}}}}
    image_set = {"imageSetId": "e" * 32, "generate": {"versions": 2}, "metadata": metadata, "frames": frame}
    status, body = send_seed(emulator, method, {"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]})
    assert status == 400
    assert re.fullmatch(r"limit exceeded: 12,\d{3} metadata, but max_metadata is 10,000", body["error"]["message"])
    assert len(emulator.image_set(DATASTORE, SAMPLE).versions) == 4


def test_long_texts_of_a_fault_are_refused() -> None:
    emulator = Emulator.from_seed(DEMO)
    for fault, message in (
        (Fault.error("ConflictException", message="m" * 8193), "$[0].error.message: Expected `str` of length <= 8192"),
        (Fault.latency(0, page=[1] * 1001), "$[0].match.page: Expected `array` of length <= 1000"),
    ):
        with pytest.raises(InvalidError) as raised:
            emulator.faults.add(fault)
        assert str(raised.value) == message
    assert emulator.faults.add(Fault.error("ConflictException", message="m" * 8192), Fault.latency(0, page=[1] * 1000))


def test_long_texts_of_a_client_are_cut_in_the_journal() -> None:
    emulator = Emulator.from_seed(DEMO)
    long = "a" * 30_000
    headers = {"amz-sdk-invocation-id": long, "User-Agent": f"cfg/retry-mode#{long}"}
    for _ in range(2):
        emulator.app.test_client().post(path(long), headers=headers)
    (call,) = emulator.calls
    assert len(call.attempts) == 2
    kept = (call.path, call.invocation_id, call.image_set_id, call.retry_mode)
    assert [len(text or "") for text in kept] == [1000, 1000, 1000, 100]


@pytest.mark.parametrize(
    ("calls", "attempts", "text"),
    [(1000, 1, "\U0001f600" * 30_000), (1000, 1, "a" * 900 + "\U0001f600"), (200, MAX_ATTEMPTS, "a")],
    ids=["wide", "one wide character", "many attempts"],
)
def test_the_journal_takes_a_bounded_share_of_memory(calls: int, attempts: int, text: str) -> None:
    """With 1,000 accounts, all of their journals together take less than 10 GB."""
    clock = Clock()
    journal = Journal(clock)
    tracemalloc.start()
    try:
        for number in range(calls):
            for _ in range(attempts):
                headers = {"amz-sdk-invocation-id": f"{number}{text}"}
                call, attempt = journal.begin("POST", f"/{number}{text}", headers, clock.read())
                identifiers = {"datastoreId": [f"{number}{text}"], "imageSetId": [f"{number}{text}"]}
                call.identify("CopyImageSet", identifiers, {"nextToken": f"{number}{text}"}, None)
                journal.end(call, attempt, 400, "ValidationException", f"{number}{text}"[:MAX_ANSWER])
        del call, attempt
        assert tracemalloc.get_traced_memory()[0] < 10_000_000
    finally:
        tracemalloc.stop()
    kept = journal.snapshot()
    assert 0 < kept.dropped == calls - len(kept) < calls
    assert kept[-1].path.startswith(f"/{calls - 1}")
    assert len(kept[-1].attempts) == attempts


def test_a_thousand_calls_with_retries_are_kept() -> None:
    clock = Clock()
    journal = Journal(clock)
    ids = {"datastoreId": DATASTORE, "imageSetId": MANY}
    for number in range(1000):
        headers = {"amz-sdk-invocation-id": str(UUID(int=number)), "user-agent": "cfg/retry-mode#standard"}
        for code in ["ThrottlingException"] * 3 + [None]:
            call, attempt = journal.begin("POST", path(MANY), headers, clock.read())
            call.identify("ListImageSetVersions", {name: [id] for name, id in ids.items()}, ids, page=1)
            attempt.faults = ["fault-1"] if code else []
            journal.end(call, attempt, 429 if code else 200, code)
    assert (len(journal.snapshot()), journal.snapshot().dropped) == (1000, 0)


def test_a_call_that_is_larger_than_the_journal_is_kept() -> None:
    clock = Clock()
    journal = Journal(clock, limit=1)
    headers = {"amz-sdk-invocation-id": "one"}
    for _ in range(MAX_ATTEMPTS):
        call, attempt = journal.begin("POST", "/", headers, clock.read())
        attempt.faults = [f"fault-{number}" for number in range(10_000)]
        journal.end(call, attempt, 200, None)
    assert len(journal.snapshot()) == 1
    journal.end(*journal.begin("POST", "/", {}, clock.read()), 200, None)
    assert [call.invocation_id for call in journal.snapshot()] == [None]


def test_a_pending_change_that_could_not_be_made_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    emulator = limited(max_versions=2)
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    emulator.clock.freeze()
    image_set.append(after=1, **ACTIVE)
    image_set.append(version_id="9" * 18, **ACTIVE)  # no version can follow it
    emulator.clock.advance(1)
    assert len(image_set.versions) == 5
    assert caplog.messages[-1] == "a change that was due could not be made: $.versionId: Expected `str` of length <= 18"
    emulator.add_image_set(DATASTORE, "a" * 32)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_versions_of_a_seed_over_http_are_counted_before_they_are_made(method: str) -> None:
    emulator = limited(max_versions=1000)
    image_set = {"imageSetId": "a" * 32, "generate": {"versions": 10_000_000}}
    document = {"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]}
    assert send_seed(emulator, method, document) == exceeded("10,000,001 versions, but max_versions is 1,000")
    assert len(emulator.image_set(DATASTORE, MANY).versions) == 137


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_imports_of_a_seed_over_http_count_by_their_files(method: str) -> None:
    emulator = limited(max_versions=3)
    failed = {f"{number}.dcm": "DICOM attributes does not exist" for number in range(4)}
    document = {"datastores": [], "imports": [{"inputS3Uri": "s3://input/", "failedFiles": failed}]}
    assert send_seed(emulator, method, document) == exceeded("4 versions, but max_versions is 3")


def test_a_data_store_counts_when_it_is_created_and_not_when_it_is_deleted() -> None:
    emulator = Emulator.from_seed({}, max_versions=1, transition_seconds=0)
    client = emulator.client()
    id = client.create_datastore(clientToken="a")["datastoreId"]
    assert client.delete_datastore(datastoreId=id)["datastoreStatus"] == "DELETING"
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.create_datastore(clientToken="b")


def test_only_a_version_that_was_added_makes_room_when_it_is_removed() -> None:
    image_set = limited(max_versions=1).image_set(DATASTORE, SAMPLE)
    image_set.append(**ACTIVE)
    image_set.remove_version("2")
    with pytest.raises(LimitExceededError):
        image_set.append(**ACTIVE)
    image_set.remove_version("5")
    assert image_set.append(**ACTIVE)


@pytest.mark.parametrize(("most", "found"), [(1, 0), (1000, 1)])
def test_the_documents_of_an_import_count_as_metadata(most: int, found: int) -> None:
    content = {"Patient": {"DICOM": {"PatientID": "P-1"}}, "Study": {"Series": {"1.2": {"Instances": {"1.2.1": {}}}}}}
    given = [{"inputS3Uri": "s3://input/", "imageSets": [{"metadata": content}]}]
    seed = {"datastores": [{"datastoreId": DATASTORE}], "imports": given}
    client = Emulator.from_seed(seed, max_metadata=most).client()
    job = client.start_dicom_import_job(
        datastoreId=DATASTORE,
        dataAccessRoleArn="arn:aws:iam::000000000000:role/import",
        inputS3Uri="s3://input/",
        outputS3Uri="s3://output/",
    )
    ids: dict[str, Any] = {"datastoreId": DATASTORE, "jobId": job["jobId"]}
    until(lambda: client.get_dicom_import_job(**ids)["jobProperties"]["jobStatus"] == "COMPLETED")
    assert len(client.search_image_sets(datastoreId=DATASTORE)["imageSetsMetadataSummaries"]) == found


# Bytes and connections.


def test_bodies_are_limited() -> None:
    with limited(max_body=10, max_control_body=30).serve() as server:
        assert exchange(server, request("POST", path(), body=b"x" * 10)).status == 200
        assert exchange(server, request("POST", path(), body=b"x" * 11)).status == 413
        assert exchange(server, request("PUT", "/_emulator/seed", JSON, body=b"{}".ljust(30))).status == 204
        refused = exchange(server, request("PUT", "/_emulator/seed", JSON, body=b"{}".ljust(31)))
        assert (refused.status, refused.json["error"]) == (400, TOO_LARGE)


TOO_LARGE = {"code": "BadRequest", "message": "the body is too large: expected at most 30 bytes"}


def test_a_body_without_a_length_is_limited_too() -> None:
    """Another WSGI server may hand one on."""
    emulator = limited(max_control_body=30)
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    for size, expected in ((30, (204, None)), (31, (400, {"error": TOO_LARGE}))):
        response = emulator.app.test_client().put(
            "/_emulator/seed",
            content_type="application/json",
            input_stream=io.BytesIO(b"{}".ljust(size)),
            environ_overrides=environ,
        )
        assert (response.status_code, response.json if response.data else None) == expected


def test_heads_are_limited() -> None:
    with limited(max_head=1000).serve() as server:
        short = request("POST", path(), "X: ")
        filled = short.replace(b"X: ", b"X: " + b"a" * (1000 - len(short)))
        assert (len(filled), exchange(server, filled).status) == (1000, 200)
        assert exchange(server, filled.replace(b"X: ", b"X: a")).status == 431


def test_connections_are_limited() -> None:
    """The tests of the server have the rest."""
    emulator, timeouts = limited(max_connections=1), Timeouts(linger=HANG_SECONDS)
    with Server(emulator.app, settings=emulator.settings, timeouts=timeouts) as server, Client(server) as kept:
        kept.send(request("POST", path()))
        assert kept.receive().status == 200
        refused = exchange(server, request("POST", path()))
        assert (refused.status, refused.json) == (503, {"message": "The limit of connections is reached: 1."})
        kept.send(request("POST", path()))
        assert kept.receive().status == 200
