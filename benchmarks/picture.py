"""The picture for the README: four figures of the emulator beside those of what one would use in its place.

It is drawn twice, for light and for dark pages, without a background, and large enough for the width of a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot

from . import cases
from .measure import Benchmark, Row

OURS = "this emulator"
WIDTH = 5.2
"""Inches; with this size of text, the picture can be read at the width of a phone."""

TITLE = 1.6
"""Lines that a panel's title takes, with the space before it."""

NAMES = -0.62
"""The left end of the bars' names, in the unit of the longest bar."""

COLORS = {"light": ("#1f2328", "#0969da", "#8c959f"), "dark": ("#e6edf3", "#58a6ff", "#848d97")}
"""Of the text, of our bars and of the others, by the page's background."""


class Panel(NamedTuple):
    """Bars under one title, each with its value; the first one is ours."""

    title: str
    unit: str
    bars: dict[str, float]


class Source(NamedTuple):
    """A panel's title, unit and factor; the benchmark and the part of a row's name it is from; and its variants."""

    title: str
    unit: str
    factor: float
    benchmark: Benchmark
    row: str
    names: dict[str, str]


SOURCES = (
    Source(
        "A call of boto3 in a test",
        "ms",
        1000,
        cases.list_in_process,
        "canned answer",
        {"ours": OURS, "moto": "moto", "canned": "boto3 alone"},
    ),
    Source(
        "From its start to its first answer",
        "s",
        1,
        cases.start_of_a_server,
        "moto's server",
        {"ours": OURS, "moto": "moto's server", "bare Flask": "a bare Flask app"},
    ),
    Source(
        "Requests a second (more is better)",
        "/s",
        1,
        cases.throughput,
        "16 connections",
        {"ours": OURS, "moto": "moto's server", "nginx": "nginx, the limit"},
    ),
    Source(
        "100 tests",
        "s",
        100,
        cases.a_hundred_tests,
        "100 tests",
        {"ours": OURS, "moto": "moto", "canned": "boto3 alone"},
    ),
)


def read_panels(found: Mapping[Benchmark, Sequence[Row]]) -> list[Panel]:
    """Return the panels; one whose benchmark has failed is left out."""
    panels = []
    for source in SOURCES:
        row = next((row for row in found.get(source.benchmark, ()) if source.row in row.name and row.medians), None)
        if row is not None:
            names = {key: name for key, name in source.names.items() if key in row.medians}
            bars = {name: source.factor * row.medians[key] for key, name in names.items()}
            panels.append(Panel(source.title, source.unit, bars))
    return panels


def draw(panels: Sequence[Panel], folder: Path) -> None:
    """Draw ``speed-light.svg`` and ``speed-dark.svg``."""
    for page, colors in COLORS.items():
        mpl.rcParams.update({"svg.hashsalt": "healthimaging-emulator", "svg.fonttype": "path", "font.size": 13})
        lines = sum(len(panel.bars) + TITLE for panel in panels) or 1
        figure, axes = pyplot.subplots(figsize=(WIDTH, 0.3 * lines), layout="constrained")
        top = 0.0
        for panel in panels:
            _draw_panel(axes, panel, top + TITLE, *colors)
            top += TITLE + len(panel.bars)
        axes.set(xlim=(0, 1.35), ylim=(lines - 0.4, -0.1))  # a value stands to the right of its bar
        axes.set_axis_off()
        figure.savefig(folder / f"speed-{page}.svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
        pyplot.close(figure)


def _draw_panel(axes: Any, panel: Panel, top: float, text: str, ours: str, others: str) -> None:
    places = [top + index for index in range(len(panel.bars))]
    most = max(panel.bars.values())
    shares = [value / most for value in panel.bars.values()]
    bars = axes.barh(places, shares, height=0.72, color=[ours, *[others] * (len(shares) - 1)])
    axes.bar_label(bars, [write_value(value, panel.unit) for value in panel.bars.values()], padding=5, color=text)
    for place, name in zip(places, panel.bars, strict=True):
        axes.text(-0.02, place, name, ha="right", va="center", color=text)
    axes.text(NAMES, top - 0.95, panel.title, va="center", color=text, fontweight="bold")


def write_value(value: float, unit: str) -> str:
    """Return a value with its unit, to two digits."""
    number = f"{value:,.0f}" if value >= 100 else f"{value:.0f}" if value >= 10 else f"{value:.2g}"
    return f"{number} {unit}" if unit != "/s" else number
