"""The files of a release agree with each other: what they install, and the commands that they run."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.release import objection

MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(name: str) -> list[dict[str, Any]]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_bill_of_materials_is_of_the_packages_that_the_image_installs() -> None:
    (in_image,) = re.findall(r"--constraint constraints\.txt '(\S+)'", (ROOT / "Dockerfile").read_text())
    (recipe,) = re.findall(r"^sbom:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert f"--constraint constraints.txt '{in_image}'" in recipe


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_targets_that_there_are(path: Any) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    commands = [step["run"] for step in steps(path.name) if step.get("run", "").startswith("make ")]
    asked = {word for command in commands for word in shlex.split(command)[1:] if "=" not in word}
    assert commands
    assert asked <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit(path: Any) -> None:
    uses = [step["uses"] for step in steps(path.name) if "uses" in step]
    assert uses
    assert [each for each in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each)] == []


RELEASED = "# Changelog\n\n## [1.2.3] - 2030-01-02\n"
REFUSALS = {
    ("v1.2.3", RELEASED): None,
    ("v1.2.4", RELEASED): "invalid tag 'v1.2.4': expected 'v1.2.3', by the version in pyproject.toml",
    ("1.2.3", RELEASED): "invalid tag '1.2.3': expected 'v1.2.3', by the version in pyproject.toml",
    ("v1.2.3", "# Changelog\n\n## [Unreleased]\n"): "CHANGELOG.md does not name the version 1.2.3",
}


@pytest.mark.parametrize(("tag", "changelog"), list(REFUSALS))
def test_a_tag_is_the_version_of_the_project_and_of_the_changelog(tag: str, changelog: str) -> None:
    assert objection(tag, '[project]\nversion = "1.2.3"\n', changelog) == REFUSALS[tag, changelog]


def test_the_project_has_one_version() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert "expected 'v" in (objection("no tag", project, "") or "")
