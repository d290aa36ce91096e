"""Other people's environments: the package with its plugin can be installed beside programs that hold old versions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

HANG_SECONDS = 120
WITHOUT_WHEELS = "python-nvd3; python_version < '3'\n"
"""Airflow needs it, but it has no wheel, and none of our dependencies needs it: it is left out."""


def resolve(folder: Path, *requirements: str) -> dict[str, str]:
    """Resolve the package with the extras of the plugin and other requirements, from metadata alone."""
    (folder / "others.in").write_text("\n".join(requirements))
    (folder / "overrides.txt").write_text(WITHOUT_WHEELS)
    options = ["--only-binary", ":all:", "--no-header", "--no-annotate", "--python-version", "3.11"]
    extras = ["--extra", "pytest", "--extra", "sigv4"]
    inputs = [str(ROOT / "pyproject.toml"), str(folder / "others.in"), "--override", str(folder / "overrides.txt")]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *options, *extras, *inputs]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False, cwd=folder)
    if "Failed to fetch" in finished.stderr or "error sending request" in finished.stderr:
        pytest.skip("PyPI cannot be reached")
    assert finished.returncode == 0, finished.stderr
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", finished.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("program", "version"),
    [
        ("apache-airflow", "2.10.5"),
        ("apache-airflow", "2.11.0"),
        ("aws-sam-cli", "1.140.0"),
        ("prefect", "3.1.15"),
        ("typer", "0.12.5"),
    ],
)
def test_it_resolves_beside_programs_that_hold_old_versions(tmp_path: Path, program: str, version: str) -> None:
    resolved = resolve(tmp_path, f"{program}=={version}")
    assert resolved[program] == version
    assert resolved["msgspec"]


@pytest.mark.parametrize(
    "present",
    [
        {"flask": "2.2.5", "werkzeug": "2.2.3", "click": "8.0.4", "pyyaml": "6.0.1", "itsdangerous": "2.0.1"},
        {"flask": "3.0.3", "werkzeug": "3.0.6", "click": "8.1.8", "pyyaml": "6.0.2", "pytest": "7.4.4"},
        {"click": "8.1.8", "typer": "0.12.5", "msgspec": "0.18.6", "httptools": "0.6.3"},
    ],
    ids="-".join,
)
def test_versions_that_are_there_can_stay(tmp_path: Path, present: dict[str, str]) -> None:
    resolved = resolve(tmp_path, *(f"{name}=={version}" for name, version in present.items()))
    assert {name: resolved[name] for name in present} == present
