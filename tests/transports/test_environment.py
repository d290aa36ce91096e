"""The variables and the endpoint. ``tests/clients`` shows with each real client that they work."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthimaging_emulator import Credentials
from healthimaging_emulator.transports.environment import (
    build_child_environment,
    build_variables,
    make_endpoint,
    signing_variables,
)

URL = "http://127.0.0.1:1"
LOOPBACK = "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://127.0.0.1:4580", "http://emulator@127.0.0.1:4580"),
        ("https://[::1]:4580", "https://emulator@[::1]:4580"),
        ("http://emulator.test/aws", "http://emulator@emulator.test/aws"),
    ],
)
def test_the_endpoint_has_a_user_part(url: str, endpoint: str) -> None:
    assert make_endpoint(url) == endpoint


def test_the_variables_where_none_are_given() -> None:
    assert build_variables(URL, given={}) == {
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": URL,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "emulator",
        "AWS_SECRET_ACCESS_KEY": "emulator",
    }


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({}, ("us-east-1", "us-east-1", "emulator")),
        ({"AWS_REGION": "eu-west-1"}, ("eu-west-1", "eu-west-1", "emulator")),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, ("eu-west-1", "eu-west-1", "emulator")),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, ("eu-west-1", "us-west-2", "emulator")),
        ({"AWS_REGION": "", "AWS_ACCESS_KEY_ID": ""}, ("us-east-1", "us-east-1", "emulator")),
        ({"AWS_ACCESS_KEY_ID": "mine"}, ("us-east-1", "us-east-1", None)),
        ({"AWS_PROFILE": "mine"}, (None, None, None)),
        ({"AWS_PROFILE": "mine", "AWS_REGION": "eu-west-1"}, ("eu-west-1", "eu-west-1", None)),
    ],
)
def test_region_and_credentials_are_added_where_none_are_set(
    given: dict[str, str], added: tuple[str | None, ...]
) -> None:
    variables = build_variables(URL, given=given)
    assert tuple(map(variables.get, ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"))) == added


def test_an_account_is_the_access_key_whatever_is_set() -> None:
    given = {"AWS_ACCESS_KEY_ID": "mine", "AWS_PROFILE": "mine"}
    assert build_variables(URL, "111111111111", given)["AWS_ACCESS_KEY_ID"] == "111111111111"


def test_a_star_for_all_hosts_stays_alone() -> None:
    assert build_variables(URL, given={"NO_PROXY": "*"})["no_proxy"] == "*"


def test_both_spellings_of_no_proxy_are_joined() -> None:
    joined = build_variables(URL, given={"NO_PROXY": "a\nb", "no_proxy": "c"})["NO_PROXY"]
    assert joined == f"c,a,b,{LOOPBACK}"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_hosts_that_need_no_proxy_are_kept(name: str) -> None:
    added = build_variables(URL, given={name: "example.com, localhost,"})
    assert added["NO_PROXY"] == added["no_proxy"] == "example.com,localhost,127.0.0.1,::1"


def test_the_host_of_the_server_needs_no_proxy() -> None:
    assert build_variables("http://emulator.test:4580", given={})["NO_PROXY"] == f"{LOOPBACK},emulator.test"


def test_the_child_of_an_account_has_no_other_credentials() -> None:
    given = {"AWS_PROFILE": "x", "AWS_SESSION_TOKEN": "x", "AWS_CREDENTIAL_EXPIRATION": "x", "HOME": "/"}
    child = build_child_environment(URL, "111111111111", given)
    assert child.keys() & given.keys() == {"HOME"}
    assert (child["AWS_ACCESS_KEY_ID"], child["AWS_REGION"]) == ("111111111111", "us-east-1")


def test_a_child_without_an_account_keeps_its_profile(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[x]\naws_access_key_id = a\n")
    given = {"AWS_PROFILE": "x", "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    assert build_child_environment(URL, None, given)["AWS_PROFILE"] == "x"


def test_credentials_and_region_are_signed_with_if_there_are_any() -> None:
    key = Credentials(access_key_id="AKIDEXAMPLE", secret_access_key="secret")
    session = Credentials(access_key_id="ASIAEXAMPLE", secret_access_key="secret", session_token="token==")
    assert signing_variables(None, None) == {}
    assert signing_variables(key, None) == {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert signing_variables(session, "eu-west-1") == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token==",
    }
