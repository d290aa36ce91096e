"""Requests that real clients signed, and the refusals as they take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from healthimaging_emulator import Credentials, Emulator
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY

from .conftest import Program
from .test_sdks import SDKS, do, listing

Clients = Callable[[str], Program]

KEY = Credentials(access_key_id="AKIDEXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION = Credentials(access_key_id="ASIAEXAMPLE", secret_access_key="secret", session_token="IQoJb3//+token==")
STRANGER = Credentials(access_key_id="AKIDSTRANGER", secret_access_key="secret")
MISTAKEN = Credentials(access_key_id=KEY.access_key_id, secret_access_key="another")


def variables(by: Credentials) -> dict[str, str]:
    named = {"AWS_ACCESS_KEY_ID": by.access_key_id, "AWS_SECRET_ACCESS_KEY": by.secret_access_key}
    return named | ({"AWS_SESSION_TOKEN": by.session_token} if by.session_token else {})


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    with Emulator.from_seed(DEMO, credentials=[KEY, SESSION], region="us-east-1").serve() as server:
        yield server


@pytest.mark.parametrize("by", [KEY, SESSION], ids=repr)
@pytest.mark.parametrize("name", SDKS)
def test_a_signed_listing(the: Clients, strict: Server, name: str, by: Credentials) -> None:
    calls = [listing() | {"paginate": True}, listing(maxResults=1, nextToken="not ours/=+~")]
    pages, error = do(the(name), strict, *calls, environment=variables(by))["results"]
    assert [len(page["imageSetPropertiesList"]) for page in pages] == [50, 50, 37]
    assert error["Message"] == "Invalid nextToken."


REFUSALS = [
    (STRANGER, "UnrecognizedClientException", "The security token included in the request is invalid."),
    (MISTAKEN, "InvalidSignatureException", "The request signature we calculated does not match"),
]


@pytest.mark.parametrize(("by", "code", "message"), REFUSALS, ids=repr)
@pytest.mark.parametrize("name", SDKS)
def test_a_refusal(the: Clients, strict: Server, name: str, by: Credentials, code: str, message: str) -> None:
    (error,) = do(the(name), strict, listing(), environment=variables(by))["results"]
    assert (error["Code"], error["status"]) == (code, 403)
    assert error["Message"].startswith(message)


@pytest.mark.parametrize("by", [KEY, SESSION], ids=repr)
def test_the_aws_cli(the: Clients, strict: Server, by: Credentials) -> None:
    command = ["list-image-set-versions", "--datastore-id", DATASTORE, "--image-set-id", MANY]
    command += ["--endpoint-url", make_endpoint(strict.url), "--query", "length(imageSetPropertiesList)"]
    assert the("aws-cli").run(*command, environment=variables(by)).stdout.strip() == "137"
    for other, code, message in REFUSALS:
        assert f"({code})" in the("aws-cli").run(*command, environment=variables(other)).stderr, message
    unsigned = the("aws-cli").run(*command, "--no-sign-request")
    assert "(MissingAuthenticationTokenException)" in unsigned.stderr
