"""Faults in the console: added by a click or a form, switched, moved, removed, and what SDKs make of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.faults.check import EFFECTS
from tests.clients.test_table_of_effects import ROWS
from tests.conftest import ROOT

STATIC = ROOT / "emulator/healthimaging_emulator/console/static"


def test_one_click_adds_each_of_the_common_faults(page: Page, emulator: Emulator) -> None:
    page.goto("./#/faults")
    expect(page.get_by_text("There are no faults")).to_be_visible()
    buttons = page.locator(".wrap button")
    expect(buttons.first).to_be_visible()
    for number in range(buttons.count()):
        buttons.nth(number).click()
        expect(page.locator(".faults > li")).to_have_count(number + 1)
    assert len(emulator.faults) == buttons.count() >= 10


def test_counts_appear_by_themselves(page: Page, emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("AccessDeniedException", operation="GetDatastore"))
    page.goto("./#/faults")
    expect(page.get_by_text("matched 0, fired 0")).to_be_visible()
    with pytest.raises(ClientError):
        emulator.client().get_datastore(datastoreId="0" * 32)
    expect(page.get_by_text("matched 1, fired 1")).to_be_visible()


def test_faults_are_switched_moved_and_removed(page: Page, emulator: Emulator) -> None:
    emulator.faults.add(*(Fault.error("ConflictException", operation="GetImageSet", id=id) for id in "abc"))
    page.goto("./#/faults")
    faults = page.locator(".faults > li")
    page.get_by_role("switch", name="Fault b is on").uncheck()
    expect(page.locator(".faults > li.off b")).to_have_text("b")
    assert not emulator.faults["b"].is_on
    page.get_by_role("button", name="Move c up").click()
    expect(faults.locator("b")).to_have_text(["a", "c", "b"])
    assert [each.id for each in emulator.faults] == ["a", "c", "b"]
    page.get_by_role("button", name="Remove a", exact=True).click()
    expect(faults).to_have_count(2)
    page.get_by_role("button", name="Remove all").click()
    expect(faults).to_have_count(0)
    assert len(emulator.faults) == 0


def fill_error(page: Page) -> None:
    page.goto("./#/faults")
    page.get_by_label("code (needed)").fill("ThrottlingException")
    page.get_by_label("retryAfter").fill("1.5")
    page.get_by_text("Which requests").click()
    page.get_by_label("operation").fill("GetImageSet")
    page.get_by_text("When and how often").click()
    page.get_by_label("times").fill("2")


ERROR = {"match": {"operation": "GetImageSet"}, "times": 2, "error": {"code": "ThrottlingException", "retryAfter": 1.5}}


def test_a_form_writes_the_fault_and_adds_it(page: Page, emulator: Emulator) -> None:
    fill_error(page)
    assert json.loads(page.get_by_label("The fault in JSON").input_value()) == ERROR
    page.get_by_role("button", name="Add this fault").click()
    expect(page.locator(".faults > li")).to_have_count(1)
    (fault,) = emulator.faults
    assert fault.match.operation == "GetImageSet"
    assert (fault.times, fault.error_effect and fault.error_effect.retry_after) == (2, 1.5)


@pytest.mark.parametrize(
    ("kind", "fields", "fault"),
    [
        ("pagination", {"pagination": "drop-token"}, {"pagination": "drop-token"}),
        ("corrupt", {"corrupt": "html"}, {"corrupt": "html"}),
        ("rateLimit", {"perSecond (needed)": "2", "burst (needed)": "3"}, {"rateLimit": {"perSecond": 2, "burst": 3}}),
        ("connection", {"kind (needed)": "stall", "seconds": "9"}, {"connection": {"kind": "stall", "seconds": 9}}),
        ("workflow", {"outcome": "failed", "message": "No."}, {"workflow": {"outcome": "failed", "message": "No."}}),
        ("latency", {"seconds (needed)": "0.5", "jitter": "0.1"}, {"latency": {"seconds": 0.5, "jitter": 0.1}}),
        ("respond", {"respond": '{"a": 1}'}, {"respond": {"a": 1}}),
    ],
)
def test_the_form_writes_each_kind(page: Page, kind: str, fields: dict[str, str], fault: Any) -> None:
    page.goto("./#/faults")
    page.get_by_label("Kind of fault").select_option(kind)
    place = page.locator("fieldset, .fields .fields").first
    if isinstance(fault[kind], dict) and kind in ("rateLimit", "connection"):
        place.get_by_role("combobox").first.select_option(label=f"{kind[0].upper()}{kind[1:]}Effect, in detail")
    for name, value in fields.items():
        label = (
            page.locator(".fault-form label", has_text=re.compile(rf"^{re.escape(name)}")).locator("visible=true").last
        )
        if label.locator("select").count():
            label.locator("select").select_option(value)
        else:
            label.locator("input").fill(value)
    assert json.loads(page.get_by_label("The fault in JSON").input_value()) == fault


def test_the_form_offers_every_kind_of_the_language(page: Page) -> None:
    page.goto("./#/faults")
    kinds = page.get_by_label("Kind of fault").locator("option")
    expect(kinds.first).to_be_attached()
    assert set(kinds.all_inner_texts()) == {*EFFECTS}


def test_operations_and_codes_are_suggested(page: Page) -> None:
    fill_error(page)
    for name, suggested in (("code (needed)", "ConflictException"), ("operation", "SearchImageSets")):
        listed = page.get_by_label(name).evaluate("field => [...field.list.options].map(({ value }) => value)")
        assert suggested in listed


def test_what_the_emulator_refuses_is_shown_in_its_own_words(page: Page, emulator: Emulator) -> None:
    page.goto("./#/faults")
    page.get_by_label("The fault in JSON").fill(
        '{"error": {"code": "NoSuchCode"}, "match": {"operation": "GetImageSet"}}'
    )
    page.get_by_role("button", name="Add this fault").click()
    expect(page.locator("#notice")).to_contain_text("GetImageSet does not model NoSuchCode, so it needs a status")
    page.get_by_label("The fault in JSON").fill("{")
    page.get_by_role("button", name="Add this fault").click()
    expect(page.locator("#notice")).to_contain_text("position 1")
    assert len(emulator.faults) == 0


def test_what_each_sdk_makes_of_it_stands_beside_it(page: Page) -> None:
    page.goto("./#/faults")
    page.get_by_label("The fault in JSON").fill('{"corrupt": "truncate"}')
    effects = page.locator(".effects")
    expect(effects).to_contain_text("JSON cut in half, lengths agree")
    expect(effects).to_contain_text("SyntaxError after 1 attempt")
    page.get_by_label("The fault in JSON").fill('{"respond": {}}')
    expect(effects).to_contain_text("No client was tried with it.")


def test_its_table_is_that_of_the_documents() -> None:
    shown = json.loads((STATIC / "effects.json").read_text())
    assert [[each["sent"], each["boto3"], each["cli"], each["javascript"]] for each in shown] == [
        [row[1].replace("`", ""), *row[2:]] for row in ROWS
    ]
    assert [each["fault"] for each in shown] == [json.loads(row[0].strip("`")) for row in ROWS]
