"""Accounts of tests, which are opened, and strays; faults that have not fired."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator import (
    ConflictError,
    Emulator,
    Fault,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    RemoteAccount,
)
from healthimaging_emulator.accounts import MOST_WARNINGS
from healthimaging_emulator.server.listener import Server
from tests.demo import DATASTORE, SAMPLE, path
from tests.raw import Client, Reply, request

TEST = "900000000001"
NAME = "tests/test_it.py::test_one"


def ask(server: Server, account: str = TEST) -> Reply:
    credential = (
        f"Credential={account}/20240101/us-east-1/medical-imaging/aws4_request, SignedHeaders=host, Signature=0"
    )
    with Client(server) as client:
        client.send(request("POST", path(), f"Authorization: AWS4-HMAC-SHA256 {credential}"))
        return client.receive()


def refusal(server: Server, account: str = TEST) -> str:
    answer = ask(server, account)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    return str(answer.json["message"])


def test_a_test_account_must_be_opened(server: Server) -> None:
    account = RemoteAccount(server.url, TEST)
    unopened = f"Account {TEST} is a test account, and no test has opened it: PUT /_emulator/accounts/{TEST}"
    assert refusal(server) == unopened
    with pytest.raises(NotFoundError, match=unopened):
        account.faults.add(Fault.error("ThrottlingException"))
    account.open(NAME)
    account.faults.add(Fault.error("ThrottlingException", times=1))
    assert [ask(server).status, ask(server).status] == [429, 200]


def test_a_test_account_that_has_ended_names_its_test(server: Server) -> None:
    account = RemoteAccount(server.url, TEST)
    account.open(NAME)
    account.forget()
    assert refusal(server).startswith(f"Account {TEST} is that of {NAME}, which has ended. A client that is kept in")
    account.open("another")
    assert ask(server).status == 200


def test_an_account_is_opened_once(server: Server) -> None:
    RemoteAccount(server.url, TEST).open(NAME)
    with pytest.raises(ConflictError, match=f"account {TEST} is open already, for {NAME}"):
        RemoteAccount(server.url, TEST).open("another")


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("899999999999", "invalid test account '899999999999': expected an id from 900000000000 on"),
        ("9", "invalid account id '9': expected 12 digits"),
    ],
)
def test_only_test_accounts_are_opened(server: Server, id: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        RemoteAccount(server.url).request("PUT", f"accounts/{id}", {"name": NAME})


def test_other_accounts_need_not_be_opened(server: Server) -> None:
    assert ask(server, "899999999999").status == 200


def test_an_access_key_that_is_almost_an_account_is_logged_once(
    server: Server, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("11111111111", "1111111111111", "11111111111", "123", "AKIAIOSFODNN7EXAMPLE", "111111111111"):
        assert ask(server, key).status == 200
    rest = "expected 12 digits; this access key selects no account of its own"
    assert caplog.messages == [
        f"invalid account id '11111111111': {rest}",
        f"invalid account id '1111111111111': {rest}",
    ]
    assert [len(each.calls) for each in emulator.accounts] == [5, 1]


def test_warnings_of_access_keys_have_an_end(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST_WARNINGS + 3):
        ask(server, f"{number:011}")
    assert len(caplog.messages) == MOST_WARNINGS


def test_in_this_process_the_keys_of_the_environment_do_not_matter(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    client = emulator.client(aws_access_key_id="11111111111", aws_secret_access_key="x")
    client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert not caplog.messages


def test_strays_are_kept_with_the_test_that_had_the_account(server: Server) -> None:
    account = RemoteAccount(server.url, TEST)
    ask(server)
    account.open(NAME)
    ask(server)
    account.forget()
    ask(server)
    strays = RemoteAccount(server.url).strays
    assert [(each.account, each.test, each.method, each.path) for each in strays] == [
        (TEST, None, "POST", path()),
        (TEST, NAME, "POST", path()),
    ]


def test_the_last_strays_are_kept(server: Server) -> None:
    for number in range(102):
        ask(server, f"9{number:011}")
    strays = RemoteAccount(server.url).strays
    assert [strays[0].account, strays[-1].account, len(strays)] == ["900000000002", "900000000101", 100]


def test_an_account_that_a_test_names_in_python_is_open(emulator: Emulator) -> None:
    account = emulator.account(TEST)
    keys: dict[str, Any] = {"aws_access_key_id": TEST, "aws_secret_access_key": "x"}
    emulator.client(**keys).get_image_set(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert len(account.calls) == 1


def test_faults_that_never_fired_tell_their_nearest_miss(server: Server) -> None:
    account = RemoteAccount(server.url)
    account.faults.add(
        Fault.error("ThrottlingException", id="fired", page=1, times=1),
        Fault.error("ThrottlingException", id="late", page=2),
        Fault.error("ThrottlingException", id="skipping", skip=9),
    )
    ask(server, "emulator")
    ask(server, "emulator")
    answer = account.request("GET", "faults?unfired", type=dict)
    assert [each["id"] for each in answer["faults"]] == ["late", "skipping"]
    misses = answer["misses"]
    assert misses["late"].startswith("the nearest miss was attempt 1 of ListImageSetVersions")
    assert misses["late"].endswith("its page is 1, not 2")
    assert misses["skipping"] == "it matched 1 request, but it skips 9"
    assert "misses" not in account.request("GET", "faults", type=dict)


def test_an_account_that_could_not_be_opened_is_not_open() -> None:
    with Emulator.from_seed(max_accounts=2).serve() as server:
        first, second = RemoteAccount(server.url, TEST), RemoteAccount(server.url, "900000000002")
        first.open(NAME)
        with pytest.raises(LimitExceededError):
            second.open(NAME)
        first.forget()
        second.open(NAME)
        assert ask(server, second.id).status == 200
