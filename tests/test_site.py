"""The documentation site: it builds without a warning, and its pages load nothing from other hosts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import healthimaging_emulator
from healthimaging_emulator.faults.check import EFFECTS

from .conftest import ROOT

HANG_SECONDS = 120
LOADED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
}
"""Elements that make a browser load something, and the attribute with the address."""


class Addresses(HTMLParser):
    """Collects the addresses that a page makes a browser load, and the classes of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.classes.update(attributes.get("class", "").split())
        if tag in LOADED and attributes.get("rel") != "canonical":
            self.loaded += filter(None, [attributes.get(LOADED[tag]), attributes.get("srcset")])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site. Links and anchors that lead nowhere, and pages that are not in the nav, fail here."""
    folder = tmp_path_factory.mktemp("site")
    finished = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return folder


def read(page: Path) -> Addresses:
    addresses = Addresses()
    addresses.feed(page.read_text())
    return addresses


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    pages = {page: read(page) for page in site.rglob("*.html")}
    assert len(pages) > 30
    assert {address for each in pages.values() for address in each.loaded if re.match("(https?:)?//", address)} == set()
    assert all(each.loaded for each in pages.values())


def test_style_sheets_load_nothing_from_other_hosts(site: Path) -> None:
    sheets = "\n".join(sheet.read_text() for sheet in site.rglob("*.css"))
    assert "url(" in sheets
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)\"']*", sheets) == []


def test_no_page_has_what_makes_the_theme_load_a_script(site: Path) -> None:
    """The theme loads Mermaid from another host for a diagram, and a repository's numbers for a link to it."""
    classes = set[str]().union(*(read(page).classes for page in site.rglob("*.html")))
    assert classes & {"mermaid", "md-source"} == set()


def test_the_python_api_has_every_public_name(site: Path) -> None:
    ids = set(re.findall(r'id="healthimaging_emulator\.(\w+)"', (site / "api.html").read_text()))
    assert ids >= set(healthimaging_emulator.__all__)


def test_the_python_api_has_a_constructor_for_each_kind_of_fault(site: Path) -> None:
    shown = re.findall(r'id="healthimaging_emulator\.Fault\.(\w+)"', (site / "api.html").read_text())
    assert sorted(shown) == sorted(re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", kind) for kind in EFFECTS)


def test_the_search_finds_every_page(site: Path) -> None:
    found = {
        entry["location"].partition("#")[0]
        for entry in json.loads((site / "search/search_index.json").read_text())["docs"]
    }
    pages = {page.with_suffix(".html").name for page in (ROOT / "docs").glob("*.md")}
    assert pages - found - {"index.html"} == set()
