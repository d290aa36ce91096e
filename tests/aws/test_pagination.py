"""Pages lead on by tokens, and a token is good for the list and the place that it was made for, and for no other."""

from __future__ import annotations

import base64
import itertools

import pytest

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.aws.pagination import Listing, Position, Tokens

SCOPE = "000000000000/ListImageSetVersions/d/i"
TOKENS = Tokens("key")
PLACE = Position("71", 2)
TOKEN = TOKENS.seal(SCOPE, PLACE, 0)


def listing(token: str | None = None, *, tokens: Tokens = TOKENS, page_size: int = 50) -> Listing:
    return Listing(tokens, SCOPE, token, now=0, page_size=page_size)


# Listings.


def test_a_request_without_a_token_begins_at_the_start() -> None:
    first = listing()
    assert (first.start_key(), first.page, first.page_size) == ("", 1, 50)


def test_each_token_leads_one_page_on_and_remembers_the_page_before() -> None:
    token = listing().next_token("71")
    assert listing(token).position == Position("71", 2, "")
    token = listing(token).next_token("21")
    assert listing(token).position == Position("21", 3, "71")
    token = listing(token).next_token("1")
    assert listing(token).position == Position("1", 4, "21")
    assert (listing(token).start_key(), listing(token).page) == ("1", 4)


def test_the_token_of_the_page_before_is_the_one_that_led_there() -> None:
    second = listing().next_token("71")
    third = listing(second).next_token("21")
    fourth = listing(third).next_token("1")
    assert listing(listing(third).token_of_page_before()).start_key() == "71"
    assert listing(listing(third).token_of_page_before()).page == 2
    assert listing(listing(fourth).token_of_page_before()).start_key() == "21"


def test_a_page_of_a_stub_has_a_token_without_a_key() -> None:
    token = listing().token_of_page(2)
    assert listing(token).page == 2
    assert listing(listing(token).token_of_page(3)).page == 3


@pytest.mark.parametrize("token", ["", "x", TOKEN + "0"])
def test_a_token_that_does_not_open_has_no_page_and_is_refused_when_the_list_is_read(token: str) -> None:
    refused = listing(token)
    assert refused.page is None
    with pytest.raises(ValidationException) as raised:
        refused.start_key()
    assert raised.value.message == "Invalid nextToken."


# Tokens.


def test_the_same_position_gives_the_same_token_in_every_run() -> None:
    assert TOKEN == "v1.71..2.2PlF-PI0WCPu02IgUCCJ9nRKt1m1gIapR4QkHmk7Qvk"
    assert TOKENS.seal(SCOPE, Position("21", 3, "71"), 0) == "v1.21.71.3.8Un9knFjHPY2xjjV4zBtfp7-2hIziZNvl7YxSSN1Rag"


def test_a_token_is_honoured_by_another_emulator_with_the_same_key() -> None:
    assert Tokens("key").open(SCOPE, TOKEN, 0) == PLACE


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "v1.71..2",
        "v1.71..2.",
        TOKEN[:-1],
        TOKEN[1:],
        TOKEN + "0",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN.replace("v1.71", "v1.72"),
        TOKEN.replace("v1.71", "v1.071"),
        TOKEN.replace("v1.71.", "v1.71.121"),
        TOKEN.replace("v1.71..2", "v1.71..3"),
        TOKEN.replace("v1.71", "v1.\u0667\u0661"),
        TOKEN.replace("v1.71", "v1."),
        TOKEN.replace("v1.", "v2."),
        TOKEN.upper(),
        TOKEN + "." + TOKEN,
        "v1." + "9" * 5000 + "..2." + TOKEN[-43:],
        *(TOKEN[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-~_=" if letter != TOKEN[-1]),
    ],
)
def test_a_token_that_was_tampered_with_does_not_open(token: str) -> None:
    assert TOKENS.open(SCOPE, token, 0) is None


@pytest.mark.parametrize("index", range(len(TOKEN)))
def test_any_changed_letter_is_noticed(index: int) -> None:
    changed = "x" if TOKEN[index] != "x" else "y"
    assert TOKENS.open(SCOPE, TOKEN[:index] + changed + TOKEN[index + 1 :], 0) is None


@pytest.mark.parametrize("part", range(4))
def test_a_token_of_another_account_operation_data_store_or_image_set_does_not_open(part: int) -> None:
    scope = SCOPE.split("/")
    scope[part] += "x"
    assert TOKENS.open("/".join(scope), TOKEN, 0) is None


def test_a_token_of_another_key_does_not_open() -> None:
    assert Tokens("other").open(SCOPE, TOKEN, 0) is None


def test_a_token_lives_for_its_lifetime() -> None:
    tokens = Tokens("key", lifetime=60)
    token = tokens.seal(SCOPE, PLACE, 1000.5)
    assert tokens.open(SCOPE, token, 1060.499) == PLACE
    assert tokens.open(SCOPE, token, 1060.5) is None


def test_a_token_expires_on_the_millisecond_at_any_time() -> None:
    tokens = Tokens("key", lifetime=0.2)
    for number in range(500):
        now = round(1700000000 + number * 1.001, 3)
        token = tokens.seal(SCOPE, PLACE, now)
        assert tokens.open(SCOPE, token, round(now + 0.199, 3))
        assert tokens.open(SCOPE, token, round(now + 0.2, 3)) is None


def test_tokens_with_and_without_a_lifetime_are_foreign_to_each_other() -> None:
    aging = Tokens("key", lifetime=60)
    assert aging.open(SCOPE, TOKEN, 0) is None
    assert TOKENS.open(SCOPE, aging.seal(SCOPE, PLACE, 0), 0) is None


@pytest.mark.parametrize("lifetime", [None, 1.0])
def test_a_token_suits_urls_and_clients(lifetime: float | None) -> None:
    keys = ["1", "99", str(10**18 - 1)]
    for key, previous, page, secret in itertools.product(keys, ["", *keys], [2, 10**9 - 1], range(20)):
        tokens, position = Tokens(str(secret), lifetime), Position(key, page, previous)
        token = tokens.seal(SCOPE, position, 1e10)
        assert tokens.open(SCOPE, token, 1e10) == position
        assert len(token) < 120
        assert all(letter.isalnum() or letter in "-.~" for letter in token)


def test_a_key_may_hold_letters_digits_hyphens_and_tildes() -> None:
    position = Position("2024-01-01~" + "f" * 32, 2, "~-a")
    assert TOKENS.open(SCOPE, TOKENS.seal(SCOPE, position, 0), 0) == position


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_a_token_is_never_taken_for_a_starting_token_of_boto3(padding: str) -> None:
    for key in range(200):
        token = Tokens(str(key)).seal(SCOPE, Position(str(key), 2), 0)
        with pytest.raises(ValueError, match=r"padding|base64|codec"):
            base64.b64decode(token + padding).decode()
