"""A benchmark that fails costs its own row, and no other."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Row, compare, run


def fails_at_its_second_row() -> Iterator[Row]:
    """Measure two things."""
    yield Row("the first", 1.0)
    raise ValueError("the second\nbroke")


def works() -> Iterator[Row]:
    yield Row("another", 2.0)


def test_a_benchmark_that_fails_keeps_its_rows_and_those_of_others() -> None:
    rows = [row for benchmark in (fails_at_its_second_row, works) for row in run(benchmark)]
    assert [(row.name, row.failure) for row in rows] == [
        ("the first", ""),
        ("Measure two things", "ValueError: the second broke"),
        ("another", ""),
    ]


def test_a_comparison_is_a_ratio_of_medians_and_keeps_them() -> None:
    row = compare("a call", {"ours": [1.0, 3.0, 20.0], "peer": [2.0, 2.0, 2.0]}, "ours", "peer", most=1.1)
    assert (row.figure, row.target, row.is_met, row.medians) == (1.5, "at most 1.1", False, {"ours": 3.0, "peer": 2.0})
