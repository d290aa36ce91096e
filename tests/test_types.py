"""Types of the public names, as type checkers see them: a misspelt name is an error, its correct form is not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import ENVIRONMENTS, locked

HANG_SECONDS = 300

PROGRAM = """
from __future__ import annotations

import healthimaging_emulator
from healthimaging_emulator import Account, AccountInterface, Emulator, Fault, Latency, RemoteAccount, Settings
from healthimaging_emulator import Emulater  # wrong

healthimaging_emulator.Fault
healthimaging_emulator.Fautl  # wrong

fault: Fault = Fault.error("ThrottlingException", page=2, times=1, retry_after=1.5, latency=Latency(1.0))
Fault.error("ThrottlingException", pag=2)  # wrong
Fault.error("ThrottlingException", page="2")  # wrong
Fault.error(code=429)  # wrong
Fault.rate_limit(25, 50, expires_after=60.0)
Fault.rate_limit(25)  # wrong
Fault.pagination("cycle", operation=["ListImageSetVersions"])
Fault.pagination("circle")  # wrong
Fault.corrupt("truncate", image_set_id="a" * 32)
Fault.corrupt("truncated")  # wrong
Fault.connection("stall", seconds=5, when="after")
Fault.connection("cutt")  # wrong
Fault.connection("cut", when="later")  # wrong
Fault.workflow("failed", "INVALID_REQUEST:  No.", reads=None, seconds=3)
Fault.workflow("fails")  # wrong
Fault.latency(1.5, 0.5, probability=0.5, seed=1)
Fault.latency("1")  # wrong
Fault.respond({"imageSetPropertiesList": []}, operation="ListImageSetVersions")
Fault.respond("nothing")  # wrong

Settings(page_size=10)
Settings(page_sizes=10)  # wrong
emulator = Emulator.from_seed({"datastores": []}, page_size=10, transition_reads=None, cors_origins=["*"])
Emulator.from_seed(page_sizes=10)  # wrong
Emulator.from_seed(page_size="10")  # wrong

image_set = emulator.image_set("d" * 32, "a" * 32)
image_set.append(image_set_state="ACTIVE", image_set_workflow_status="UPDATED", after=5)
image_set.append(image_set_stat="ACTIVE")  # wrong
image_set.append(image_set_state="active")  # wrong
image_set.replace("1", image_set_state="ACTIVE", updated_at="2024-01-01T00:00:00Z")
image_set.replace("1", image_set_state="ACTIVE", version_id="2")  # wrong
emulator.add_image_set("d" * 32, "a" * 32, version_id="7", is_primary=True)
emulator.add_image_set("d" * 32, "a" * 32, primary=True)  # wrong
emulator.reset("changes", "faults")
emulator.reset("everything")  # wrong
emulator.faults.add(fault, {"error": {"code": "ConflictException"}})
emulator.faults.add("reset")  # wrong


def use(account: AccountInterface) -> None:
    account.image_set("d" * 32, "a" * 32).append(image_set_state="LOCKED")
    account.image_set("d" * 32, "a" * 32).append(image_set_stat="LOCKED")  # wrong
    account.faults.add(fault)
    account.clock.advance(5)


account: Account = emulator.account()
use(account)
use(RemoteAccount("http://127.0.0.1:4580"))
use(emulator)  # wrong
"""
WRONG = {number for number, line in enumerate(PROGRAM.splitlines(), start=1) if line.endswith("# wrong")}


def run_mypy(program: Path) -> set[int]:
    """Return the lines that mypy finds wrong."""
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(program.parent / "cache"), program.name]
    finished = subprocess.run(
        command, cwd=program.parent, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return set(map(int, re.findall(rf"^{program.name}:(\d+): error: ", finished.stdout, re.MULTILINE)))


def run_pyright(program: Path) -> set[int]:
    """Return the lines that pyright finds wrong."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on this machine")
    folder = ENVIRONMENTS / "pyright"
    with locked("pyright"):
        if not (folder / "node_modules" / ".bin" / "pyright").exists():
            folder.mkdir(parents=True, exist_ok=True)
            install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", str(folder)]
            subprocess.run([*install, "pyright@1"], check=True, cwd=folder)
    command = [str(folder / "node_modules" / ".bin" / "pyright"), "--outputjson", "--pythonpath", sys.executable]
    finished = subprocess.run(
        [*command, program.name], cwd=program.parent, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert finished.returncode == 1, finished.stdout + finished.stderr
    found = json.loads(finished.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}


@pytest.mark.parametrize("check", [run_mypy, run_pyright])
def test_a_type_checker_finds_every_misspelt_name_and_wrong_value_and_nothing_else(
    tmp_path: Path, check: Callable[[Path], set[int]]
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    assert check(program) == WRONG
