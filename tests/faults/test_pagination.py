"""``pagination``: the page on the wire, and the list that boto3's paginator makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, PaginationError

from healthimaging_emulator import Emulator, Fault, InvalidError
from tests.demo import DATASTORE, MANY

from .calls import FIRST, IDS, SECOND, THIRD, call, list_all, make_client, send, versions_of


def send_second(emulator: Emulator) -> Any:
    return send(emulator, send(emulator).json["nextToken"])


def test_repeat_token_sends_the_token_of_the_request(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("repeat-token"))
    second = send(emulator, token := send(emulator).json["nextToken"])
    assert (versions_of(second), second.json["nextToken"]) == (SECOND, token)
    with pytest.raises(PaginationError, match="same next token was received twice"):
        list_all(emulator)


def test_cycle_leads_back_to_the_page_before(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("cycle"))
    second = send(emulator, token := send(emulator).json["nextToken"])
    third = send(emulator, second.json["nextToken"])
    assert (versions_of(third), third.json["nextToken"]) == (THIRD, token)
    pages = iter(make_client(emulator).get_paginator("list_image_set_versions").paginate(**IDS))
    seen = [int(next(pages)["imageSetPropertiesList"][0]["versionId"]) for _ in range(7)]
    assert seen == [137, 87, 37, 87, 37, 87, 37]  # and so on, for ever


def test_cycle_keeps_the_size_of_the_pages(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("cycle", page=4))
    firsts, token = [], None
    for _ in range(6):
        response = send(emulator, token, size=10)
        token = response.json["nextToken"]
        firsts.append(versions_of(response)[0])
    assert firsts == [137, 127, 117, 107, 117, 107]


def test_empty_page_has_no_entries_and_the_true_token(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("empty-page", page=2))
    second = send_second(emulator)
    assert second.json["imageSetPropertiesList"] == []
    assert versions_of(send(emulator, second.json["nextToken"])) == THIRD
    assert list_all(emulator) == [FIRST, [], THIRD]


def test_drop_token_ends_the_list_early(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("drop-token", page=2))
    second = send_second(emulator)
    assert (versions_of(second), second.json["nextToken"]) == (SECOND, None)
    assert list_all(emulator) == [FIRST, SECOND]


def test_duplicate_item_repeats_the_first_entry(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("duplicate-item", page=3))
    assert list_all(emulator) == [FIRST, SECOND, [37, *THIRD]]


def test_skip_item_leaves_out_the_last_entry(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("skip-item", page=1))
    assert list_all(emulator) == [FIRST[:-1], SECOND, THIRD]


def test_stale_token_is_refused_when_it_is_used(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("stale-token", page=2))
    second = send_second(emulator)
    assert versions_of(second) == SECOND
    assert send(emulator, second.json["nextToken"]).json == {"message": "Invalid nextToken."}
    with pytest.raises(ClientError) as raised:
        list_all(emulator)
    assert raised.value.response["Error"] == {"Code": "ValidationException", "Message": "Invalid nextToken."}


# Nothing to do.


def assert_unused(emulator: Emulator) -> None:
    attempt = emulator.calls[-1].attempts[-1]
    assert (attempt.faults, attempt.unused) == ([], ["fault-1"])
    status = emulator.faults["fault-1"]
    assert (status.matched, status.fired) == (1, 0)


@pytest.mark.parametrize("kind", ["stale-token", "drop-token"])
def test_a_last_page_has_no_token_to_change_so_the_count_is_given_back(emulator: Emulator, kind: Any) -> None:
    emulator.faults.add(Fault.pagination(kind, page=3, times=1))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    assert_unused(emulator)
    assert str(emulator.calls[-1].attempts[-1]) == "200, without use for fault-1"


def test_a_count_that_was_given_back_is_there_for_the_next_page(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("drop-token", times=1))
    call(make_client(emulator), "ListImageSetVersions")
    assert list_all(emulator) == [FIRST]
    status = emulator.faults["fault-1"]
    assert (status.matched, status.fired) == (2, 1)


KINDS: list[Any] = [
    *("repeat-token", "cycle", "empty-page", "drop-token", "duplicate-item", "skip-item", "stale-token")
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_has_no_page_to_change(emulator: Emulator, kind: Any) -> None:
    tokens = [None, *(page["nextToken"] for page in [send(emulator).json])]
    tokens.append(send(emulator, tokens[1]).json["nextToken"])
    emulator.faults.add(Fault.pagination(kind))
    assert send(emulator, tokens[2], size=99).status_code == 400
    assert_unused(emulator)


# Where it can be.


def test_it_matches_only_operations_with_pages(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("skip-item", operation=["GetImageSet", "ListImageSetVersions"]))
    client = make_client(emulator)
    call(client, "GetImageSet")
    assert emulator.faults["fault-1"].matched == 0
    call(client, "ListImageSetVersions")
    assert emulator.faults["fault-1"].fired == 1


@pytest.mark.parametrize(
    ("fault", "path", "message"),
    [
        (
            Fault.pagination("drop-token", operation="GetImageSet"),
            "$[0].pagination",
            "can never do anything: GetImageSet has no pages",
        ),
        (
            Fault.pagination("drop-token", operation="GetDatastore"),
            "$[0].pagination",
            "can never do anything: GetDatastore has no pages",
        ),
        (
            Fault.pagination("repeat-token", page=1),
            "$[0].match.page",
            "can never match: repeat-token is for page 2 and later",
        ),
        (
            Fault.pagination("cycle", page=[1, 2]),
            "$[0].match.page",
            "can never match: cycle is for page 3 and later",
        ),
        (
            Fault.pagination("cycle", when="after"),
            "$[0].when",
            "pagination cannot come after: expected error, connection or latency",
        ),
    ],
)
def test_a_fault_that_can_never_do_anything_is_refused(
    emulator: Emulator, fault: Fault, path: str, message: str
) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.faults.add(fault)
    assert (raised.value.path, raised.value.message) == (path, message)
    assert len(emulator.faults) == 0


def test_a_list_of_pages_needs_one_on_which_it_can_be(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("cycle", page=[1, 3]))
    pages = iter(make_client(emulator).get_paginator("list_image_set_versions").paginate(**IDS))
    assert [next(pages)["imageSetPropertiesList"][0]["versionId"] for _ in range(4)] == ["137", "87", "37", "87"]


def test_entries_of_a_changed_page_are_those_of_its_image_set(emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("duplicate-item"))
    page = make_client(emulator).list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, maxResults=1)
    assert [(each["imageSetId"], each["versionId"]) for each in page["imageSetPropertiesList"]] == [(MANY, "137")] * 2
