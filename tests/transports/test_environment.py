"""The variables and the endpoint; that they work is shown with each real client, in ``tests/clients``."""

from __future__ import annotations

import pytest

from healthimaging_emulator.transports import environment

URL = "http://127.0.0.1:1"
LOOPBACK = "127.0.0.1,localhost,::1"


def test_the_endpoint_has_a_user_part() -> None:
    assert environment.endpoint("http://127.0.0.1:4580") == "http://emulator@127.0.0.1:4580"


def test_the_variables_of_who_has_none() -> None:
    assert environment.variables(URL, given={}) == {
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
    ],
)
def test_region_and_credentials_where_none_are_set(given: dict[str, str], added: tuple[str | None, ...]) -> None:
    variables = environment.variables(URL, given=given)
    assert tuple(map(variables.get, ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"))) == added


def test_an_account_is_the_access_key_whatever_is_set() -> None:
    given = {"AWS_ACCESS_KEY_ID": "mine", "AWS_PROFILE": "mine"}
    assert environment.variables(URL, "111111111111", given)["AWS_ACCESS_KEY_ID"] == "111111111111"


def test_what_needs_no_proxy_at_all_still_needs_none() -> None:
    assert environment.variables(URL, given={"NO_PROXY": "*"})["no_proxy"] == "*"
    both = environment.variables(URL, given={"NO_PROXY": "a\nb", "no_proxy": "c"})["NO_PROXY"]
    assert both == f"c,a,b,{LOOPBACK}"


def test_a_child_of_an_account_has_nothing_of_another() -> None:
    given = {"AWS_PROFILE": "x", "AWS_SESSION_TOKEN": "x", "AWS_CREDENTIAL_EXPIRATION": "x", "HOME": "/"}
    child = environment.child(URL, "111111111111", given)
    assert child.keys() & given.keys() == {"HOME"}
    assert environment.child(URL, None, given)["AWS_PROFILE"] == "x"


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_hosts_that_need_no_proxy_are_kept(name: str) -> None:
    added = environment.variables(URL, given={name: "example.com, localhost,"})
    assert added["NO_PROXY"] == added["no_proxy"] == "example.com,localhost,127.0.0.1,::1"
