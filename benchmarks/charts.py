"""The chart of all results: each ratio as a share of its target, and a curve for each thing that grows."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot

from .measure import Row

MET, MISSED = "#4477aa", "#cc6677"
COLUMNS = 4


class Curve(NamedTuple):
    """A figure by a number, for a table and a chart, or the reason why there is none."""

    number: str
    unit: str
    values: dict[int, float]
    failure: str = ""


def draw_results(rows: Sequence[Row], curves: Sequence[Curve], file: Path) -> None:
    """Draw the rows that have a target, and the curves below them."""
    mpl.rcParams.update({"svg.hashsalt": "healthimaging-emulator", "font.size": 8, "axes.spines.top": False})
    mpl.rcParams["svg.fonttype"] = "none"  # text as outlines would make the file ten times as large
    limited = [row for row in rows if row.target and row.figure > 0]
    lines = -(-len(curves) // COLUMNS)
    heights = [0.24 * len(limited) + 0.6, 2.4 * lines]
    figure = pyplot.figure(figsize=(14, sum(heights)), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_shares(above.subplots(), rows, limited)
    for index, curve in enumerate(curves):
        _draw_curve(below.add_subplot(lines, COLUMNS, index + 1), curve)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def _draw_shares(axes: Any, rows: Sequence[Row], limited: Sequence[Row]) -> None:
    shares = [share_of_target(row) for row in limited]
    colors = [MET if share <= 1 else MISSED for share in shares]
    places = range(len(limited))
    axes.barh(places, shares, color=colors)
    axes.set_yticks(places, [textwrap.fill(label(rows, row), 110) for row in limited])
    axes.axvline(1, color="#222222", linewidth=0.8)
    axes.set_ylim(len(limited) - 0.5, -0.5)
    axes.set_title("share of the target")


def share_of_target(row: Row) -> float:
    """Return how much of its target a row takes: above 1, the target is missed."""
    kind, _, number = row.target.rpartition(" ")
    share = row.figure / float(number) if float(number) else row.figure
    return share if kind == "at most" else 1 / share


def _draw_curve(axes: Any, curve: Curve) -> None:
    axes.semilogx(list(curve.values), list(curve.values.values()), "o-", color=MET)
    most = max(curve.values.values(), default=1)
    axes.set(title=curve.unit, xlabel=curve.number, ylim=(0, 1.2 * most))


def label(rows: Sequence[Row], row: Row) -> str:
    """Return the name of a row; one called "the same" takes that of the row before."""
    if not row.name.startswith("the same"):
        return row.name
    before = rows[: rows.index(row)]
    base = next(each for each in reversed(before) if not each.name.startswith("the same"))
    return base.name.partition(", against")[0] + row.name.removeprefix("the same")
