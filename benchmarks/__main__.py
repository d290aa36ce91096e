"""Run all benchmarks, and write RESULTS.md and results.svg beside this file.

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

import matplotlib as mpl
from matplotlib import pyplot

from . import baseline, cases, imports, peers, scale, search, size
from .measure import IS_SMOKE, Benchmark, Row, explain, run

HERE = Path(__file__).parent
PACKAGES = ("boto3", "botocore", "flask", "werkzeug", "httptools", "msgspec", "moto", "granian")
TABLES: dict[str, tuple[Benchmark, ...]] = {
    "A call": (cases.list_in_process, cases.list_over_http, cases.get_in_process, cases.update_in_process),
    "Load": (cases.throughput,),
    "Start and stop": (cases.start_of_a_server, cases.start_in_process, cases.embedded_server),
    "Tests": (cases.a_hundred_tests, size.fresh),
    "Size": (size.last_page, size.append, size.loading),
    "Search": (search.first, search.pages, search.others),
    "Imports": (imports.job_of_many_files, imports.listing_meanwhile),
    "More than one process": (cases.replicas, scale.processor_time, scale.busiest_replica),
    "Overhead": (cases.idle_memory, cases.plugin, cases.faults_and_journal),
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

Time for the last page, of ten entries, server side, by the length of the history:

{pages}

Requests a second from one process, by the number of connections:

{rates}

![The ratios beside their targets, time by length, throughput by connections](results.svg)"""


class Curve:
    """A figure by a number, for a table and a chart. If the benchmark fails, it is empty and has the reason."""

    def __init__(self, measure: Callable[[], dict[int, float]], number: str, unit: str) -> None:
        self.number, self.unit, self.failure = number, unit, ""
        self.values: dict[int, float] = {}
        try:
            self.values = measure()
        except Exception as error:  # one that fails must not lose the others
            self.failure = explain(error)

    def table(self) -> str:
        if self.failure:
            return _failed(self.failure)
        lines = [f"| {key:,} | {_number(value)} |" for key, value in self.values.items()]
        return "\n".join([*_head(self.number, self.unit), *lines])


def main() -> None:
    """Measure and write. The exit code is 1 if a benchmark failed."""
    begun = time.perf_counter()
    sections: list[str] = []
    rows: list[Row] = []
    for title, benchmarks in _tables().items():
        found = []
        for benchmark in benchmarks:
            for row in run(benchmark):
                found.append(row)
                print(line(row), file=sys.stderr, flush=True)
        rows += found
        head = _head("benchmark", "figure", "spread", "target", "")
        sections.append("\n".join([f"## {title}", "", *head, *map(line, found)]))
    pages = Curve(size.page_time_by_length, "versions", "ms a page")
    rates = Curve(cases.throughput_by_connections, "connections", "requests a second")
    introduction = INTRODUCTION.format(machine=machine(), minutes=(time.perf_counter() - begun) / 60)
    growth = GROWTH.format(pages=pages.table(), rates=rates.table())
    with TemporaryDirectory() as folder:
        place = Path(folder) if IS_SMOKE else HERE
        draw(rows, pages.values, rates.values, place / "results.svg")
        (place / "RESULTS.md").write_text("\n\n".join([introduction, *sections, growth]) + "\n")
    sys.exit(any([*(row.failure for row in rows), pages.failure, rates.failure]))


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
    return f"| {row.name} | {figure} | {spread} | {row.target} | {verdict or row.remark} |"


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


def draw(rows: list[Row], pages: dict[int, float], rates: dict[int, float], file: Path) -> None:
    """Draw the ratios that have a limit, as a share of it, and how time and throughput grow."""
    mpl.rcParams.update({"svg.hashsalt": "healthimaging-emulator", "font.size": 8, "axes.spines.top": False})
    figure, (bars, by_length, by_connections) = pyplot.subplots(1, 3, figsize=(14, 4.2), width_ratios=[2, 1, 1])
    limited = [row for row in rows if row.target.startswith("at most") and row.figure > 0]
    shares = [row.figure / float(row.target.split()[-1]) for row in limited]
    labels = [label(rows, row) for row in limited]
    bars.barh(labels, shares, color=["#4477aa" if share <= 1 else "#cc6677" for share in shares])
    bars.axvline(1, color="#222222", linewidth=0.8)
    bars.invert_yaxis()
    bars.set_title("share of the limit")
    for axes, curve, title, x in (
        (by_length, pages, "ms for the last page", "versions in the history"),
        (by_connections, rates, "requests a second", "connections"),
    ):
        axes.semilogx(list(curve), list(curve.values()), "o-", base=10 if axes is by_length else 2, color="#4477aa")
        axes.set(title=title, xlabel=x, ylim=(0, 1.2 * max(curve.values(), default=1)))
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def label(rows: list[Row], row: Row) -> str:
    """Return a short label: a row called "the same" belongs to a row before."""
    before = rows[: rows.index(row) + 1]
    base = next(each for each in reversed(before) if not each.name.startswith("the same"))
    name, _, peer = row.name.partition(" against ")
    name = base.name.partition(" against ")[0] if name.startswith("the same") else name
    return f"{name.rstrip(',')[:58]}{f' / {peer[:34]}' if peer else ''}"


if __name__ == "__main__":
    main()
