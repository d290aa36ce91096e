"""Run all benchmarks, and write RESULTS.md, results.svg and the picture of the README beside this file.

``BASE`` in the environment is the path of another checkout: then there is a table against it, too. ``SMOKE=1`` only
shows that every benchmark works, in seconds: it writes nothing, and its exit code is 1 if one failed.
"""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from . import (
    baseline,
    cases,
    charts,
    connections,
    growth,
    imports,
    operations,
    peers,
    picture,
    scale,
    search,
    size,
    suites,
    writes,
)
from .charts import Curve
from .measure import IS_SMOKE, Benchmark, Row, explain, run

HERE = Path(__file__).parent
PACKAGES = (
    "boto3",
    "botocore",
    "flask",
    "werkzeug",
    "httptools",
    "msgspec",
    "moto",
    "granian",
    "pytest",
    "pytest-xdist",
)
TABLES: dict[str, tuple[Benchmark, ...]] = {
    "A call": (
        cases.list_in_process,
        cases.list_over_http,
        operations.get_image_set,
        operations.update_image_set_metadata,
        operations.search_image_sets,
        operations.get_image_set_metadata,
        operations.get_image_frame,
    ),
    "Load": (cases.throughput, connections.idle, connections.stalled),
    "Start and stop": (cases.start_of_a_server, cases.start_in_process, cases.embedded_server),
    "Tests": (cases.a_hundred_tests, suites.five_operations, suites.plugin_under_xdist, size.fresh),
    "Size": (size.last_page, size.append, size.loading, search.loading),
    "Writes": (writes.update_of_a_large_document, writes.copy_of_many_frames),
    "Search": (search.first, search.pages, search.others),
    "Imports": (imports.job_of_many_files, imports.listing_meanwhile),
    "More than one process": (cases.replicas, scale.processor_time, scale.busiest_replica),
    "Overhead": (cases.idle_memory, cases.plugin, cases.faults_and_journal, growth.memory_returns),
}
AGAINST_BASE: tuple[Benchmark, ...] = (
    baseline.list_in_process,
    baseline.list_over_http,
    baseline.throughput,
    baseline.start_of_a_server,
    baseline.start_in_process,
    baseline.loading,
)
INTRODUCTION = """# Results

Written by `make bench`, in {minutes:.1f} minutes; no number here is typed by hand. A figure without a unit is a ratio
of medians of one run, in which every round takes each variant once; the spread is that of the rounds' own ratios,
without a tenth at each end. Absolute times depend on the machine and its other load. Our server logs nothing.

{machine}"""
GROWTH = """## Growth

Each chart shows the time of one call, or the rate of calls, by the number of things that there are.

![The ratios beside their targets, and the charts of the tables below](results.svg)"""

CURVES: tuple[tuple[str, str, Callable[[], dict[int, float]]], ...] = (
    ("versions of an image set", "ms for its last page of ten", size.page_time_by_length),
    ("image sets in a data store", "ms for a search's page of 50", growth.by_image_sets),
    ("instances in a document", "ms for an update of one attribute", growth.by_document),
    ("connections", "requests a second", cases.throughput_by_connections),
    ("accounts", "ms for a page of 50 with boto3", growth.by_accounts),
    ("faults, none of which matches", "ms for a page of 50 with boto3", growth.by_faults),
    ("calls in the journal", "ms for a page of 50 with boto3", growth.by_journal),
)


def measure_curve(number: str, unit: str, measure: Callable[[], dict[int, float]]) -> Curve:
    """Measure a figure by a number. If it fails, the curve is empty and has the reason."""
    try:
        return Curve(number, unit, measure())
    except Exception as error:  # one that fails must not lose the others
        return Curve(number, unit, {}, explain(error))


def table(curve: Curve) -> str:
    """Return a curve as a table in Markdown."""
    if curve.failure:
        return f"{curve.number}: {_failed(curve.failure)}"
    lines = [f"| {key:,} | {_number(value)} |" for key, value in curve.values.items()]
    return "\n".join([*_head(curve.number, curve.unit), *lines])


def main() -> None:
    """Measure and write. The exit code is 1 if a benchmark failed."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode, too
    begun = time.perf_counter()
    sections = []
    found: dict[Benchmark, list[Row]] = {}
    for title, benchmarks in _tables().items():
        found |= {benchmark: _measure(benchmark) for benchmark in benchmarks}
        rows = [row for benchmark in benchmarks for row in found[benchmark]]
        head = _head("benchmark", "figure", "spread", "target", "")
        sections.append("\n".join([f"## {title}", "", *head, *map(line, rows)]))
    curves = [measure_curve(*each) for each in CURVES]
    introduction = INTRODUCTION.format(machine=machine(), minutes=(time.perf_counter() - begun) / 60)
    rows = [row for each in found.values() for row in each]
    with TemporaryDirectory() as folder:
        place = Path(folder) if IS_SMOKE else HERE
        charts.draw_results(rows, curves, place / "results.svg")
        picture.draw(picture.read_panels(found), place)
        (place / "RESULTS.md").write_text("\n\n".join([introduction, *sections, GROWTH, *map(table, curves)]) + "\n")
    sys.exit(any([*(row.failure for row in rows), *(curve.failure for curve in curves)]))


def _measure(benchmark: Benchmark) -> list[Row]:
    rows = []
    for row in run(benchmark):
        rows.append(row)
        print(line(row), file=sys.stderr, flush=True)
    return rows


def _tables() -> dict[str, tuple[Benchmark, ...]]:
    if baseline.BASE is None:
        return TABLES
    return {**TABLES, f"Against the commit before, {baseline.describe_base()}": AGAINST_BASE}


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def line(row: Row) -> str:
    """Return a row of a table in Markdown."""
    if row.failure:
        return f"| {row.name} |  |  |  | {_failed(row.failure)} |"
    spread = "" if math.isnan(row.low) else f"{_number(row.low)} to {_number(row.high)}"
    figure = _number(row.figure) + ("" if row.unit == "x" else f" {row.unit}")
    verdict = {True: "met", False: "**missed**", None: ""}[row.is_met]
    note = "; ".join(filter(None, (verdict, row.remark)))
    return f"| {row.name} | {figure} | {spread} | {row.target} | {note} |"


def _failed(reason: str) -> str:
    escaped = reason.replace("|", "\\|")
    return f"**failed**: {escaped}"


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """Describe the machine, the packages and the commit."""
    models = [each for each in Path("/proc/cpuinfo").read_text().splitlines() if each.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    nginx = peers.find_nginx()
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr if nginx else "/none"
    git = ["git", "describe", "--always", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False, cwd=HERE).stdout.strip() or "unknown"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores of {model}; Python {platform.python_version()}; {packages}; "
        f"nginx {said.strip().rpartition('/')[2]}. Commit {commit}."
    )


if __name__ == "__main__":
    main()
