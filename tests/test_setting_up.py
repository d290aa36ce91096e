"""The commands of README and documents that set something up, in a copy of the checkout that has nothing yet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT
from .demo import path
from .raw import exchange, request
from .reader import started, wait_until_ready
from .test_documents import BLOCKS

HANG_SECONDS = 300


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(lambda name: (ROOT / name).exists(), listed.stdout.splitlines()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def lines(text: str) -> list[str]:
    return [line.partition("   #")[0].rstrip() for line in text.splitlines()]


def find_setups() -> dict[str, list[str]]:
    """Return the commands of each block that sets something up, but those that CI runs on a clean checkout."""
    by_ci = (ROOT / ".ci" / "run").read_text().splitlines()
    blocks = [block for blocks in BLOCKS.values() for block in blocks if block.is_setup]
    setups = {str(block): [line for line in lines(block.text) if line not in by_ci] for block in blocks}
    return {block: commands for block, commands in setups.items() if commands}


SETUPS = find_setups()


@pytest.mark.parametrize("block", SETUPS)
def test_setting_up(checkout: Path, block: str) -> None:
    for command in SETUPS[block]:
        with started(command, checkout) as process:
            assert process.stdout
            if "serve" in command:
                address = wait_until_ready(process)
                assert exchange(address, request("POST", path())).status == 200  # type: ignore[arg-type]
            else:
                output = process.stdout.read()
                assert process.wait(HANG_SECONDS) == 0
                assert "test" not in command or "tests collected" in output or "install" in command
