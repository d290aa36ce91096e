"""boto3 without a socket is boto3 in all but the socket: a client of its own, and every client of the process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.endpoint import Endpoint
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from botocore.retries.bucket import TokenBucket
from botocore.session import Session
from botocore.signers import RequestSigner
from freezegun import freeze_time

from healthimaging_emulator import Emulator, Fault
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN

IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)


@pytest.fixture(autouse=True)
def no_metadata_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client that has no credentials not look for them on the network."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def newest(client: Any) -> str:
    return str(client.list_image_set_versions(**IDS)["imageSetPropertiesList"][0]["versionId"])


def other_emulator() -> Emulator:
    """Return one whose sample has five versions."""
    emulator = Emulator.from_seed(DEMO)
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    return emulator


@pytest.mark.usefixtures("no_socket")
def test_no_socket_is_opened(emulator: Emulator) -> None:
    page = emulator.client().list_image_set_versions(**IDS)
    assert [entry["versionId"] for entry in page["imageSetPropertiesList"]] == ["4", "3", "2", "1"]
    assert page["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"


def test_options_are_boto3s(emulator: Emulator) -> None:
    client = emulator.client(
        region_name="eu-west-1", config=Config(user_agent_extra="mine", retries={"mode": "standard"})
    )
    seen = []
    client.meta.events.register_first("before-send.*", lambda request, **_: seen.append(request.headers["User-Agent"]))
    client.list_image_set_versions(**IDS)
    assert client.meta.region_name == "eu-west-1"
    assert "mine" in seen[0].decode()
    assert emulator.client(config=Config(region_name="eu-west-2")).meta.region_name == "eu-west-2"


def test_errors_are_boto3s_exceptions(emulator: Emulator) -> None:
    client = emulator.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException) as raised:
        client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=UNKNOWN)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_an_operation_that_is_not_emulated(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="UnknownOperationException"):
        emulator.client().list_datastores()


@pytest.mark.newest_boto3
def test_a_body_reaches_the_emulator(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match=r"POST /datastore/.*/updateImageSetMetadata"):
        emulator.client().update_image_set_metadata(
            datastoreId=DATASTORE,
            imageSetId=SAMPLE,
            latestVersionId="4",
            updateImageSetMetadataUpdates={"revertToVersionId": "1"},
        )


def test_a_client_does_not_depend_on_the_users_profile(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = emulator.client()
    assert (newest(client), client.meta.region_name) == ("4", "us-east-1")


def test_a_client_works_while_time_stands_still(emulator: Emulator) -> None:
    with freeze_time("2024-01-01"):
        assert newest(emulator.client()) == "4"


def test_another_handler_that_answers_for_all_of_aws_does_not(emulator: Emulator) -> None:
    """As moto does, with a 404 for what it does not know."""
    client, patched = emulator.client(), boto3.client("medical-imaging", "us-east-1")
    for each in (client, patched):
        each.meta.events.register("before-send", lambda request, **_: AWSResponse(request.url, 404, {}, None))
    with emulator.patch():
        assert [newest(client), newest(patched)] == ["4", "4"]


# Backoff.


def pauses(emulator: Emulator) -> list[float | None]:
    return [attempt.pause for attempt in emulator.calls[-1].attempts]


def by_client(emulator: Emulator, *, backoff: bool, config: Config) -> Any:
    return emulator.client(backoff=backoff, config=config)


def by_patch(emulator: Emulator, *, backoff: bool, config: Config) -> Any:
    with emulator.patch(backoff=backoff):
        client = boto3.client("medical-imaging", config=config)

    class Patched:
        def list_image_set_versions(self, **ids: str) -> Any:
            with emulator.patch(backoff=backoff):
                return client.list_image_set_versions(**ids)

    return Patched()


@pytest.mark.parametrize("make", [by_client, by_patch])
@pytest.mark.parametrize(("mode", "attempts"), [("legacy", 5), ("standard", 3), ("adaptive", 3)])
class TestBackoff:
    @pytest.fixture(autouse=True)
    def _throttled(self, emulator: Emulator) -> None:
        emulator.clock.freeze()  # what the machine takes is not counted
        emulator.faults.add(Fault.error("ThrottlingException", retry_after=1.5))

    def test_without_it_nobody_sleeps_and_the_pauses_are_on_record(
        self,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[..., Any],
        mode: str,
        attempts: int,
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        monkeypatch.setattr(TokenBucket, "acquire", None)
        client = make(emulator, backoff=False, config=Config(retries={"mode": mode}))
        with pytest.raises(ClientError, match="ThrottlingException"):
            client.list_image_set_versions(**IDS)
        assert set(slept) == {0}
        first, *rest = pauses(emulator)
        assert (first, len(rest)) == (None, attempts - 1)
        # Each is random, and may be less than a millisecond.
        assert all(pause is not None and 0 <= pause <= 20 for pause in rest)
        assert sum(pause for pause in rest if pause) > 0

    def test_with_it_boto3_sleeps(
        self,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        make: Callable[..., Any],
        mode: str,
        attempts: int,
    ) -> None:
        slept: list[float] = []
        acquired: list[Any] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        monkeypatch.setattr(TokenBucket, "acquire", lambda bucket: acquired.append(bucket))  # noqa: PLW0108  # a method
        client = make(emulator, backoff=True, config=Config(retries={"mode": mode}))
        with pytest.raises(ClientError, match="ThrottlingException"):
            client.list_image_set_versions(**IDS)
        assert (len(slept), min(slept) > 0) == (attempts - 1, True)
        assert len(acquired) == (attempts - 1 if mode == "adaptive" else 0)
        assert pauses(emulator) == [None, *[0.0] * (attempts - 1)]


def test_without_it_the_call_after_the_last_attempt_does_not_wait_either(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenBucket, "acquire", None)
    emulator.faults.add(Fault.error("ThrottlingException", times=1))
    client = emulator.client(backoff=False, config=Config(retries={"mode": "adaptive", "total_max_attempts": 1}))
    with pytest.raises(ClientError, match="ThrottlingException"):
        newest(client)
    assert newest(client) == "4"


def test_a_pause_that_nobody_asked_for_is_not_counted(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.error("ConflictException", times=1))
    client = emulator.client(backoff=False)
    with pytest.raises(ClientError, match="ConflictException"):
        client.list_image_set_versions(**IDS)
    client.list_image_set_versions(**IDS)
    assert [[attempt.pause for attempt in call.attempts] for call in emulator.calls] == [[None], [None]]


# Every client of the process.


@pytest.mark.usefixtures("no_socket")
def test_patch_reaches_clients_made_before_and_inside(emulator: Emulator) -> None:
    before = boto3.client("medical-imaging", "eu-west-1", aws_access_key_id="111111111111", aws_secret_access_key="x")
    with emulator.patch() as patched:
        assert patched is emulator
        inside = boto3.client("medical-imaging")
        assert [newest(before), newest(inside), newest(boto3.Session().client("medical-imaging"))] == ["4", "4", "4"]
        sizes = [
            len(page["imageSetPropertiesList"])
            for page in inside.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY)
        ]
    assert sizes == [50, 50, 37]
    assert (len(emulator.calls), len(emulator.account("111111111111").calls)) == (5, 1)


def test_a_client_made_before_without_credentials_sends_none(emulator: Emulator) -> None:
    client = boto3.client("medical-imaging", "us-east-1")
    with emulator.patch():
        assert newest(client) == "4"
    with pytest.raises(NoCredentialsError):
        newest(client)


@pytest.mark.parametrize(
    ("variables", "session", "options", "expected"),
    [
        ({}, {}, {}, ("us-east-1", "emulator")),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, {}, {}, ("eu-west-1", "emulator")),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, {"region_name": "eu-west-2"}, {}, ("eu-west-2", "emulator")),
        ({}, {}, {"region_name": "eu-west-3"}, ("eu-west-3", "emulator")),
        ({}, {}, {"config": Config(region_name="eu-north-1")}, ("eu-north-1", "emulator")),
        ({"AWS_ACCESS_KEY_ID": "111111111111", "AWS_SECRET_ACCESS_KEY": "x"}, {}, {}, ("us-east-1", "111111111111")),
        ({}, {"aws_access_key_id": "222222222222", "aws_secret_access_key": "x"}, {}, ("us-east-1", "222222222222")),
        ({}, {}, {"aws_access_key_id": "333333333333", "aws_secret_access_key": "x"}, ("us-east-1", "333333333333")),
    ],
)
def test_a_client_made_inside_is_given_what_nobody_said(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    session: dict[str, str],
    options: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with emulator.patch():
        client = boto3.Session(**session).client("medical-imaging", **options)
        newest(client)
    assert client.meta.region_name == expected[0]
    assert client._request_signer._credentials.access_key == expected[1]


@pytest.mark.parametrize(
    "profile",
    [
        "role_arn = arn:aws:iam::111111111111:role/x\nsource_profile = base",
        "sso_start_url = https://example.com\nsso_region = us-east-1\nsso_account_id = 111111111111\nsso_role_name = x",
        "credential_process = false",
    ],
    ids=["role", "sso", "process"],
)
@pytest.mark.usefixtures("no_socket")
def test_no_credentials_are_looked_for(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str
) -> None:
    base = "[profile base]\naws_access_key_id = x\naws_secret_access_key = x\n"
    (tmp_path / "config").write_text(f"{base}[profile mine]\nregion = eu-west-1\n{profile}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    with emulator.patch():
        client = boto3.Session().client("medical-imaging")
        assert (newest(client), client.meta.region_name) == ("4", "eu-west-1")


@pytest.mark.usefixtures("no_socket")
def test_credentials_that_have_expired_do_not_matter(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "111111111111", "SECRET_ACCESS_KEY": "x", "SESSION_TOKEN": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2099-01-01T00:00:00Z")
    before = boto3.Session().client("medical-imaging", "us-east-1")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    with emulator.patch(), freeze_time("2100-01-01"):
        assert [newest(before), newest(boto3.Session().client("medical-imaging"))] == ["4", "4"]
    assert len(emulator.account("111111111111").calls) == 1  # of the one before nothing is signed


@pytest.mark.usefixtures("no_socket")
def test_credentials_that_would_be_refreshed_are_not(emulator: Emulator) -> None:
    """Of a session that has used a role for another service, say."""

    def refresh() -> dict[str, str]:
        raise AssertionError("the credentials were refreshed")

    session = boto3.Session(region_name="us-east-1")
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    session._session._credentials = RefreshableCredentials("x", "x", "x", past, refresh, "assume-role")
    with emulator.patch():
        assert newest(session.client("medical-imaging")) == "4"


def test_other_services_are_not_touched(emulator: Emulator) -> None:
    with emulator.patch():
        with pytest.raises(NoRegionError):
            boto3.client("sqs")
        with pytest.raises(NoCredentialsError):
            boto3.client("sqs", "us-east-1").list_queues()
        s3 = boto3.client(
            "s3",
            "us-east-1",
            endpoint_url="http://127.0.0.1:1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        with pytest.raises(EndpointConnectionError):
            s3.list_buckets()
    assert not emulator.calls


HOOKS = [
    (Endpoint, "make_request"),
    (Session, "create_client"),
    (RequestSigner, "sign"),
]


def hooks() -> list[Any]:
    return [vars(owner)[name] for owner, name in HOOKS]


def test_leaving_restores_botocore_also_under_exceptions(emulator: Emulator) -> None:
    before = hooks()

    def patched() -> None:
        with emulator.patch(), emulator.patch():
            assert not any(hook in before for hook in hooks())
            raise LookupError

    with pytest.raises(LookupError):
        patched()
    assert hooks() == before


def test_the_innermost_emulator_answers(emulator: Emulator) -> None:
    other = other_emulator()
    client = boto3.client("medical-imaging", "us-east-1")
    with emulator.patch():
        assert newest(client) == "4"
        with other.patch():
            assert newest(client) == "5"
        assert newest(client) == "4"


def test_patches_may_end_in_any_order(emulator: Emulator) -> None:
    before, client = hooks(), boto3.client("medical-imaging", "us-east-1")
    with ExitStack() as stack:
        first = emulator.patch()
        first.__enter__()
        stack.enter_context(other_emulator().patch())
        first.__exit__(None, None, None)
        assert newest(client) == "5"
    assert hooks() == before


def test_a_call_that_began_in_the_emulator_ends_there(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread outlives the test, say, and is in the pause before its next attempt."""
    client = boto3.client("medical-imaging", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    emulator.faults.add(Fault.error("ThrottlingException", times=1))
    with ExitStack() as stack:
        stack.enter_context(emulator.patch())
        monkeypatch.setattr(time, "sleep", lambda _: stack.close())
        assert newest(client) == "4"
    assert len(emulator.calls[0].attempts) == 2


@pytest.mark.usefixtures("restless_threads")
def test_threads_may_come_and_go_with_patches(emulator: Emulator) -> None:
    client = emulator.client()
    patched = boto3.client("medical-imaging", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    before = hooks()
    listed: list[str] = []

    def work() -> None:
        for _ in range(20):
            with emulator.patch():
                listed.extend([newest(client), newest(patched)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(listed), len(listed), len(emulator.calls)) == ({"4"}, 160, 160)
    assert hooks() == before


def test_an_emulators_own_client_stays_with_it(emulator: Emulator) -> None:
    client = other_emulator().client()
    with emulator.patch():
        assert newest(client) == "5"


def test_patch_is_a_decorator_too(emulator: Emulator) -> None:
    @emulator.patch()
    def listed() -> str:
        return newest(boto3.client("medical-imaging"))

    assert [listed(), listed()] == ["4", "4"]


def test_a_library_that_is_not_boto3_is_refused_and_sends_nothing(emulator: Emulator) -> None:
    class OtherEndpoint(Endpoint):  # type: ignore[misc]
        def _send_request(self, *_: Any) -> Any:
            raise AssertionError("the request was sent")

    client = boto3.client("medical-imaging", "us-east-1")
    client._endpoint.__class__ = OtherEndpoint
    with emulator.patch(), pytest.raises(RuntimeError, match=r"boto3 only; for tests there are serve\(\)"):
        newest(client)


@pytest.mark.parametrize("effect", ["reset", "close", "stall", "cut"])
def test_connections_break_for_patched_clients_too(emulator: Emulator, effect: Any) -> None:
    emulator.faults.add(Fault.connection(effect, times=1))
    with emulator.patch(backoff=False):
        page = boto3.client("medical-imaging").list_image_set_versions(**IDS)
    assert len(page.get("imageSetPropertiesList", [])) == (0 if effect == "cut" else 4)
    assert len(emulator.calls[0].attempts) == (1 if effect == "cut" else 2)
