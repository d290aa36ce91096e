"""What is said of a rule that never fired."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, Fault, Rule
from healthimaging_emulator.faults.near_miss import nearest_miss
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN


def missed(image_set_id: str, page: int) -> str:
    return f"the nearest miss was attempt 1 of ListImageSetVersions {DATASTORE}/{image_set_id}, page {page}: Success"


def ask(emulator: Emulator) -> None:
    """Ask for one page of an image set, and then for three of another."""
    client = emulator.client()
    client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    list(client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=MANY))


@pytest.mark.parametrize(
    ("rule", "miss"),
    [
        (Fault.delay(0, page=4), f"{missed(MANY, 3)}: its page is 3, not 4"),
        (Fault.delay(0, page=[4, 5]), f"{missed(MANY, 3)}: its page is 3, not 4 or 5"),
        (Fault.delay(0, page=2, attempt=3), f"{missed(MANY, 2)}: its attempt is 1, not 3"),
        (Fault.delay(0, image_set_id=SAMPLE, attempt=2), f"{missed(SAMPLE, 1)}: its attempt is 1, not 2"),
        (
            Fault.delay(0, image_set_id=SAMPLE, page=3),
            f"{missed(MANY, 3)}: its imageSetId is {MANY}, not {SAMPLE}",
        ),
        (
            Fault.delay(0, datastore_id=UNKNOWN, page=9),
            f"{missed(MANY, 3)}: its datastoreId is {DATASTORE}, not {UNKNOWN} and its page is 3, not 9",
        ),
        (
            Fault.page("cycle", image_set_id=SAMPLE, attempt=1),
            f"{missed(MANY, 3)}: its imageSetId is {MANY}, not {SAMPLE}",
        ),
    ],
)
def test_what_was_asked_for_was_something_else(emulator: Emulator, rule: Rule, miss: str) -> None:
    (armed,) = emulator.faults.add(rule)
    ask(emulator)
    assert nearest_miss(emulator.faults[str(armed.id)], emulator.calls) == miss


def test_a_page_that_has_no_token_to_repeat(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("repeat-token", id="repeat"))
    emulator.client().list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert nearest_miss(emulator.faults["repeat"], emulator.calls) == (
        f"{missed(SAMPLE, 1)}: its page is 1, and repeat-token is for page 2 and later"
    )


def test_an_operation_that_is_not_emulated_meets_no_rule(emulator: Emulator) -> None:
    emulator.faults.add(Fault.delay(0, id="mine"))
    with pytest.raises(ClientError):
        emulator.client().list_datastores()
    assert nearest_miss(emulator.faults["mine"], emulator.calls) == (
        "the nearest miss was attempt 1 of /datastore: UnknownOperationException: it is no operation"
    )


def test_no_request_came(emulator: Emulator) -> None:
    (armed,) = emulator.faults.add(Fault.delay(0))
    assert nearest_miss(armed, emulator.calls) == "no request came"


def test_another_rule_came_first(emulator: Emulator) -> None:
    emulator.faults.add(Fault.body("unknown-enum", id="first"), Fault.body("html", id="second"))
    emulator.client().list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert nearest_miss(emulator.faults["second"], emulator.calls) == f"{missed(SAMPLE, 1)}: rule first came before it"


def test_the_rule_was_not_there_yet(emulator: Emulator) -> None:
    ask(emulator)
    (armed,) = emulator.faults.add(Fault.delay(0))
    assert nearest_miss(armed, emulator.calls) == f"{missed(MANY, 3)}: it came before the rule"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Fault.body("empty", skip=4), "it skips 4"),
        (Fault.rate(1000, 1000), "its bucket was not empty"),
        (Fault.body("empty", probability=0), "its dice were against it"),
        (Fault.body("empty", probability=0, expires_after=1), "it had expired or its dice were against it"),
    ],
)
def test_it_matched_and_was_held_back(emulator: Emulator, rule: Rule, reason: str) -> None:
    emulator.faults.add(rule)
    ask(emulator)
    assert nearest_miss(emulator.faults["fault-1"], emulator.calls) == f"it matched 4 requests, but {reason}"
