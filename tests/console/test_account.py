"""The account in the console: its clock, reset, seeds, other accounts, and the lines that connect clients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from healthimaging_emulator import Emulator
from tests.console.conftest import accept
from tests.demo import DATASTORE, ONE, OTHER_DATASTORE, SAMPLE

A = "111111111111"


def test_the_clock_is_frozen_advanced_and_run(page: Page, emulator: Emulator) -> None:
    page.goto("./#/account")
    page.get_by_label("Date").fill("2024-01-01T00:00:00Z")
    page.get_by_role("button", name="Freeze at this date").click()
    expect(page.locator(".now")).to_have_text("2024-01-01 00:00:00 UTC, frozen")
    page.get_by_role("button", name="Advance 1 hour").click()
    page.get_by_label("Seconds").fill("90")
    page.get_by_role("button", name="Advance", exact=True).click()
    expect(page.locator(".now")).to_have_text("2024-01-01 01:01:30 UTC, frozen")
    expect(page.locator("#clock")).to_have_text("2024-01-01 01:01:30 UTC, frozen")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".now")).to_contain_text("running")
    page.get_by_role("button", name="Freeze now").click()
    expect(page.locator(".now")).to_contain_text("frozen")
    assert emulator.clock.is_frozen


def test_a_date_that_is_none_is_refused_in_the_emulators_words(page: Page) -> None:
    page.goto("./#/account")
    page.get_by_label("Date").fill("tomorrow")
    page.get_by_role("button", name="Freeze at this date").click()
    expect(page.locator("#notice")).to_contain_text("$.freeze: Invalid RFC3339 encoded datetime")
    expect(page.locator("#notice")).to_have_class("refusal")


def test_writes_under_way_are_listed_and_finished(page: Page, emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.client().delete_image_set(datastoreId=DATASTORE, imageSetId=ONE)
    page.goto("./#/account")
    expect(page.get_by_text(f"DeleteImageSet of {ONE}")).to_be_visible()
    page.get_by_role("button", name="Finish all now").click()
    expect(page.get_by_text("No write is under way.")).to_be_visible()
    assert emulator.image_set(DATASTORE, ONE).state == "DELETED"


def test_an_account_in_other_letters_is_refused(page: Page) -> None:
    page.goto("./#/account")
    page.get_by_label("Account id").fill("日本")
    page.get_by_role("button", name="Switch to it").click()
    expect(page.locator("#notice")).to_contain_text("expected 12 digits")


def test_nothing_is_lost_if_the_person_is_not_sure(page: Page, emulator: Emulator, seed: Path) -> None:
    emulator.image_set(DATASTORE, ONE).remove()
    page.goto("./#/account")
    page.remove_listener("dialog", accept)
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Reset to the seed").click()
    page.get_by_label("Seed in JSON").set_input_files(seed)
    page.get_by_role("button", name="Replace everything by it").click()
    assert ONE not in [each.image_set_id for each in emulator.datastore(DATASTORE).image_sets]
    assert SAMPLE in [each.image_set_id for each in emulator.datastore(DATASTORE).image_sets]


def test_the_account_is_reset_in_parts(page: Page, emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, ONE).remove()
    emulator.faults.add({"latency": {"seconds": 0.001}})
    page.goto("./#/account")
    for part in ("changes", "calls", "clock"):
        page.get_by_label(part).uncheck()
    page.get_by_label("faults").uncheck()
    page.get_by_role("button", name="Reset to the seed").click()
    expect(page.get_by_text("Choose at least one part.")).to_be_visible()
    page.get_by_label("changes").check()
    page.get_by_role("button", name="Reset to the seed").click()
    expect(page.get_by_text("The account is reset.")).to_be_visible()
    assert emulator.image_set(DATASTORE, ONE).state == "ACTIVE"
    assert len(emulator.faults) == 1


def test_the_state_is_exported_as_a_seed(page: Page) -> None:
    page.goto("./#/account")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as a seed").click()
    assert download.value.suggested_filename == "seed-000000000000.json"
    exported = json.loads(Path(download.value.path()).read_text())
    assert [each["datastoreId"] for each in exported["datastores"]] == [DATASTORE, OTHER_DATASTORE]


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    version = {"versionId": "1", "imageSetState": "ACTIVE"}
    image_set = {"imageSetId": "f" * 32, "versions": [version]}
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]}))
    return path


def test_a_seed_is_added_or_replaces_everything(page: Page, emulator: Emulator, seed: Path) -> None:
    page.goto("./#/account")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#notice")).to_have_text("Choose a file first.")
    page.get_by_label("Seed in JSON").set_input_files(seed)
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("The seed is added.")).to_be_visible()
    assert emulator.image_set(DATASTORE, SAMPLE).state == emulator.image_set(DATASTORE, "f" * 32).state
    page.get_by_role("button", name="Replace everything by it").click()
    expect(page.get_by_text("The account begins with this seed.")).to_be_visible()
    assert [each.image_set_id for each in emulator.datastore(DATASTORE).image_sets] == ["f" * 32]


def test_a_person_switches_to_another_account_and_removes_it(page: Page, emulator: Emulator) -> None:
    emulator.account(A).image_set(DATASTORE, ONE).remove()
    page.goto("./")
    expect(page.locator("tbody tr")).to_have_count(19)
    page.get_by_role("combobox", name="Account").select_option(A)
    expect(page.locator("tbody tr")).to_have_count(18)
    page.goto("./#/account")
    page.get_by_role("button", name=f"Remove account {A}").click()
    expect(page.get_by_text("The account begins with the initial seed.")).to_be_visible()
    page.get_by_role("link", name="Image sets").click()
    expect(page.locator("tbody tr")).to_have_count(19)
    page.reload()
    expect(page.get_by_role("combobox", name="Account")).to_have_value(A)


def test_an_account_is_named_by_its_id(page: Page, emulator: Emulator) -> None:
    page.goto("./#/account")
    page.get_by_label("Account id").fill("12")
    page.get_by_role("button", name="Switch to it").click()
    expect(page.locator("#notice")).to_contain_text("invalid account id '12': expected 12 digits")
    page.get_by_label("Account id").fill(A)
    page.get_by_role("button", name="Switch to it").click()
    expect(page.get_by_role("combobox", name="Account")).to_have_value(A)
    page.get_by_role("button", name="Freeze now").click()
    expect(page.locator(".now")).to_contain_text("frozen")
    assert emulator.account(A).clock.is_frozen
    assert not emulator.clock.is_frozen


def lines(page: Page, client: str) -> str:
    """Copy the lines for a client, as a person does."""
    page.goto("./#/connect")
    page.get_by_role("button", name=f"Copy the lines for {client}", exact=True).click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied: Any = page.evaluate("navigator.clipboard.readText()")
    return str(copied)


def test_the_lines_for_boto3_work(page: Page) -> None:
    finished = subprocess.run([sys.executable, "-c", lines(page, "boto3")], capture_output=True, text=True, check=True)
    assert DATASTORE in finished.stdout


def test_the_lines_for_a_test_in_another_process_work(page: Page, emulator: Emulator) -> None:
    subprocess.run([sys.executable, "-c", lines(page, "a test in another process")], check=True)
    assert len(emulator.faults) == 1


def test_the_variables_lead_boto3_to_the_emulator(page: Page) -> None:
    program = "import boto3; print(boto3.client('medical-imaging').list_datastores()['datastoreSummaries'])"
    command = (
        f'{lines(page, "boto3 since 1.37.5, AWS CLI and aiobotocore, by variables")}\n{sys.executable} -c "{program}"'
    )
    finished = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert DATASTORE in finished.stdout
