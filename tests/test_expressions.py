"""No regular expression of the code hangs on a long text, also not one that is written tomorrow.

All expressions are found in the source. Each gets long texts that are made of its own words, in a child process.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import healthimaging_emulator
from healthimaging_emulator.healthimaging.operations import OPERATIONS

PACKAGE = Path(healthimaging_emulator.__file__).parent
METHODS = ("search", "match", "fullmatch", "sub", "split", "findall", "finditer")
LENGTH = 65536
HANG_SECONDS = 120
COMPOSED = [
    "re.compile(pattern, re.ASCII)",  # of members, which are found where they are declared
    "re.compile(pattern, re.ASCII)",
    "re.compile(re.sub('\\\\{(\\\\w+)\\\\}', group, self.path) + '/?')",  # of operations, which are added
    "re.compile(PREFIX + '(SERVICE_(HOST|PORT).*|PORT_.*)')",  # for names of variables
    "re.fullmatch(pattern, value)",
    "re.search(f'^\\\\[\\\\s*{words}\\\\s*\\\\]', text, re.MULTILINE)",
]
COMMON = ["a", "0", " ", "\n", "/", "=", "{", '"', "\u00e9"]

RUN = """
import json, re, sys
for line in sys.stdin:
    method, pattern, flags, units = json.loads(line)
    print(line.strip(), flush=True)
    compiled = re.compile(pattern, flags)
    run = getattr(compiled, method)
    for unit in units:
        for text in (unit * (LENGTH // len(unit)), unit * (LENGTH // len(unit)) + chr(0)):
            list(run(text)) if method == "finditer" else run("", text) if method == "sub" else run(text)
print("done")
"""


class Expressions(ast.NodeVisitor):
    """Finds the expressions of a module, and the methods that are called with each."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str, int]] = set()
        self.composed: list[str] = []

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Find ``re.compile(...).search``."""
        if node.attr in METHODS and isinstance(node.value, ast.Call) and is_re(node.value.func, "compile"):
            self.add(node.attr, node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Find ``re.search(...)``, ``re.compile(...)``, and the patterns of members, which msgspec searches for."""
        if isinstance(node.func, ast.Attribute) and is_re(node.func, *METHODS):
            self.add(node.func.attr, node)
        elif is_re(node.func, "compile"):
            self.add("fullmatch", node)
        elif isinstance(node.func, ast.Name) and node.func.id in ("pattern", "Meta"):
            texts = [each.value for each in node.keywords if each.arg in ("pattern", "linear")] or node.args[:1]
            if texts and isinstance(texts[0], ast.Constant) and isinstance(texts[0].value, str):
                anchored = f"^(?:{texts[0].value})(?![\\s\\S])"
                self.found.add(("search", anchored.replace(r"\p{ASCII}", "[\\x00-\\x7f]"), 0))
        self.generic_visit(node)

    def add(self, method: str, call: ast.Call) -> None:
        first = call.args[0]
        if isinstance(first, ast.Constant):
            flags = sum(getattr(re, name) for name in ("ASCII", "DOTALL", "MULTILINE") if name in ast.unparse(call))
            self.found.add((method, str(first.value), int(flags)))
        else:
            self.composed.append(ast.unparse(call))


def is_re(node: ast.expr, *names: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "re"
        and node.attr in names
    )


def find_expressions() -> Expressions:
    expressions = Expressions()
    for path in sorted(PACKAGE.rglob("*.py")):
        expressions.visit(ast.parse(path.read_text()))
    return expressions


def make_units(pattern: str) -> list[str]:
    """Return the words of a pattern, alone and with what may follow, and some common characters."""
    words = re.findall(r"[A-Za-z]{2,}=?", pattern)
    marks = re.findall(r"[-^(?:<>,;#.!'\[\]]", pattern)
    opened = ["^(?:"] if "(?" in pattern else []
    return [*dict.fromkeys([*COMMON, *words[:4], *(f"{word}0" for word in words[:2]), *marks, *opened])]


def read_job(expressions: set[tuple[str, str, int]]) -> Iterator[str]:
    for method, pattern, flags in sorted(expressions):
        yield json.dumps([method, pattern, flags, make_units(pattern)]) + "\n"


def hangs_at(expressions: set[tuple[str, str, int]], seconds: float) -> str | None:
    """Return the expression at which a child process hangs."""
    program = RUN.replace("LENGTH", str(LENGTH))
    try:
        finished = subprocess.run(
            [sys.executable, "-c", program],
            input="".join(read_job(expressions)),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"it did not begin").decode().splitlines()[-1]
    assert finished.stdout.endswith("done\n"), finished.stderr
    return None


def test_no_expression_hangs() -> None:
    found = find_expressions().found | {("fullmatch", each.labels.pattern, 0) for each in OPERATIONS}
    assert len(found) > 70
    assert hangs_at(found, HANG_SECONDS) is None


def test_an_expression_that_hangs_is_found() -> None:
    assert hangs_at({("search", r"(a+)+b", 0)}, 3) is not None


def test_no_other_expression_is_composed() -> None:
    """Expressions that are no constant cannot be read from the source."""
    assert sorted(find_expressions().composed) == sorted(COMPOSED)
