"""Image sets in the console: found, followed version by version, compared, and seen."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from healthimaging_emulator import Emulator
from tests.demo import CHEST_CT, DATASTORE, HEAD_MR, MANY, OTHER_DATASTORE, SAMPLE

IDS = {"datastoreId": OTHER_DATASTORE, "imageSetId": CHEST_CT}


def open_image_set(page: Page, image_set_id: str, datastore_id: str = OTHER_DATASTORE) -> None:
    page.goto(f"./#/image-sets/{datastore_id}/{image_set_id}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(image_set_id)


def rename_patient(emulator: Emulator, name: str, version: str = "3") -> None:
    attributes = {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": name}}}
    emulator.client().update_image_set_metadata(
        **IDS,
        latestVersionId=version,
        updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(attributes).encode()}},
    )


def test_a_person_finds_an_image_set_by_a_text_and_opens_it(page: Page) -> None:
    page.goto("./")
    expect(page.locator("tbody tr")).to_have_count(19)
    page.get_by_label("Data store").select_option(OTHER_DATASTORE)
    page.get_by_label("Search").fill("chestct")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name=CHEST_CT).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(CHEST_CT)
    expect(page.get_by_text("DEMO PATIENT 1 · DEMO-1")).to_be_visible()


def test_a_search_without_a_result_says_so(page: Page) -> None:
    page.goto("./")
    page.get_by_label("Search").fill("<b>nothing</b>")
    expect(page.get_by_text("No image set has <b>nothing</b>.")).to_be_visible()


@pytest.fixture
def ten_thousand() -> Emulator:
    store = {"datastoreId": DATASTORE, "generate": {"imageSets": 10_000, "patients": 300}}
    return Emulator.from_seed({"datastores": [store]})


class TestOfTenThousand:
    """A sandbox that one line has filled."""

    @pytest.fixture
    def emulator(self, ten_thousand: Emulator) -> Emulator:
        return ten_thousand

    def test_the_image_sets_have_pages(self, page: Page) -> None:
        page.goto("./")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(50)
        first = rows.first.inner_text()
        page.get_by_role("button", name="Next page").click()
        expect(rows.first).not_to_have_text(first, use_inner_text=True)
        page.get_by_role("button", name="Next page").click()
        page.get_by_role("button", name="Previous page").click()
        page.get_by_role("button", name="Previous page").click()
        expect(rows.first).to_have_text(first, use_inner_text=True)
        expect(page.get_by_role("button", name="Previous page")).to_be_disabled()


def test_the_timeline_shows_each_version(page: Page) -> None:
    open_image_set(page, CHEST_CT)
    versions = page.locator(".timeline > li")
    expect(versions).to_have_count(3)
    expect(versions.nth(0)).to_contain_text("Version 3 ACTIVE UPDATED")
    expect(versions.nth(1)).to_contain_text("Version 2 ACTIVE UPDATE_FAILED")
    expect(versions.nth(1)).to_contain_text("updated 2024-01-11 08:00:00")
    expect(versions.nth(1)).to_contain_text("INVALID_REQUEST: Attribute to remove doesn't match.")
    expect(versions.nth(2)).to_contain_text("created 2024-01-10 10:20:00")
    expect(versions.nth(2)).to_contain_text("primary")


def test_a_long_history_is_shown_whole_when_asked_for(page: Page) -> None:
    open_image_set(page, MANY, DATASTORE)
    versions = page.locator(".timeline > li")
    expect(versions).to_have_count(50)
    page.get_by_role("button", name="Show all 137 versions").click()
    expect(versions).to_have_count(137)


def test_a_write_appears_by_itself_and_is_finished(page: Page, emulator: Emulator) -> None:
    emulator.clock.freeze()
    open_image_set(page, CHEST_CT)
    expect(page.locator(".timeline > li")).to_have_count(3)
    rename_patient(emulator, "DEMO^RENAMED")
    expect(page.locator(".timeline > li").first).to_contain_text("Version 4 LOCKED UPDATING")
    under_way = "UpdateImageSetMetadata is under way. It ends when 1 more request has seen it, or in 1 s."
    expect(page.get_by_text(under_way)).to_be_visible()
    page.get_by_role("button", name="Finish now").click()
    expect(page.locator(".timeline > li").first).to_contain_text("Version 4 ACTIVE UPDATED")
    expect(page.get_by_text("DEMO RENAMED · DEMO-1")).to_be_visible()
    assert emulator.client().get_image_set(**IDS)["imageSetState"] == "ACTIVE"


def test_a_forced_copy_is_followed_to_its_source(page: Page, emulator: Emulator) -> None:
    copied = emulator.client().copy_image_set(
        datastoreId=OTHER_DATASTORE,
        sourceImageSetId=CHEST_CT,
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": "3"}},
        force=True,
    )
    id = copied["destinationImageSetProperties"]["imageSetId"]
    open_image_set(page, id)
    expect(page.locator(".timeline > li").first).to_contain_text("forced")
    page.get_by_role("link", name="copied from ches…0000, version 3").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(CHEST_CT)
    expect(page.get_by_role("link", name=f"copied to {id[:4]}…{id[-4:]}, version 1")).to_be_visible()


def test_the_metadata_of_a_version_is_a_tree(page: Page) -> None:
    open_image_set(page, CHEST_CT)
    page.get_by_role("button", name="Metadata of version 1").click()
    expect(page.get_by_role("heading", name="Metadata of version 1")).to_be_focused()
    expect(page.get_by_text('PatientName "DEMO^PATIENT 1"')).to_be_visible()
    page.locator("summary", has_text="2.25.").click()
    page.locator("summary", has_text="Instances (3)").click()
    expect(page.locator(".document summary", has_text="2.25.")).to_have_count(4)


def test_a_deleted_image_set_offers_no_metadata(page: Page, emulator: Emulator) -> None:
    open_image_set(page, CHEST_CT)
    expect(page.get_by_role("button", name="Compare")).to_be_visible()
    emulator.client().delete_image_set(datastoreId=OTHER_DATASTORE, imageSetId=CHEST_CT)
    emulator.finish_transitions()
    expect(page.locator(".timeline > li").first).to_contain_text("DELETED")
    expect(page.get_by_role("button", name="Metadata of version 1")).to_have_count(0)
    expect(page.get_by_role("button", name="Compare")).to_be_hidden()
    expect(page.get_by_text("This image set is deleted: it has no metadata and no frames.")).to_be_visible()
    expect(page.get_by_role("heading", name="Frames")).to_be_hidden()
    expect(page.get_by_text("DEMO^PATIENT 1")).to_have_count(0)


def test_two_versions_are_compared_attribute_by_attribute(page: Page) -> None:
    open_image_set(page, CHEST_CT)
    page.get_by_label("From version").select_option("1")
    page.get_by_role("button", name="Compare").click()
    rows = page.locator(".changes tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Study.DICOM.StudyDescription")
    expect(rows.first.locator(".removed")).to_have_text('"Chest"')
    expect(rows.first.locator(".added")).to_have_text('"Chest CT"')
    page.get_by_label("To version").select_option("2")
    expect(page.get_by_text("Their metadata is the same.")).to_be_visible()


@pytest.mark.frames
def test_frames_are_pictures(page: Page) -> None:
    open_image_set(page, CHEST_CT)
    page.get_by_role("button", name="Show 3 frames").click()
    pictures = page.get_by_role("img", name="Frame ")
    expect(pictures).to_have_count(3)
    size = "image => image.complete && image.naturalWidth"
    page.wait_for_function("[...document.querySelectorAll('figure img')].every((image) => image.naturalWidth === 64)")
    assert pictures.first.evaluate(size) == 64


def test_an_image_set_without_frames_says_so(page: Page) -> None:
    open_image_set(page, SAMPLE, DATASTORE)
    expect(page.get_by_text("The latest version has no frames.")).to_be_visible()


def test_an_image_set_is_removed(page: Page, emulator: Emulator) -> None:
    open_image_set(page, HEAD_MR)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Image sets")
    ids = [each.image_set_id for each in emulator.datastore(OTHER_DATASTORE).image_sets]
    assert HEAD_MR not in ids


def test_an_image_set_that_is_not_there_is_refused_in_the_emulators_words(page: Page) -> None:
    page.goto(f"./#/image-sets/{DATASTORE}/{CHEST_CT}")
    expect(page.get_by_role("alert")).to_have_text(f"ImageSet {CHEST_CT} was not found in Datastore {DATASTORE}.")


def test_its_id_is_copied(page: Page) -> None:
    open_image_set(page, CHEST_CT)
    page.get_by_role("button", name="Copy id").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == CHEST_CT


SCRIPT = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


def test_a_patients_name_that_is_a_script_stays_text(page: Page, emulator: Emulator) -> None:
    image_set = emulator.image_set(OTHER_DATASTORE, CHEST_CT)
    image_set.append(image_set_state="ACTIVE", metadata={"Patient": {"DICOM": {"PatientName": SCRIPT}}})
    open_image_set(page, CHEST_CT)
    expect(page.locator(".about")).to_contain_text(SCRIPT)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".changes")).to_contain_text("onerror")
    page.goto(f"./#/image-sets/{OTHER_DATASTORE}")
    expect(page.locator("tbody")).to_contain_text(SCRIPT)
    assert page.title() == "Image sets · HealthImaging emulator"
