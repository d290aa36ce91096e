"""Each balancer reads the account of a request as the emulator does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthimaging_emulator import Emulator, NotFoundError, RemoteAccount
from healthimaging_emulator.aws.authorization import parse_authorization
from healthimaging_emulator.credentials import DEFAULT_ACCOUNT
from tests.conftest import DEMO
from tests.raw import JSON, request, until

from .balancers import BALANCERS, ENVOY, HAPROXY, NGINX, Balancer, Replica, replicas

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
    "AWS4-HMAC-SHA256 Signature=a, Signature=b, Credential={}/x",
    "AWS4-HMAC-SHA256 SignedHeaders=a,SignedHeaders=b,Signature=c,Credential={}/x",
    "Credential=000000000000/x Credential={}/x",
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
    "\t Credential={}/x",
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


def read_account(*headers: str) -> str:
    """Return the account that the emulator reads: space around a header is no part of it, and Envoy joins several."""
    return parse_authorization(",".join(each.strip(" \t") for each in headers)).caller.account


def find_same(balancer: Balancer, first: int) -> str:
    """Return an account whose replica is that of the default account."""
    default = control(balancer).generation
    ids = (f"{number:012}" for number in range(first, first + 1000))
    return next(id for id in ids if control(balancer, id).generation == default)


def test_a_signed_request_reaches_the_replica_of_its_account(running: Balancer) -> None:
    other = find_other(running, 111111111111)
    headers = [authorization.format(other) for authorization in AUTHORIZATIONS]
    accounts = [read_account(header) for header in headers]
    assert accounts == [other] * 11 + [DEFAULT_ACCOUNT] * (len(headers) - 11)
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


@pytest.mark.parametrize("target", ["/x/../_emulator/clock", "/_emulator#x", "/?/_emulator/clock"])
def test_a_path_that_only_looks_like_the_control_api_is_led_by_its_signature(running: Balancer, target: str) -> None:
    other = find_other(running, 222222222222)
    for account in (other, DEFAULT_ACCOUNT):
        control(running, account).reset()
    reply = running.ask(request("POST", target, f"Authorization: AWS4-HMAC-SHA256 Credential={other}/x"))
    assert reply.status in (400, 404)  # 400 of a balancer that takes no such path
    assert len(control(running, other).calls) == (reply.status == 404)
    assert len(control(running).calls) == 0


# Envoy makes one of them.
@pytest.mark.parametrize("balancer", [NGINX, HAPROXY], ids=lambda software: software.name, indirect=True)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Basic ZW11bGF0b3I6", "AWS4-HMAC-SHA256 Credential={}/x"),
        ("AWS4-HMAC-SHA256 Credential={}/x", "AWS4-HMAC-SHA256 Credential=000000000000/x"),
        ("AWS4-HMAC-SHA256 SignedHeaders=host", "Credential={}/x"),
    ],
)
def test_two_authorizations_are_refused(running: Balancer, first: str, second: str) -> None:
    other = find_other(running, 222222222222)
    for account in (other, DEFAULT_ACCOUNT):
        control(running, account).reset()
    headers = [f"Authorization: {each.format(other)}" for each in (first, second)]
    assert running.ask(request("POST", "/twice", *headers)).status == 400
    assert [len(control(running, account).calls) for account in (other, DEFAULT_ACCOUNT)] == [0, 0]


@pytest.mark.parametrize("target", ["/_emulator/clock", "//_emulator/clock", "/_emulator/clock?"])
def test_a_control_request_is_not_led_by_its_signature(running: Balancer, target: str) -> None:
    other = find_other(running, 333333333333)
    control(running, other).clock.freeze(1_000_000_000)
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential={other}/x"
    assert running.ask(request("GET", target, signed)).json["isFrozen"] is False
    assert running.ask(request("GET", target, f"x-emulator-account: {other}")).json["isFrozen"] is True


@pytest.mark.parametrize("header", ["x-emulator-account:\t{}\t", "X-Emulator-Account:  \t {} "])
def test_space_around_the_account_is_left_out(running: Balancer, header: str) -> None:
    other = find_other(running, 333333333333)
    control(running, other).clock.freeze(1_000_000_000)
    assert running.ask(request("GET", "/_emulator/clock", header.format(other))).json["isFrozen"] is True


def open_account(balancer: Balancer, target: str) -> int:
    return balancer.ask(request("PUT", target, JSON, body=b'{"name": "a test"}')).status


@pytest.mark.parametrize("target", ["/_emulator/accounts/{}", "//_emulator/accounts/{}", "/_emulator/accounts/{}?"])
def test_a_test_account_is_opened_at_its_replica(running: Balancer, target: str) -> None:
    account = find_other(running, 900_000_000_000 + 1000 * BALANCERS.index(running.software))
    assert open_account(running, target.format(account)) == 204
    assert len(control(running, account).calls) == 0
    control(running, account).forget()


def test_an_escape_that_hides_the_account_is_refused(running: Balancer) -> None:
    account = find_other(running, 910_000_000_000)
    targets = ["/%5Femulator/accounts/{}", "/_emulator/%61ccounts/{}", "/_emulator/accounts%2F{}"]
    for target in [*(each.format(account) for each in targets), f"/_emulator/accounts/%39{account[1:]}"]:
        assert open_account(running, target) == 400
    with pytest.raises(NotFoundError):
        control(running, account).reset()


PARAMETERS = ["Credential={0}/x", "Credential={1}/x", "Credential=AKIA/x", "Signature=0a", "SignedHeaders=host"]
SPACES = ["", " ", "\t", "\x85", "\xa0"]
PIECES = ["AWS4-HMAC-SHA256 ", *PARAMETERS, *SPACES, "Signature=", "Credential", "{1}", "=", "/", ","]
ODD = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
SPACED = st.builds("{}{}{}".format, *map(st.sampled_from, (SPACES, PARAMETERS, SPACES)))
TIDY = st.builds(
    "{} {}".format,
    st.sampled_from(["AWS4-HMAC-SHA256", "\t", "Credential={0}/x"]),
    st.lists(SPACED, min_size=1, max_size=4).map(",".join),
)
HEADERS = st.lists(ODD | TIDY, min_size=1, max_size=2)
"""Authorization headers of one request; {0} and {1} are accounts of two replicas."""


class Home(NamedTuple):
    """The replica of an account."""

    emulator: Emulator
    account: str

    def count_calls(self) -> int:
        return len(self.emulator.account(self.account).calls)


def test_any_authorization_reaches_the_replica_that_has_its_account(balancer: Balancer) -> None:
    """Or it is refused, and is in no journal."""
    with ExitStack() as stack:
        pair = [Emulator.from_seed(DEMO) for _ in range(2)]
        served = [stack.enter_context(each.serve()) for each in pair]
        balancer.start([(each.host, each.port) for each in served])
        named = {RemoteAccount(each.url).generation: emulator for each, emulator in zip(served, pair, strict=True)}
        ids = [find_same(balancer, 555555555555), find_other(balancer, 555555555555), DEFAULT_ACCOUNT]
        homes = {id: Home(named[control(balancer, id).generation], id) for id in ids}

        @settings(max_examples=200, derandomize=True, database=None, deadline=None)
        @given(HEADERS)
        def check(texts: list[str]) -> None:
            headers = [text.replace("{0}", ids[0]).replace("{1}", ids[1]) for text in texts]
            before = [Home(each, id).count_calls() for each in pair for id in ids]
            lines = "".join(f"Authorization: {each}\r\n" for each in headers).encode("latin-1")
            status = balancer.ask(request("POST", "/odd")[: -len(b"\r\n")] + lines + b"\r\n").status
            found = [Home(each, id) for each in pair for id in ids]
            added = [each for each, old in zip(found, before, strict=True) if each.count_calls() > old]
            is_refused = status == 400
            assert added == ([] if is_refused else [homes[read_account(*headers)]])
            assert is_refused or len(headers) == 1 or balancer.software is ENVOY

        check()


# Envoy's log cannot name the account.
@pytest.mark.parametrize("balancer", [NGINX, HAPROXY], ids=lambda software: software.name, indirect=True)
def test_the_log_names_the_account_and_its_replica(running: Balancer) -> None:
    signed = f"Authorization: AWS4-HMAC-SHA256 Credential=444444444444/{SCOPE}"
    assert running.ask(request("POST", "/logged", signed)).status == 404
    until(lambda: "/logged" in running.log)
    (line,) = (line for line in running.log.splitlines() if "/logged" in line)
    assert re.match(r"444444444444 (127\.0\.0\.1:\d+|emulator-[01]) 404 POST /logged", line)
