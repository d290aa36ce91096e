"""The clock stands, moves and runs; and follows freezegun."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from freezegun import freeze_time

from healthimaging_emulator.clock import Clock


def test_it_runs_with_the_machine() -> None:
    before, now, after = time.time(), Clock().now(), time.time()
    assert round(before, 3) <= now <= round(after, 3)
    assert not Clock().is_frozen


def test_it_stands_where_it_is_put() -> None:
    clock = Clock()
    clock.freeze(datetime(2024, 1, 1, tzinfo=timezone.utc))
    assert (clock.now(), clock.now(), clock.is_frozen) == (1704067200.0, 1704067200.0, True)
    clock.freeze("2024-01-01T01:00:00+01:00")
    assert clock.now() == 1704067200.0
    with pytest.raises(ValueError, match="RFC3339"):
        clock.freeze("yesterday")
    clock.freeze(5.00049)
    assert clock.now() == 5.0


def test_it_stands_where_it_is() -> None:
    clock = Clock()
    clock.freeze()
    assert clock.now() == clock.now()


def test_it_moves_on_standing_and_running() -> None:
    clock = Clock()
    with freeze_time("2024-01-01"):
        clock.advance(60)
        assert clock.now() == 1704067260.0
        clock.freeze(10)
        clock.advance(0.5)
        assert clock.now() == 10.5


def test_it_runs_on_from_where_it_stood() -> None:
    clock = Clock()
    with freeze_time("2024-01-01") as wall:
        clock.freeze(10)
        wall.tick(100)
        clock.run()
        assert clock.now() == 10.0
        wall.tick(5)
        assert clock.now() == 15.0


def test_reset_follows_the_machine_again() -> None:
    clock = Clock()
    clock.advance(1000)
    clock.freeze(10)
    clock.reset()
    with freeze_time("2024-01-01"):
        assert clock.now() == 1704067200.0


def test_it_stands_still_under_freezegun() -> None:
    with freeze_time("2024-01-01"):
        assert Clock().is_frozen


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12])
def test_it_moves_neither_back_nor_out_of_range(seconds: float) -> None:
    clock = Clock()
    clock.freeze(10)
    with pytest.raises(ValueError, match=r"0 seconds or more|1970 to 9999"):
        clock.advance(seconds)
    assert clock.now() == 10.0


def test_a_time_may_be_of_any_kind_that_is_one() -> None:
    """Such as freezegun's, or pandas'."""

    class Time(datetime):
        pass

    clock = Clock()
    for at in (Time(2024, 1, 1, tzinfo=timezone.utc), Decimal("1704067200"), 1704067200, "2024-01-01T00:00:00Z"):
        clock.freeze(at)  # type: ignore[arg-type]
        assert clock.now() == 1704067200.0
    with pytest.raises(ValueError, match="1970 to 9999"):
        clock.freeze(10**400)
