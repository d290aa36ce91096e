"""Calls in the console: live, filtered, and one opened."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from healthimaging_emulator import Emulator, Fault
from tests.demo import DATASTORE, MANY, ONE, UNKNOWN

STANDARD = Config(retries={"mode": "standard"})


@pytest.fixture
def client(emulator: Emulator) -> Any:
    return emulator.client(backoff=False, config=STANDARD)


def list_versions(client: Any, image_set_id: str = MANY) -> None:
    client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)


def test_a_call_appears_by_itself_with_its_attempts(page: Page, emulator: Emulator, client: Any) -> None:
    page.goto("./#/calls")
    expect(page.get_by_text("No calls yet.")).to_be_visible()
    emulator.faults.add(Fault.error("ThrottlingException", times=2, id="busy"), Fault.latency(0.001))
    list_versions(client)
    call = page.locator(".calls > li")
    expect(call).to_have_count(1)
    expect(call).to_contain_text("ListImageSetVersions")
    expect(call).to_contain_text("Success")
    expect(call.locator(".attempt")).to_have_text(["429", "429", "200"])
    expect(call.locator(".pause")).to_have_count(2)
    expect(call.locator(".delay")).to_have_text(["1 ms"])
    expect(page.get_by_text("No calls yet.")).to_be_hidden()


def test_one_call_opened_shows_request_and_response(page: Page, emulator: Emulator, client: Any) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", times=1, id="busy"))
    list_versions(client, ONE)
    page.goto("./#/calls")
    page.get_by_role("button", name="ListImageSetVersions").click()
    detail = page.locator(".detail")
    expect(detail).to_contain_text(f"POST /datastore/{DATASTORE}/imageSet/{ONE}/listImageSetVersions")
    expect(detail).to_contain_text("standard")
    expect(detail.locator("pre").nth(0)).to_contain_text(f'"imageSetId": "{ONE}"')
    expect(detail).to_contain_text("429 ThrottlingException · fault busy")
    expect(detail.locator("pre").nth(1)).to_contain_text('"message": "Rate exceeded"')
    expect(detail.locator("pre").nth(2)).to_contain_text('"imageSetPropertiesList"')
    list_versions(client)  # what is open stays so
    expect(page.locator(".calls > li")).to_have_count(2)
    expect(detail).to_be_visible()
    page.get_by_role("button", name="ListImageSetVersions").last.click()
    expect(detail).to_have_count(0)


def test_calls_are_filtered(page: Page, emulator: Emulator, client: Any) -> None:
    list_versions(client, ONE)
    client.list_datastores()
    with pytest.raises(ClientError):
        list_versions(client, UNKNOWN)
    emulator.faults.add(Fault.error("ThrottlingException", times=1, id="busy"))
    client.list_datastores()
    page.goto("./#/calls")
    calls = page.locator(".calls > li")
    for kind, number in {"With an error": 2, "Retried": 1, "With a fault": 1, "All calls": 4}.items():
        page.get_by_role("combobox", name="Show").select_option(kind)
        expect(calls).to_have_count(number)
    for text, number in {"listdatastores": 2, f"imagesetversions {ONE}": 1, "busy 429": 1, "x-y": 0}.items():
        page.get_by_label("Filter").fill(text)
        expect(calls).to_have_count(number)


def test_the_journal_is_emptied(page: Page, emulator: Emulator, client: Any) -> None:
    client.list_datastores()
    page.goto("./#/calls")
    expect(page.locator(".calls > li")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".calls > li")).to_have_count(0)
    assert len(emulator.calls) == 0


def test_an_account_that_begins_anew_has_new_calls(page: Page, emulator: Emulator, client: Any) -> None:
    list_versions(client)
    page.goto("./#/calls")
    expect(page.get_by_text("ListImageSetVersions")).to_be_visible()
    emulator.account().forget()
    for _ in range(3):
        emulator.client().list_datastores()
    expect(page.locator(".calls > li button")).to_have_text(["ListDatastores"] * 3)


def test_of_a_thousand_calls_only_the_new_one_is_drawn(page: Page, emulator: Emulator, client: Any) -> None:
    flask = emulator.app.test_client()
    for number in range(1000):
        flask.post(f"/datastore/{DATASTORE}/imageSet/{ONE}/listImageSetVersions?maxResults={number}").close()
    page.goto("./#/calls")
    calls = page.locator(".calls > li")
    expect(calls).to_have_count(1000)
    page.evaluate(
        """() => {
          window.changes = [];
          const note = ({ addedNodes, removedNodes }) => window.changes.push([addedNodes.length, removedNodes.length]);
          new MutationObserver((records) => records.forEach(note))
            .observe(document.querySelector(".calls"), { childList: true });
        }"""
    )
    client.list_datastores()
    expect(calls.first).to_contain_text("ListDatastores")
    expect(calls).to_have_count(1000)  # the journal keeps as many
    assert sorted(page.evaluate("window.changes")) == [[0, 1], [1, 0]]
