"""The page itself: how one gets to it, its token, keyboard, accessibility, and its security policy."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect
from werkzeug.datastructures import Headers

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.console.routes import POLICY
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.console.screenshots import FOLDER, HEIGHT, WIDTH, take_screenshots
from tests.demo import CHEST_CT, DATASTORE, MANY, OTHER_DATASTORE

PAGES = ["", f"#/image-sets/{OTHER_DATASTORE}/{CHEST_CT}", "#/calls", "#/faults", "#/account", "#/connect"]


@pytest.fixture
def flask(emulator: Emulator) -> FlaskClient:
    return emulator.app.test_client()


def read(flask: FlaskClient, name: str, prefix: str = "") -> tuple[int, Headers, str]:
    with flask.get(f"/_emulator/{name}", environ_overrides={"SCRIPT_NAME": prefix}) as answer:
        return answer.status_code, answer.headers, answer.get_data(as_text=True)


@pytest.mark.parametrize("address", ["/", "/_emulator"])
def test_a_browser_is_led_to_the_page(browser: Browser, server: Server, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{server.url}{address}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Image sets")
    page.close()


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_other_clients_get_the_answer_of_the_service_at_the_root(flask: FlaskClient, accept: str | None) -> None:
    answer = flask.get("/", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")
    assert flask.post("/", headers={"Accept": "text/html"}).status_code == 404


def test_under_a_prefix_the_page_finds_its_files(flask: FlaskClient) -> None:
    led = flask.get("/", headers={"Accept": "text/html"}, environ_overrides={"SCRIPT_NAME": "/prefix"})
    assert led.headers["Location"] == "_emulator/"
    assert 'src="console/main.js"' in read(flask, "", "/prefix")[2]


@pytest.mark.parametrize("name", ["", "console/main.js", "console/style.css", "console/effects.json"])
def test_every_file_has_the_security_policy(flask: FlaskClient, name: str) -> None:
    status, headers, _ = read(flask, name)
    assert status == 200
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_script_inside_the_page_is_blocked(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.goto(f"{server.url}/_emulator/")
    blocked = page.evaluate(
        """async () => {
          const seen = new Promise((resolve) => document.addEventListener("securitypolicyviolation", resolve));
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='1'>");
          return (await seen).effectiveDirective;
        }"""
    )
    page.close()
    assert blocked == "script-src-attr"


@pytest.mark.parametrize("name", ["console/none.js", "console/../routes.py"])
def test_no_other_file_is_served(flask: FlaskClient, name: str) -> None:
    answer = flask.get(f"/_emulator/{name}")
    assert (answer.status_code, answer.json and answer.json["error"]["code"]) == (404, "NotFound")


@pytest.mark.parametrize("address", PAGES)
def test_axe_finds_nothing_serious(page: Page, emulator: Emulator, address: str) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", times=2), Fault.latency(0.001))
    emulator.client(backoff=False).list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)
    page.goto(f"./{address}")
    expect(page.locator("#clock")).to_contain_text("UTC")
    if address == "#/calls":
        page.get_by_role("button", name="ListImageSetVersions").click()
    if CHEST_CT in address:
        page.get_by_role("button", name="Compare").click()
        page.get_by_role("button", name="Metadata of version 1").click()
        expect(page.get_by_role("heading", name="Metadata of version 1")).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("address", PAGES)
def test_nothing_is_wider_than_the_screen(page: Page, address: str) -> None:
    page.goto(f"./{address}")
    expect(page.locator("#clock")).to_contain_text("UTC")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_keyboard_is_enough(page: Page, emulator: Emulator) -> None:
    emulator.faults.add(*(Fault.error("ConflictException", operation="GetImageSet", id=id) for id in "abc"))
    page.goto("./#/calls")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("link", name="Faults").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Faults")
    toggle = page.get_by_role("switch", name="Fault a is on")
    toggle.focus()
    page.keyboard.press("Space")
    expect(page.locator(".faults > li.off")).to_have_count(1)
    expect(toggle).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # down: the first one cannot go up
    expect(page.locator(".faults > li b")).to_have_text(["b", "a", "c"])
    expect(page.get_by_role("button", name="Move a down")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".faults > li b")).to_have_text(["b", "c", "a"])
    assert [each.id for each in emulator.faults] == ["b", "c", "a"]


def test_an_emulator_that_stops_and_comes_back(page: Page, emulator: Emulator, server: Server) -> None:
    page.goto("./")
    expect(page.locator("tbody tr")).to_have_count(19)
    server.stop()
    expect(page.get_by_role("alert")).to_have_text(f"The emulator at {server.url} does not answer.")
    with emulator.serve(port=server.port):
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_link_cannot_lead_to_another_endpoint(page: Page, emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("AccessDeniedException"))
    page.goto("./#/image-sets/x/..%2F..%2F..%2Ffaults")
    expect(page.get_by_role("alert")).to_have_text("invalid path: expected no escape %2F")
    page.goto("./#/image-sets/../..")
    expect(page.get_by_role("alert")).to_contain_text("was not found")


def test_a_link_that_is_damaged_shows_its_page(page: Page) -> None:
    page.goto("./#/image-sets/%")
    expect(page.get_by_role("alert")).to_contain_text("was not found")


class TestWithAControlToken:
    """The token is asked for once, and kept for the tab."""

    TOKEN = "sécret"

    @pytest.fixture
    def emulator(self) -> Emulator:
        return Emulator.from_seed(DEMO, control_token=self.TOKEN)

    @pytest.fixture
    def asked(self, page: Page) -> Page:
        page.goto("./")
        expect(page.get_by_role("dialog")).to_be_visible()
        return page

    def enter(self, page: Page, token: str) -> None:
        page.get_by_role("textbox", name="Control token").fill(token)
        page.get_by_role("button", name="Use this token").click()

    def test_it_is_asked_for_once(self, asked: Page) -> None:
        self.enter(asked, self.TOKEN)
        expect(asked.locator("tbody tr")).to_have_count(19)
        asked.reload()
        expect(asked.locator("tbody tr")).to_have_count(19)
        expect(asked.get_by_role("dialog")).to_have_count(0)

    def test_it_cannot_be_dismissed(self, asked: Page) -> None:
        for _ in range(3):
            asked.keyboard.press("Escape")
            expect(asked.get_by_role("dialog")).to_be_visible()
        self.enter(asked, self.TOKEN)
        expect(asked.locator("tbody tr")).to_have_count(19)

    def test_a_wrong_one_is_asked_for_again(self, asked: Page) -> None:
        self.enter(asked, "wrong")
        expect(asked.get_by_text("the header x-emulator-token is missing or wrong")).to_be_visible()
        self.enter(asked, self.TOKEN)
        expect(asked.locator("tbody tr")).to_have_count(19)


def test_the_pictures_of_the_documents_can_be_taken(browser: Browser, tmp_path: Path) -> None:
    take_screenshots(browser, tmp_path)
    shown = {picture.name for picture in FOLDER.glob("console-*.png")}
    assert {picture.name for picture in tmp_path.iterdir()} == shown
    for picture in tmp_path.iterdir():
        width, height = struct.unpack(">II", picture.read_bytes()[16:24])
        assert (width, height) == (WIDTH, HEIGHT)
