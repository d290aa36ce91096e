"""Check that a tag may be released: ``python -m tests.release v1.2.3``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def objection(tag: str, project: str, changelog: str) -> str | None:
    """Return why a tag may not be released, by the texts of pyproject.toml and CHANGELOG.md."""
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    if tag != f"v{version}":
        return f"invalid tag {tag!r}: expected 'v{version}', by the version in pyproject.toml"
    if f"\n## [{version}]" not in changelog:
        return f"CHANGELOG.md does not name the version {version}"
    return None


if __name__ == "__main__":
    sys.exit(objection(sys.argv[1], (ROOT / "pyproject.toml").read_text(), (ROOT / "CHANGELOG.md").read_text()))
