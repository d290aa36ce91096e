"""Pages, and what a token endures."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.aws.pagination import START, Listing, Position, Tokens, index
from healthimaging_emulator.healthimaging.shapes import ImageSetProperties
from healthimaging_emulator.seeds.generate import history

SCOPE = "000000000000/ListImageSetVersions/d/i"
HISTORY = history("a" * 32, 120)
TOKENS = Tokens("key")
TOKEN = TOKENS.seal(SCOPE, Position(71, 2), 0)


def listing(token: str | None = None, *, tokens: Tokens = TOKENS, page_size: int = 50) -> Listing:
    return Listing(tokens, SCOPE, token, now=0, page_size=page_size)


def numbers(entries: object) -> list[int]:
    return [entry.number for entry in entries]  # type: ignore[attr-defined]


def test_pages_are_disjoint_whole_and_newest_first() -> None:
    seen, token, pages = [], None, []
    while True:
        at = listing(token)
        entries, token = at.cut(HISTORY, None)
        seen += numbers(entries)
        pages.append(at.position)
        if token is None:
            break
    assert seen == list(range(120, 0, -1))
    assert pages == [START, Position(71, 2), Position(21, 3)]


@pytest.mark.parametrize(("versions", "sizes"), [(1, [1]), (49, [49]), (50, [50]), (51, [50, 1]), (100, [50, 50])])
def test_the_last_page_has_no_token(versions: int, sizes: list[int]) -> None:
    entries, token = listing().cut(HISTORY[:versions], None)
    assert len(entries) == sizes[0]
    assert (token is None) == (len(sizes) == 1)
    if token:
        entries, token = listing(token).cut(HISTORY[:versions], None)
        assert (len(entries), token) == (sizes[1], None)


def test_the_page_size_may_change_between_pages() -> None:
    first, token = listing().cut(HISTORY, 7)
    second, token = listing(token).cut(HISTORY, 50)
    third, token = listing(token, page_size=3).cut(HISTORY, None)
    assert numbers(first + second + third) == list(range(120, 60, -1))


def test_a_version_added_between_two_pages_neither_repeats_nor_skips_one() -> None:
    first, token = listing().cut(HISTORY[:100], None)
    second, _ = listing(token).cut(HISTORY, None)
    assert numbers(first + second) == list(range(100, 0, -1))


@pytest.mark.parametrize("below", [51, 500_000, 1_000_000])
def test_a_page_costs_the_same_at_any_depth(below: int) -> None:
    looked_at = []

    class Version:
        def __init__(self, number: int) -> None:
            self._number = number

        @property
        def number(self) -> int:
            looked_at.append(self._number)
            return self._number

    class Endless(Sequence[Version]):
        def __len__(self) -> int:
            return 1_000_000

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, slice):
                return [Version(number + 1) for number in range(*index.indices(len(self)))]
            return Version(index + 1)

    entries, _ = listing(TOKENS.seal(SCOPE, Position(below, 2), 0)).cut(Endless(), None)  # type: ignore[arg-type]
    assert len(entries) == 50
    assert len(looked_at) <= 22


def test_the_same_position_gives_the_same_token_in_every_run() -> None:
    assert TOKEN == "v1.71.2.LcfPDmXEn9ITrJDx58McqcKe~K~JouKltwlEi76wqIs"


def test_a_token_is_honoured_by_another_emulator_with_the_same_key() -> None:
    assert Tokens("key").open(SCOPE, TOKEN, 0) == Position(71, 2)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "v1.71.2",
        "v1.71.2.",
        TOKEN[:-1],
        TOKEN[1:],
        TOKEN + "0",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN.replace("v1.71", "v1.72"),
        TOKEN.replace("v1.71", "v1.071"),
        TOKEN.replace("v1.71.2", "v1.71.3"),
        TOKEN.replace("v1.71", "v1.\u0667\u0661"),
        TOKEN.upper(),
        TOKEN + "." + TOKEN,
        "v1." + "9" * 5000 + ".2." + TOKEN[-43:],
        *(TOKEN[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-~_=" if letter != TOKEN[-1]),
    ],
)
def test_a_token_that_was_tampered_with(token: str) -> None:
    assert TOKENS.open(SCOPE, token, 0) is None
    with pytest.raises(ValidationException, match=r"^Invalid nextToken\.$"):
        listing(token).cut(HISTORY, None)


@pytest.mark.parametrize("index", range(len(TOKEN)))
def test_any_changed_letter_is_noticed(index: int) -> None:
    changed = "x" if TOKEN[index] != "x" else "y"
    assert TOKENS.open(SCOPE, TOKEN[:index] + changed + TOKEN[index + 1 :], 0) is None


@pytest.mark.parametrize("part", range(4))
def test_a_token_of_another_account_operation_data_store_or_image_set(part: int) -> None:
    scope = SCOPE.split("/")
    scope[part] += "x"
    assert TOKENS.open("/".join(scope), TOKEN, 0) is None


def test_a_token_of_another_key() -> None:
    assert Tokens("other").open(SCOPE, TOKEN, 0) is None


def test_a_token_lives_for_its_lifetime() -> None:
    tokens = Tokens("key", lifetime=60)
    token = tokens.seal(SCOPE, Position(71, 2), 1000.5)
    assert tokens.open(SCOPE, token, 1060.499) == Position(71, 2)
    assert tokens.open(SCOPE, token, 1060.5) is None


def test_a_token_expires_on_the_millisecond_at_any_time() -> None:
    tokens = Tokens("key", lifetime=0.2)
    for number in range(500):
        now = round(1700000000 + number * 1.001, 3)
        token = tokens.seal(SCOPE, Position(71, 2), now)
        assert tokens.open(SCOPE, token, round(now + 0.199, 3))
        assert tokens.open(SCOPE, token, round(now + 0.2, 3)) is None


def test_tokens_with_and_without_a_lifetime_are_foreign_to_each_other() -> None:
    aging = Tokens("key", lifetime=60)
    assert aging.open(SCOPE, TOKEN, 0) is None
    assert TOKENS.open(SCOPE, aging.seal(SCOPE, Position(71, 2), 0), 0) is None


@pytest.mark.parametrize("lifetime", [None, 1.0])
def test_a_token_suits_urls_and_clients(lifetime: float | None) -> None:
    for below, page, key in itertools.product([1, 99, 137, 10**18 - 1], [2, 10**9 - 1], range(50)):
        tokens, position = Tokens(str(key), lifetime), Position(below, page)
        token = tokens.seal(SCOPE, position, 1e10)
        assert tokens.open(SCOPE, token, 1e10) == position
        assert len(token) < 100
        assert all(letter.isalnum() or letter in "-.~" for letter in token)


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_a_token_is_never_taken_for_a_starting_token_of_boto3(padding: str) -> None:
    for key in range(200):
        token = Tokens(str(key)).seal(SCOPE, Position(key, 2), 0)
        with pytest.raises(ValueError, match=r"padding|base64|codec"):
            base64.b64decode(token + padding).decode()


@pytest.mark.parametrize("ids", [["7"], ["1", "2", "3"], ["1", "2", "5", "9"], ["3", "4", "8"], ["2", "4", "6"]])
def test_the_place_of_a_number_also_where_numbers_are_missing(ids: list[str]) -> None:
    history = tuple(ImageSetProperties(image_set_id="a" * 32, version_id=id, image_set_state="ACTIVE") for id in ids)
    for number in range(12):
        assert index(history, number) == sum(int(id) < number for id in ids)
