"""Measure everything, and write RESULTS.md and results.svg beside this file."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from . import cases, peers
from .measure import Row

HERE = Path(__file__).parent
PACKAGES = ("boto3", "botocore", "flask", "werkzeug", "h11", "msgspec", "moto", "granian")
INTRODUCTION = """# Results

Written by `make bench`, in {minutes:.1f} minutes; no number here is typed by hand. A figure without a unit is a ratio
of medians of one run, in which every round takes each variant once; the spread is that of the rounds' own ratios,
without a tenth at each end. Absolute times belong to the machine, which others use too. Our server logs nothing.

{machine}"""
GROWTH = """## Growth

Time for the last page, of ten entries, server side, by the length of the history:

{pages}

Requests a second from one process, by the number of connections:

{rates}

![The ratios beside their targets, time by length, throughput by connections](results.svg)"""


def main() -> None:
    """Measure, and write."""
    begun = time.perf_counter()
    sections: list[str] = []
    rows: list[Row] = []
    for title, tables in cases.TABLES.items():
        found = []
        for table in tables:
            for row in table():
                found.append(row)
                print(line(row), file=sys.stderr, flush=True)
        rows += found
        sections.append(
            "\n".join([f"## {title}", "", *head("what", "figure", "spread", "target", ""), *map(line, found)])
        )
    pages, rates = cases.growth(), cases.throughput_by_connections()
    draw(rows, pages, rates)
    introduction = INTRODUCTION.format(machine=machine(), minutes=(time.perf_counter() - begun) / 60)
    growth = GROWTH.format(
        pages=table_of(pages, "versions", "ms a page"), rates=table_of(rates, "connections", "requests a second")
    )
    (HERE / "RESULTS.md").write_text("\n\n".join([introduction, *sections, growth]) + "\n")


def head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def line(row: Row) -> str:
    spread = "" if math.isnan(row.low) else f"{number(row.low)} to {number(row.high)}"
    figure = number(row.figure) + ("" if row.unit == "x" else f" {row.unit}")
    verdict = {True: "met", False: "**missed**", None: ""}[row.is_met]
    return f"| {row.what} | {figure} | {spread} | {row.target} | {verdict or row.remark} |"


def number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table_of(values: dict[int, float], name: str, unit: str) -> str:
    return "\n".join([*head(name, unit), *(f"| {key:,} | {number(value)} |" for key, value in values.items())])


def machine() -> str:
    """Say what was measured, and on what."""
    models = [each for each in Path("/proc/cpuinfo").read_text().splitlines() if each.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    nginx = peers.nginx()
    told = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr if nginx else "/none"
    git = ["git", "describe", "--always", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False, cwd=HERE).stdout.strip() or "unknown"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores of {model}; Python {platform.python_version()}; {packages}; "
        f"nginx {told.strip().rpartition('/')[2]}. Commit {commit}."
    )


def draw(rows: list[Row], pages: dict[int, float], rates: dict[int, float]) -> None:
    """Draw the ratios that have a limit, as a share of it, and how time and throughput grow."""
    mpl.rcParams.update({"svg.hashsalt": "healthimaging-emulator", "font.size": 8, "axes.spines.top": False})
    figure, (bars, by_length, by_connections) = pyplot.subplots(1, 3, figsize=(14, 4.2), width_ratios=[2, 1, 1])
    limited = [row for row in rows if row.target.startswith("at most") and row.figure > 0]
    shares = [row.figure / float(row.target.split()[-1]) for row in limited]
    labels = [named(rows, row) for row in limited]
    bars.barh(labels, shares, color=["#4477aa" if share <= 1 else "#cc6677" for share in shares])
    bars.axvline(1, color="#222222", linewidth=0.8)
    bars.invert_yaxis()
    bars.set_title("share of what it may be at most")
    by_length.semilogx(list(pages), list(pages.values()), "o-", color="#4477aa")
    by_length.set(title="ms for the last page", xlabel="versions in the history", ylim=(0, 1.2 * max(pages.values())))
    by_connections.semilogx(list(rates), list(rates.values()), "o-", base=2, color="#4477aa")
    by_connections.set(title="requests a second", xlabel="connections", ylim=(0, 1.2 * max(rates.values())))
    figure.tight_layout()
    figure.savefig(HERE / "results.svg", metadata={"Date": None})


def named(rows: list[Row], row: Row) -> str:
    """Return a short label: what "the same" is stands in a row before."""
    before = rows[: rows.index(row) + 1]
    base = next(each for each in reversed(before) if not each.what.startswith("the same"))
    what, _, peer = row.what.partition(" against ")
    what = base.what.partition(" against ")[0] if what.startswith("the same") else what
    return f"{what.rstrip(',')[:58]}{f' / {peer[:34]}' if peer else ''}"


if __name__ == "__main__":
    main()
