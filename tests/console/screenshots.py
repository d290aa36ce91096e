"""Take the pictures of the documents: ``make screenshots``."""

from __future__ import annotations

import json
from pathlib import Path

from botocore.config import Config
from playwright.sync_api import Browser, Page, expect, sync_playwright

from healthimaging_emulator import Emulator, Fault
from tests.conftest import DEMO, ROOT
from tests.console.conftest import CHROMIUM, launched
from tests.demo import CHEST_CT, DATASTORE, MANY, OTHER_DATASTORE

FOLDER = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1200, 720


def take_screenshots(browser: Browser, folder: Path) -> None:
    """Write a picture of each page that the documents show, in both colour schemes."""
    for scheme in ("light", "dark"):
        emulator = prepare_emulator()
        with emulator.serve() as server:
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if scheme == "dark" else "light"
            )
            for name, show in {"image-set": show_image_set, "calls": show_calls, "faults": show_faults}.items():
                page.goto(f"{server.url}/_emulator/")
                show(page)
                page.screenshot(path=folder / f"console-{name}-{scheme}.png")
            page.close()


def prepare_emulator() -> Emulator:
    """Return an emulator that a program has used, and met faults."""
    emulator = Emulator.from_seed(DEMO)
    emulator.clock.freeze("2024-03-01T12:00:00Z")
    client = emulator.client(backoff=False, config=Config(retries={"mode": "standard"}))
    attributes = {"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyDescription": "Chest CT, second reading"}}}
    client.list_datastores()
    emulator.faults.add(
        Fault.error("ThrottlingException", operation="ListImageSetVersions", attempt=[1, 2], id="busy"),
        Fault.latency(0.4, operation="UpdateImageSetMetadata", id="slow"),
    )
    client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)
    client.update_image_set_metadata(
        datastoreId=OTHER_DATASTORE,
        imageSetId=CHEST_CT,
        latestVersionId="3",
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(attributes).encode()}},
    )
    return emulator


def show_image_set(page: Page) -> None:
    """Show an image set that is LOCKED, and what its last version changed."""
    page.get_by_label("Data store").select_option(OTHER_DATASTORE)
    page.get_by_role("link", name=CHEST_CT).click()
    expect(page.locator(".timeline > li")).to_have_count(4)


def show_calls(page: Page) -> None:
    """Show the calls, one of them opened."""
    page.get_by_role("link", name="Calls").click()
    page.get_by_role("button", name="ListImageSetVersions").click()
    expect(page.locator(".detail")).to_be_visible()


def show_faults(page: Page) -> None:
    """Show the faults and the form."""
    page.get_by_role("link", name="Faults").click()
    page.get_by_label("code (needed)").fill("ThrottlingException")
    expect(page.locator(".effects")).to_contain_text("boto3")
    expect(page.locator(".faults > li")).to_have_count(2)


if __name__ == "__main__":
    assert CHROMIUM, "there is no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        for opened in launched(playwright, CHROMIUM):
            take_screenshots(opened, FOLDER)
