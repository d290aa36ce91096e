"""Patches of botocore: every client of the process reaches the emulator, or at least never AWS."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.endpoint import Endpoint
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)
from botocore.session import Session
from botocore.signers import RequestSigner
from freezegun import freeze_time
from urllib3.response import HTTPResponse

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.transports.botocore_patch import forbid_aws
from tests.demo import DATASTORE, MANY

from .clients import IDS, make_other_emulator, newest


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)


@pytest.fixture(autouse=True)
def no_metadata_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client that has no credentials not look for them on the network."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


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
    assert len(emulator.calls) == 6


def test_keys_are_one_account_until_a_test_names_another(emulator: Emulator) -> None:
    keys = {"aws_access_key_id": "111111111111", "aws_secret_access_key": "x"}
    before = boto3.client("medical-imaging", "eu-west-1", **keys)
    with emulator.patch():
        newest(before)
        account = emulator.account("111111111111")
        newest(before)
        newest(
            boto3.client("medical-imaging", "eu-west-1", aws_access_key_id="222222222222", aws_secret_access_key="x")
        )
        assert (len(emulator.calls), len(account.calls)) == (2, 1)
        account.forget()
        newest(emulator.client(aws_access_key_id="333333333333", aws_secret_access_key="x"))
        assert len(emulator.account("333333333333").calls) == 1


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
def test_a_client_made_inside_gets_a_region_and_credentials_if_it_has_none(
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
def test_no_credentials_are_looked_for_in_profiles(
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
    assert len(emulator.calls) == 2


@pytest.mark.usefixtures("no_socket")
def test_credentials_that_would_be_refreshed_are_not(emulator: Emulator) -> None:
    """A session has them if it used a role for another service, for example."""

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
    (Session, "__init__"),
    (Session, "create_client"),
    (Session, "get_scoped_config"),
    (RequestSigner, "sign"),
]


def hooks() -> list[Any]:
    return [vars(owner)[name] for owner, name in HOOKS]


def test_leaving_restores_botocore_even_after_an_exception(emulator: Emulator) -> None:
    before = hooks()

    def patched() -> None:
        with emulator.patch(), emulator.patch():
            assert not any(hook in before for hook in hooks())
            raise LookupError

    with pytest.raises(LookupError):
        patched()
    assert hooks() == before


def test_the_innermost_emulator_answers(emulator: Emulator) -> None:
    other = make_other_emulator()
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
        stack.enter_context(make_other_emulator().patch())
        first.__exit__(None, None, None)
        assert newest(client) == "5"
    assert hooks() == before


def test_a_call_that_began_in_the_emulator_ends_there(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread may outlive the test, in the pause before its next attempt."""
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
    client = make_other_emulator().client()
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
    with emulator.patch(), pytest.raises(RuntimeError) as raised:
        newest(client)
    library = __name__.partition(".")[0]
    assert str(raised.value) == f"patch() answers boto3 and aiobotocore; for {library} use serve()"


@pytest.mark.parametrize("kind", ["reset", "close", "stall"])
def test_connections_break_for_patched_clients_too(emulator: Emulator, kind: Any) -> None:
    emulator.faults.add(Fault.connection(kind, times=1))
    with emulator.patch(backoff=False):
        assert newest(boto3.client("medical-imaging")) == "4"
    assert [attempt.status for attempt in emulator.calls[0].attempts] == [None, 200]


@pytest.mark.parametrize("config", [Config(), Config(read_timeout=7)])
def test_a_patched_client_waits_for_an_answer_as_long_as_it_is_set_to(emulator: Emulator, config: Config) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.latency(config.read_timeout))
    with emulator.patch(backoff=False):
        client = boto3.client("medical-imaging", config=config)
        assert newest(client) == "4"
        emulator.faults.add(Fault.latency(0.001))
        with pytest.raises(ReadTimeoutError):
            newest(client)


def test_a_handler_that_answers_for_all_of_aws_does_not_answer_here(emulator: Emulator) -> None:
    """One of moto does, with a 404 for the services that it does not know."""
    client, patched = emulator.client(), boto3.client("medical-imaging", "us-east-1")
    for each in (client, patched):
        each.meta.events.register("before-send", lambda request, **_: AWSResponse(request.url, 404, {}, None))
    with emulator.patch():
        assert [newest(client), newest(patched)] == ["4", "4"]


# AWS is out of bounds.


def make_client(region: str = "us-east-1", **options: Any) -> Any:
    key = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    config = Config(retries={"total_max_attempts": 1}, **options.pop("config", {}))
    return boto3.client("medical-imaging", region, config=config, **key, **options)


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "runtime-medical-imaging.us-east-1.amazonaws.com"),
        ({"region": "eu-west-1"}, "runtime-medical-imaging.eu-west-1.amazonaws.com"),
        ({"region": "cn-north-1"}, "runtime-medical-imaging.cn-north-1.amazonaws.com.cn"),
        ({"config": {"use_dualstack_endpoint": True}}, "runtime-medical-imaging.us-east-1.api.aws"),
        ({"endpoint_url": "https://x.us-east-1.amazonaws.com:8443/x"}, "runtime-x.us-east-1.amazonaws.com"),
    ],
)
@pytest.mark.usefixtures("no_socket")
def test_a_request_to_aws_is_forbidden(options: dict[str, Any], host: str) -> None:
    client = make_client(**options)
    with forbid_aws(lambda: "because"), pytest.raises(RuntimeError) as raised:
        newest(client)
    assert str(raised.value) == f"a request of medical-imaging would have reached {host}: because"


def answer_requests(client: Any, service: str) -> list[str]:
    """Let a client send nothing. Return the list to which the hosts that it asks are added."""
    hosts: list[str] = []

    def answer(request: Any, **_: Any) -> AWSResponse:
        hosts.append(urlsplit(request.url).hostname or "")
        return AWSResponse(request.url, 200, {}, HTTPResponse(io.BytesIO(b"{}"), preload_content=False))

    client.meta.events.register(f"before-send.{service}", answer)
    return hosts


@pytest.mark.parametrize("host", ["127.0.0.1", "x.amazonaws.com.example.org", "notamazonaws.com", "api.aws.test"])
def test_a_request_to_any_other_host_is_allowed(host: str) -> None:
    client = make_client(endpoint_url=f"http://{host}", config={"inject_host_prefix": False})
    hosts = answer_requests(client, "medical-imaging")
    with forbid_aws(lambda: "because"):
        client.list_image_set_versions(**IDS)
    assert hosts == [host]


def test_a_request_of_another_service_is_allowed() -> None:
    client = boto3.client("polly", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    hosts = answer_requests(client, "polly")
    with forbid_aws(lambda: "because"):
        client.describe_voices()
    assert hosts == ["polly.us-east-1.amazonaws.com"]


@pytest.mark.usefixtures("no_socket")
def test_an_emulator_answers_although_aws_is_forbidden(emulator: Emulator) -> None:
    client = make_client()
    with forbid_aws(lambda: "because"), emulator.patch():
        assert newest(client) == "4"
    with emulator.patch(), forbid_aws(lambda: "because"):
        assert newest(client) == "4"


def test_leaving_allows_aws_again() -> None:
    before = hooks()
    with forbid_aws(lambda: "because"), forbid_aws(lambda: "because"):
        assert not any(hook in before for hook in hooks())
    assert hooks() == before
