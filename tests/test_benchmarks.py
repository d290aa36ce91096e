"""A benchmark that fails costs its own row, and no other."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Row, run


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
