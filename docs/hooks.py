"""Show files outside ``docs`` in the site, so that pages can link to them as they do in the repository.

Each file that a page links to, and each Markdown file of the nav, becomes a page under ``repository/``, with the same
path: Markdown as it is, an image as it is, anything else as code.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PREFIX = "repository/"
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")
IMAGES = (".png", ".svg")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the files outside ``docs`` that the pages and the nav lead to."""
    waiting = [(f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    found = [uri.removeprefix(PREFIX) for uri in re.findall(rf"{PREFIX}[\w./-]+", repr(config.nav))]
    while waiting or found:
        for path, text in waiting:
            targets = (_resolve(path, target) for target in LINK.findall(text))
            found += [target for target in targets if not target.startswith("docs/")]
        added = {path: _make_file(path, config) for path in found if files.get_file_from_path(_uri(path)) is None}
        for file in added.values():
            files.append(file)
        waiting = [(path, (ROOT / path).read_text()) for path in added if path.endswith(".md")]
        found = []


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # mkdocs passes all
    """Let links lead to the place in the site."""
    uri = page.file.src_uri
    path = uri.removeprefix(PREFIX) if uri.startswith(PREFIX) else f"docs/{uri}"
    folder = posixpath.dirname(uri)
    return LINK.sub(lambda link: posixpath.relpath(_uri(_resolve(path, link[1])), folder or "."), markdown)


def _resolve(path: str, target: str) -> str:
    """Return the path in the repository that a link on a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _uri(path: str) -> str:
    """Return the source in the site of a path in the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PREFIX + (path if path.endswith((".md", *IMAGES)) else f"{path}.md")


def _make_file(path: str, config: MkDocsConfig) -> File:
    file = ROOT / path
    if path.endswith((".md", *IMAGES)):
        return File.generated(config, _uri(path), abs_src_path=str(file), inclusion=InclusionLevel.NOT_IN_NAV)
    language = {".py": "python", ".yml": "yaml", ".yaml": "yaml"}.get(file.suffix, "text")
    text = f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n````{language}\n{file.read_text()}\n````\n"
    return File.generated(config, _uri(path), content=text, inclusion=InclusionLevel.NOT_IN_NAV)
