"""Measuring side by side: every round takes each variant once, so that what the machine does meanwhile meets all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Seconds = float
Times = dict[str, list[Seconds]]


class Row(NamedTuple):
    """One line of the results: a ratio or a figure, its spread, and what was aimed at."""

    what: str
    figure: float
    low: float
    high: float
    target: str = ""
    is_met: bool | None = None
    unit: str = "x"
    remark: str = ""


def timed(call: Callable[[], object], times: int) -> Seconds:
    """Call so many times, and return the seconds that one call took."""
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begun) / times


def interleaved(variants: Mapping[str, Callable[[], Seconds]], rounds: int) -> Times:
    """Take each variant once a round, after a round that does not count."""
    times: Times = {name: [] for name in variants}
    gc.collect()
    for number in range(rounds + 1):
        for name, take in variants.items():
            seconds = take()
            if number:
                times[name].append(seconds)
    return times


def ratio(
    what: str,
    times: Times,
    ours: str,
    peer: str,
    *,
    most: float | None = None,
    least: float | None = None,
    remark: str = "",
) -> Row:
    """Compare two variants: the ratio of their medians, and the rounds' own ratios without a tenth at each end."""
    figure = statistics.median(times[ours]) / statistics.median(times[peer])
    each = [mine / theirs for mine, theirs in zip(times[ours], times[peer], strict=True)]
    return judged(what, figure, each, most=most, least=least, remark=remark)


def judged(
    what: str,
    figure: float,
    each: list[float],
    *,
    most: float | None = None,
    least: float | None = None,
    unit: str = "x",
    remark: str = "",
) -> Row:
    """Return a row, with its verdict where there is a target."""
    tenths = statistics.quantiles(each, n=10) if len(each) > 1 else [figure, figure]
    target = f"at most {most:g}" if most is not None else f"at least {least:g}" if least is not None else ""
    is_met = figure <= most if most is not None else figure >= least if least is not None else None
    return Row(what, figure, tenths[0], tenths[-1], target, is_met, unit, remark)
