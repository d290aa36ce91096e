"""Mutation testing with mutmut: ``python -m tests.mutation``.

mutmut wants a package at the root of its folder or in ``src``, so it works in a folder of links. Of the mutants that
it makes of each module, a share is tested, which is the same in every run. Each mutant meets the tests that reach its
function.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from math import ceil
from pathlib import Path

import pytest
from mutmut.stats import status_by_exit_code

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".mutants"
LINKS = {"src": "emulator", **{name: name for name in ("docs", "fixtures", "pyproject.toml", "tests")}}
PACKAGE = "healthimaging_emulator."
SMALLEST = f"{PACKAGE}aws.arn.*"
"""Few mutants, to let mutmut make all of them and find the tests of every function."""

COLD = {
    "aws.members": ("tests/test_model.py", "tests/aws", "tests/healthimaging/test_constraints.py"),
    "aws.operation": ("tests/test_model.py", "tests/aws", "tests/healthimaging/test_constraints.py"),
    "aws.rest_json": ("tests/aws/test_rest_json.py",),
    "healthimaging.imports.reader": ("tests/healthimaging/imports",),
    "healthimaging.shapes": ("tests/test_model.py", "tests/healthimaging/test_constraints.py"),
}
"""Modules with functions that run when the package is loaded, once for all tests, or in another process, so that mutmut
cannot change them in time; and the tests to run in a new process for a mutant that mutmut did not see killed."""

KILLED = {"killed", "timeout", "segfault", "suspicious"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out tests that mutmut cannot run by their names: those with a backslash. pytest loads this module too."""
    items[:] = [item for item in items if "\\" not in item.nodeid]


def run_mutmut(names: Iterable[str], children: int) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(children), *names]
    subprocess.run(command, cwd=FOLDER, check=True)


def read_results() -> dict[str, str]:
    """Return the status of each mutant."""
    results: dict[str, str] = {}
    for path in sorted(FOLDER.glob("mutants/src/**/*.py.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        results |= {name: status_by_exit_code[code] for name, code in codes.items()}
    return results


def survives_cold(name: str) -> bool:
    """Whether the tests pass in a new process that loads a mutant; true for a module of which mutmut sees all."""
    tests = next((tests for module, tests in COLD.items() if module_of(name).startswith(module)), None)
    if tests is None:
        return True
    folder = FOLDER / "mutants"
    environment = os.environ | {"MUTANT_UNDER_TEST": name, "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode == 0


def module_of(name: str) -> str:
    return name.removeprefix(PACKAGE).rpartition(".")[0]


def pick(names: Iterable[str], share: float, seed: int) -> list[str]:
    """Pick a share of the mutants of each module."""
    modules = defaultdict(list)
    for name in names:
        modules[module_of(name)].append(name)
    chance = random.Random(seed)
    return [name for module in modules.values() for name in chance.sample(module, ceil(len(module) * share))]


def report(tested: dict[str, str]) -> str:
    """Return a line for each package, and one for each mutant that was not killed."""
    packages: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    for name, status in tested.items():
        for package in (module_of(name).partition(".")[0], "all"):
            packages[package][status in KILLED] += 1
    lines = [f"{name}: {status}" for name, status in sorted(tested.items()) if status not in KILLED]
    for package, counts in sorted(packages.items()):
        lines.append(f"{package}: {counts[True]} of {counts.total()} killed, {counts[True] / counts.total():.1%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.1, help="share of the mutants of each module; 1 for all")
    parser.add_argument("--seed", type=int, default=0, help="another number picks other mutants")
    parser.add_argument("--module", default="", help="beginning of a module's name, such as aws.members")
    parser.add_argument("--children", type=int, default=2, help="processes at a time")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for name, target in LINKS.items():
        if not (FOLDER / name).is_symlink():
            (FOLDER / name).symlink_to(ROOT / target)
    run_mutmut([SMALLEST], options.children)
    picked = pick(read_results(), options.share, options.seed)
    picked = [name for name in picked if module_of(name).startswith(options.module)]
    run_mutmut(picked, options.children)
    results = {name: status for name, status in read_results().items() if name in set(picked)}
    for name, status in results.items():
        if status not in KILLED and not survives_cold(name):
            results[name] = "killed"
    print(report(results))


if __name__ == "__main__":
    main()
