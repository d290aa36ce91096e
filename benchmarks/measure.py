"""Measure side by side: every round takes each variant once, so that other load of the machine meets all of them."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

T = TypeVar("T")
Seconds = float
Times = dict[str, list[Seconds]]
NAN = float("nan")

IS_SMOKE = bool(os.environ.get("SMOKE"))
"""Whether this run only shows that each benchmark works: its numbers are small, and its results mean nothing."""

MAX_REASON = 300
"""Characters kept of the reason why a benchmark failed."""


class Row(NamedTuple):
    """One line of the results: a ratio or a figure, its spread and its target, or the reason why there is none.

    ``medians`` are the figures of the variants that a ratio compares.
    """

    name: str
    figure: float = NAN
    low: float = NAN
    high: float = NAN
    target: str = ""
    is_met: bool | None = None
    unit: str = "x"
    remark: str = ""
    failure: str = ""
    medians: Mapping[str, float] = {}


Benchmark = Callable[[], Iterator[Row]]


def pick(full: T, smoke: T) -> T:
    """Return a number for a run that measures, or the smaller one for a smoke run."""
    return smoke if IS_SMOKE else full


def run(benchmark: Benchmark) -> Iterator[Row]:
    """Yield the rows of a benchmark. If it fails, the last one has its docstring and the reason."""
    try:
        yield from benchmark()
    except Exception as error:  # one that fails must not lose the others
        yield Row((benchmark.__doc__ or benchmark.__name__).rstrip("."), failure=explain(error))


def explain(error: Exception) -> str:
    """Return the reason of a failure in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON]


def time_calls(call: Callable[[], object], times: int) -> Seconds:
    """Call a number of times, and return the seconds that one call took."""
    times = pick(times, min(times, 2))
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begun) / times


def interleave(variants: Mapping[str, Callable[[], Seconds]], rounds: int) -> Times:
    """Take each variant once a round, after a round that does not count."""
    times: Times = {name: [] for name in variants}
    gc.collect()
    for number in range(pick(rounds, 1) + 1):
        for name, take in variants.items():
            seconds = take()
            if number:
                times[name].append(seconds)
    return times


def compare(
    name: str,
    times: Times,
    ours: str,
    peer: str,
    *,
    most: float | None = None,
    least: float | None = None,
    remark: str = "",
) -> Row:
    """Compare two variants: the ratio of their medians, and the rounds' own ratios without a tenth at each end."""
    medians = {variant: statistics.median(figures) for variant, figures in times.items()}
    each = [mine / theirs for mine, theirs in zip(times[ours], times[peer], strict=True)]
    row = judge(name, medians[ours] / medians[peer], each, most=most, least=least, remark=remark)
    return row._replace(medians=medians)


def summarize(name: str, each: list[float], *, most: float | None = None, unit: str, remark: str = "") -> Row:
    """Return a row with the median of some figures."""
    return judge(name, statistics.median(each), each, most=most, unit=unit, remark=remark)


def judge(
    name: str,
    figure: float,
    each: list[float],
    *,
    most: float | None = None,
    least: float | None = None,
    unit: str = "x",
    remark: str = "",
) -> Row:
    """Return a row, with its verdict if there is a target."""
    tenths = statistics.quantiles(each, n=10) if len(each) > 1 else [figure, figure]
    target = f"at most {most:g}" if most is not None else f"at least {least:g}" if least is not None else ""
    is_met = figure <= most if most is not None else figure >= least if least is not None else None
    return Row(name, figure, tenths[0], tenths[-1], target, is_met, unit, remark)
