"""A real Chromium that looks at the console of a served emulator."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, expect, sync_playwright

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HANG_MILLISECONDS = 30_000
expect.set_options(timeout=HANG_MILLISECONDS)


class Screen(NamedTuple):
    """A size in pixels, and a colour scheme."""

    width: int
    scheme: str


DESK, PHONE = Screen(1440, "light"), Screen(375, "dark")


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator of the demo, whose writes end as by default, which the console shows."""
    return Emulator.from_seed(DEMO)


@pytest.fixture(scope="module")  # no longer: its event loop would be in the way of other tests of the process
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield from launched(playwright, CHROMIUM)


def launched(playwright: Playwright, program: str) -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    browser = playwright.chromium.launch(executable_path=program, args=flags)
    yield browser
    browser.close()


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def screen(request: pytest.FixtureRequest) -> Screen:
    screen: Screen = request.param
    return screen


@pytest.fixture
def page(browser: Browser, screen: Screen, server: Server) -> Iterator[Page]:
    """Open a page of the console. The test fails if anything is wrong on its console, or if it asks another host."""
    context = browser.new_context(
        viewport={"width": screen.width, "height": 900},
        color_scheme="dark" if screen.scheme == "dark" else "light",
        permissions=["clipboard-read", "clipboard-write"],
        base_url=f"{server.url}/_emulator/",
    )
    context.set_default_timeout(HANG_MILLISECONDS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith((server.url, "blob:")) else wrong.append(request.url)
    )
    page.on("dialog", accept)
    yield page
    context.close()
    assert wrong == []


def accept(dialog: Dialog) -> None:
    """Agree to a question."""
    dialog.accept()


def is_wrong(message: ConsoleMessage) -> bool:
    """Whether a message is an error or a warning; an answer that is a refusal is logged by the browser itself."""
    return message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")
