"""Each balancer reads the account of a request as the emulator does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from healthimaging_emulator import RemoteAccount
from healthimaging_emulator.aws.authorization import parse_authorization
from healthimaging_emulator.credentials import DEFAULT_ACCOUNT
from tests.raw import JSON, request, until

from .balancers import BALANCERS, HAPROXY, NGINX, Balancer, Replica, replicas

SCOPE = "20240101/us-east-1/medical-imaging/aws4_request"

AUTHORIZATIONS = [
    "AWS4-HMAC-SHA256 Credential={}/" + SCOPE + ", SignedHeaders=host;x-amz-date, Signature=0a",
    "AWS4-HMAC-SHA256 Credential={}/" + SCOPE + ",SignedHeaders=host,Signature=0a",
    "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0a,\tCredential={}/" + SCOPE,
    "AWS4-HMAC-SHA256 Signature=0a, Credential={}/" + SCOPE + ", SignedHeaders=host",
    "AWS4-HMAC-SHA256   Credential={}/" + SCOPE,
    "AWS4-ECDSA-P256-SHA256 Credential={}/20240101/medical-imaging/aws4_request, SignedHeaders=host, Signature=0a",
    "AWS4-HMAC-SHA256 Credential={}/",
    "AWS4-HMAC-SHA256 Credential={}/x, Credential=ASIAEXAMPLE/x",
    # An account cannot be read from these.
    "AWS4-HMAC-SHA256 Credential={}",
    "AWS4-HMAC-SHA256 Credential={}0/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential=0{}/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential={}x/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential={}/a=b",
    "AWS4-HMAC-SHA256 credential={}/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential ={}/" + SCOPE,
    "AWS4-HMAC-SHA256 Scope=x, Credential={}/" + SCOPE,
    "AWS4-HMAC-SHA256 , Credential={}/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/" + SCOPE + ", SignedHeaders={}/x, Signature=0a",
    "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential=emulator/" + SCOPE,
    "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/x, Credential={}/x",
    "AWS4-HMAC-SHA256Credential={}/" + SCOPE,
    "Credential={}/" + SCOPE,
    "AWS4-HMAC-SHA256",
    "Bearer {}",
    "Basic ZW11bGF0b3I6",
    "{}",
]


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Replica]]:
    with replicas(2) as started:
        yield started


@pytest.fixture
def running(balancer: Balancer, pair: list[Replica]) -> Balancer:
    balancer.start([replica.address for replica in pair])
    return balancer


def control(balancer: Balancer, account: str = DEFAULT_ACCOUNT) -> RemoteAccount:
    return RemoteAccount(balancer.url, account)


def find_other(balancer: Balancer, first: int) -> str:
    """Return an account whose replica is another than that of the default account."""
    default = control(balancer).generation
    ids = (f"{number:012}" for number in range(first, first + 1000))
    return next(id for id in ids if control(balancer, id).generation != default)


def test_a_signed_request_reaches_the_replica_of_its_account(running: Balancer) -> None:
    other = find_other(running, 111111111111)
    headers = [authorization.format(other) for authorization in AUTHORIZATIONS]
    accounts = [parse_authorization(header).caller.account for header in headers]
    assert accounts == [other] * 8 + [DEFAULT_ACCOUNT] * (len(headers) - 8)
    for account in {other, DEFAULT_ACCOUNT}:
        control(running, account).reset()
    for number, header in enumerate(headers):
        assert running.ask(request("POST", f"/{number}", f"Authorization: {header}")).status == 404
    assert running.ask(request("POST", "/unsigned")).status == 404
    for account in {other, DEFAULT_ACCOUNT}:
        expected = [f"/{number}" for number, each in enumerate(accounts) if each == account]
        paths = [call.path for call in control(running, account).calls]
        assert paths == (expected if account == other else [*expected, "/unsigned"])


def test_a_service_request_is_not_led_by_the_account_header(running: Balancer) -> None:
    other = find_other(running, 222222222222)
    control(running).reset()
    assert running.ask(request("POST", "/service", f"x-emulator-account: {other}")).status == 404
    assert [call.path for call in control(running).calls] == ["/service"]


@pytest.mark.parametrize("target", ["/_emulator/clock", "//_emulator/clock", "/_emulator/clock?"])
def test_a_control_request_is_not_led_by_its_signature(running: Balancer, target: str) -> None:
    other = find_other(running, 333333333333)
    control(running, other).clock.freeze(1_000_000_000)
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential={other}/x"
    assert running.ask(request("GET", target, signed)).json["isFrozen"] is False
    assert running.ask(request("GET", target, f"x-emulator-account: {other}")).json["isFrozen"] is True


def test_a_test_account_is_opened_at_its_replica(running: Balancer) -> None:
    account = find_other(running, 900_000_000_000 + 1000 * BALANCERS.index(running.software))
    opened = request("PUT", f"/_emulator/accounts/{account}", JSON, body=b'{"name": "a test"}')
    assert running.ask(opened).status == 204
    assert len(control(running, account).calls) == 0


# Envoy's log cannot name the account.
@pytest.mark.parametrize("balancer", [NGINX, HAPROXY], ids=lambda software: software.name, indirect=True)
def test_the_log_names_the_account_and_its_replica(running: Balancer) -> None:
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential=444444444444/{SCOPE}"
    assert running.ask(request("POST", "/logged", signed)).status == 404
    until(lambda: "/logged" in running.log)
    (line,) = (line for line in running.log.splitlines() if "/logged" in line)
    assert re.match(r"444444444444 (127\.0\.0\.1:\d+|emulator-[01]) 404 POST /logged", line)
