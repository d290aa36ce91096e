"""The clock tells a date, which a test may set, and elapsed time, by which all durations run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import time_machine
from botocore.exceptions import ClientError
from freezegun import freeze_time

from healthimaging_emulator import Emulator, Fault, InvalidError
from healthimaging_emulator.clock import Clock
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE
from tests.faults.calls import SAMPLE_IDS, call, make_client, update

NEW_YEAR = 1704067200.0  # 2024-01-01T00:00:00Z

# The date.


def test_it_runs_with_the_machine() -> None:
    before, now, after = time.time(), Clock().now(), time.time()
    assert round(before, 3) <= now <= round(after, 3)
    assert not Clock().is_frozen


def test_it_stops_at_a_date() -> None:
    clock = Clock()
    clock.freeze(datetime(2024, 1, 1, tzinfo=timezone.utc))
    assert (clock.now(), clock.now(), clock.is_frozen) == (NEW_YEAR, NEW_YEAR, True)
    clock.freeze("2024-01-01T01:00:00+01:00")
    assert clock.now() == NEW_YEAR
    clock.freeze(5.00049)
    assert clock.now() == 5.0


def test_it_stops_at_the_present_date() -> None:
    clock = Clock()
    clock.freeze()
    assert clock.now() == clock.now()


def test_it_advances_frozen_and_running() -> None:
    clock = Clock()
    with freeze_time("2024-01-01"):
        clock.advance(60)
        assert clock.now() == NEW_YEAR + 60
        clock.freeze(10)
        clock.advance(0.5)
        assert clock.now() == 10.5


def test_it_runs_on_from_where_it_stopped() -> None:
    clock = Clock()
    with freeze_time("2024-01-01") as machine:
        clock.freeze(10)
        machine.tick(100)
        clock.run()
        assert clock.now() == 10.0
        machine.tick(5)
        assert clock.now() == 15.0


def test_reset_follows_the_machine_again() -> None:
    clock = Clock()
    clock.advance(1000)
    clock.freeze(10)
    clock.reset()
    with freeze_time("2024-01-01"):
        assert clock.now() == NEW_YEAR


@pytest.mark.parametrize("step", [0.0001, 1e-7])
def test_small_steps_are_not_lost_while_it_is_frozen(step: float) -> None:
    clock = Clock()
    clock.freeze(NEW_YEAR)
    elapsed = clock.elapsed()
    for _ in range(10_000):
        clock.advance(step)
    assert clock.now() == round(NEW_YEAR + 10_000 * step, 3)
    assert clock.elapsed() - elapsed == pytest.approx(10_000 * step, rel=1e-3)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (-1, "invalid step -1: expected a number of seconds from 0"),
        (float("nan"), "invalid step nan: expected a number of seconds from 0"),
        (float("inf"), "invalid step inf: expected a number of seconds from 0"),
        (1e12, "invalid step 1000000000000.0: expected a number of seconds from 0"),
        (True, "invalid step True: expected a number of seconds from 0"),
        ("60", "invalid step '60': expected a number of seconds from 0"),
        (
            timedelta(seconds=60),
            "invalid step datetime.timedelta(seconds=60): expected a number of seconds from 0",
        ),
        (
            253402300790,
            "invalid time 253402300800.0: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
    ],
)
def test_it_advances_neither_back_nor_out_of_range(seconds: Any, message: str) -> None:
    clock = Clock()
    clock.freeze(10)
    elapsed = clock.elapsed()
    with pytest.raises(InvalidError) as raised:
        clock.advance(seconds)
    assert str(raised.value) == message
    assert (clock.now(), clock.elapsed()) == (10.0, elapsed)


@pytest.mark.parametrize("at", [NEW_YEAR, 1704067200, Decimal("1704067200"), "2024-01-01T00:00:00Z"])
def test_a_date_may_be_of_any_type_that_is_one(at: Any) -> None:
    clock = Clock()
    clock.freeze(at)
    assert clock.now() == NEW_YEAR


def test_a_date_may_be_of_a_class_of_the_tests_own() -> None:
    """Such as freezegun's, or pandas'."""

    class Time(datetime):
        pass

    clock = Clock()
    clock.freeze(Time(2024, 1, 1, tzinfo=timezone.utc))
    assert clock.now() == NEW_YEAR


ANY_KIND = "expected epoch seconds, a datetime with an offset, or a string in RFC 3339"
NO_DATES = [
    (date(2024, 1, 1), f"invalid time datetime.date(2024, 1, 1): {ANY_KIND}"),
    (timedelta(days=1), f"invalid time datetime.timedelta(days=1): {ANY_KIND}"),
    (True, f"invalid time True: {ANY_KIND}"),
    ([1], f"invalid time [1]: {ANY_KIND}"),
    (
        datetime(2024, 1, 1),
        "invalid time datetime.datetime(2024, 1, 1, 0, 0): "
        "expected a time with an offset from UTC, such as 2023-03-28T18:12:06.436Z",
    ),
    ("yesterday", "invalid time 'yesterday': expected epoch seconds or a string such as 2023-03-28T18:12:06.436Z"),
    ("2024-01-01", "invalid time '2024-01-01': expected epoch seconds or a string such as 2023-03-28T18:12:06.436Z"),
    (-1, "invalid time -1: expected a time in the years 1970 to 9999, in epoch seconds"),
    (float("nan"), "invalid time nan: expected a time in the years 1970 to 9999, in epoch seconds"),
    (253402300800, "invalid time 253402300800: expected a time in the years 1970 to 9999, in epoch seconds"),
    (10**400, f"invalid time 1{'0' * 400}: expected a time in the years 1970 to 9999, in epoch seconds"),
    (-(10**400), f"invalid time -1{'0' * 400}: expected a time in the years 1970 to 9999, in epoch seconds"),
]


@pytest.mark.parametrize(("given", "message"), NO_DATES, ids=[message[:60] for _, message in NO_DATES])
def test_anything_else_is_not_a_date(given: Any, message: str) -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.clock.freeze(10)
    for use in (
        emulator.clock.freeze,
        lambda time: emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", updated_at=time),
    ):
        with pytest.raises(InvalidError) as raised:
            use(given)
        assert str(raised.value) == message
    assert (emulator.clock.now(), len(emulator.image_set(DATASTORE, SAMPLE).versions)) == (10.0, 4)


def test_a_timedelta_is_no_number_of_seconds(emulator: Emulator) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.image_set(DATASTORE, SAMPLE).append(
            image_set_state="ACTIVE",
            after=timedelta(seconds=5),  # type: ignore[arg-type]
        )
    assert str(raised.value) == "invalid after datetime.timedelta(seconds=5): expected a number of seconds from 0"


# Durations: whatever the date is set to, each keeps the seconds that are left of it.


class Duration(NamedTuple):
    """Something that is due 60 seconds after it began, and a look at whether it is over."""

    begin: Callable[[Emulator], Any]
    is_over: Callable[[Emulator, Any], bool]


def expire(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", expires_after=60))


def has_expired(emulator: Emulator, _: Any) -> bool:
    try:
        call(make_client(emulator, attempts=1), "GetImageSet")
    except ClientError:
        return False
    return True


def fill_bucket(emulator: Emulator) -> None:
    emulator.faults.add(Fault.rate_limit(per_second=1 / 60, burst=1, operation="GetImageSet"))
    call(make_client(emulator), "GetImageSet")


def append_later(emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", after=60)


def has_appended(emulator: Emulator, _: Any) -> bool:
    return len(emulator.image_set(DATASTORE, SAMPLE).versions) == 5


def get_token(emulator: Emulator) -> str:
    page = make_client(emulator).list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY)
    return str(page["nextToken"])


def is_refused(emulator: Emulator, token: str) -> bool:
    try:
        make_client(emulator).list_image_set_versions(datastoreId=DATASTORE, imageSetId=MANY, nextToken=token)
    except ClientError as error:
        return str(error.response["Error"]["Message"]) == "Invalid nextToken."
    return False


def begin_update(emulator: Emulator) -> None:
    update(make_client(emulator))


def is_updated(emulator: Emulator, _: Any) -> bool:
    state: str = make_client(emulator).get_image_set(**SAMPLE_IDS)["imageSetState"]
    return state == "ACTIVE"


DURATIONS = {
    "expiresAfter": Duration(expire, has_expired),
    "rateLimit": Duration(fill_bucket, has_expired),
    "after": Duration(append_later, has_appended),
    "token": Duration(get_token, is_refused),
    "transition": Duration(begin_update, is_updated),
}


def make_emulator() -> Emulator:
    return Emulator.from_seed(DEMO, token_lifetime=60, transition_reads=None, transition_seconds=60)


@pytest.mark.parametrize("first", [None, 1000, "2024-01-01T00:00:00Z", "9999-01-01T00:00:00Z"])
@pytest.mark.parametrize("second", [None, 1, "2024-01-01T00:00:00Z", "9999-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", DURATIONS)
def test_setting_the_date_forward_or_back_leaves_the_seconds_of_a_duration(name: str, first: Any, second: Any) -> None:
    emulator, duration = make_emulator(), DURATIONS[name]
    emulator.clock.freeze()
    begun = duration.begin(emulator)
    for at in (first, second):
        emulator.clock.freeze(at)
        assert not duration.is_over(emulator, begun)
        emulator.clock.advance(29.999)
    emulator.clock.freeze(second)
    emulator.clock.advance(0.001)
    assert not duration.is_over(emulator, begun)
    emulator.clock.advance(0.001)
    assert duration.is_over(emulator, begun)


@pytest.mark.parametrize("name", DURATIONS)
def test_a_duration_that_began_on_a_running_clock_survives_the_first_freeze(name: str) -> None:
    emulator, duration = make_emulator(), DURATIONS[name]
    begun = duration.begin(emulator)
    emulator.clock.freeze("2001-01-01T00:00:00Z")
    assert not duration.is_over(emulator, begun)
    emulator.clock.advance(60)
    assert duration.is_over(emulator, begun)


@pytest.mark.parametrize("name", DURATIONS)
def test_reset_of_the_clock_alone_leaves_the_seconds_of_a_duration(name: str) -> None:
    emulator, duration = make_emulator(), DURATIONS[name]
    emulator.clock.freeze(1000)
    begun = duration.begin(emulator)
    emulator.clock.advance(1)
    emulator.reset("clock")
    emulator.clock.freeze(1000)
    assert not duration.is_over(emulator, begun)
    emulator.clock.advance(59)
    assert duration.is_over(emulator, begun)


def test_a_version_that_was_due_has_the_date_of_its_due_time(emulator: Emulator) -> None:
    emulator.clock.freeze(1000)
    append_later(emulator)
    emulator.clock.freeze(NEW_YEAR)
    emulator.clock.advance(100)
    assert emulator.image_set(DATASTORE, SAMPLE).versions[0].updated_at == NEW_YEAR + 60


def test_a_fault_of_the_seed_keeps_its_seconds_when_a_test_sets_the_date() -> None:
    fault = {"error": {"code": "ThrottlingException"}, "expiresAfter": 60}
    emulator = Emulator.from_seed(DEMO, {"faults": [fault]})
    emulator.clock.freeze("2024-01-01T00:00:00Z")
    assert not has_expired(emulator, None)
    emulator.clock.advance(60)
    assert has_expired(emulator, None)


# Tools that replace the machine's clock.


class Machine(NamedTuple):
    """The machine's clock, replaced by a tool, and a function that moves it."""

    tick: Callable[[float], object]


@contextmanager
def freezegun(at: str, *, tick: bool = False) -> Iterator[Machine]:
    with freeze_time(at, tick=tick) as frozen:
        yield Machine(frozen.tick)


@contextmanager
def travel(at: str, *, tick: bool = False) -> Iterator[Machine]:
    with time_machine.travel(at, tick=tick) as traveller:
        yield Machine(traveller.shift)


tools = pytest.mark.parametrize("replace", [freezegun, travel])


@tools
def test_a_stopped_machine_is_noticed_and_followed(replace: Any) -> None:
    clock = Clock()
    with replace("2024-01-01T00:00:00Z") as machine:
        assert (clock.is_frozen, clock.now()) == (True, NEW_YEAR)
        machine.tick(60)
        assert (clock.is_frozen, clock.now()) == (True, NEW_YEAR + 60)
    assert not clock.is_frozen
    assert clock.now() > NEW_YEAR + 3600


@tools
def test_a_machine_that_runs_at_another_date_is_not_frozen(replace: Any) -> None:
    clock = Clock()
    with replace("2024-01-01T00:00:00Z", tick=True):
        assert not clock.is_frozen
        assert NEW_YEAR <= clock.now() < NEW_YEAR + 3600


@tools
def test_a_frozen_clock_stays_where_it_is_while_the_machine_moves(replace: Any) -> None:
    clock = Clock()
    with replace("2024-01-01T00:00:00Z", tick=True) as machine:
        clock.freeze(10)
        elapsed = clock.elapsed()
        machine.tick(60)
        assert (clock.is_frozen, clock.now(), clock.elapsed()) == (True, 10.0, elapsed)


@tools
@pytest.mark.parametrize("name", DURATIONS)
def test_a_duration_ends_as_the_replaced_machine_moves(name: str, replace: Any) -> None:
    emulator, duration = make_emulator(), DURATIONS[name]
    with replace("2024-01-01T00:00:00Z") as machine:
        begun = duration.begin(emulator)
        machine.tick(59.999)
        assert not duration.is_over(emulator, begun)
        machine.tick(0.001)
        assert duration.is_over(emulator, begun)


@tools
@pytest.mark.parametrize("at", ["2001-01-01T00:00:00Z", "2199-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", DURATIONS)
def test_replacing_the_machine_and_giving_it_back_ends_no_duration(name: str, at: str, replace: Any) -> None:
    emulator, duration = make_emulator(), DURATIONS[name]
    begun = duration.begin(emulator)
    with replace(at):
        assert not duration.is_over(emulator, begun)
    assert not duration.is_over(emulator, begun)
    emulator.clock.advance(60)
    assert duration.is_over(emulator, begun)


@tools
@pytest.mark.parametrize("at", ["2001-01-01T00:00:00Z", "2199-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", DURATIONS)
def test_replacing_the_machine_again_ends_no_duration(name: str, at: str, replace: Any) -> None:
    emulator, duration = make_emulator(), DURATIONS[name]
    with replace("2024-01-01T00:00:00Z"):
        begun = duration.begin(emulator)
        with replace(at) as machine:
            assert not duration.is_over(emulator, begun)
            machine.tick(30)
            assert not duration.is_over(emulator, begun)
    with replace(at) as machine:
        assert not duration.is_over(emulator, begun)
        machine.tick(30)
        assert duration.is_over(emulator, begun)


@tools
@pytest.mark.parametrize("ticks", [False, True])
def test_a_latency_is_virtual_while_the_machine_is_replaced(emulator: Emulator, replace: Any, ticks: bool) -> None:
    emulator.faults.add(Fault.latency(30))
    with replace("2024-01-01T00:00:00Z", tick=ticks):
        call(make_client(emulator), "GetImageSet")
    assert emulator.calls[0].attempts[0].delay == 30


def test_the_date_stops_at_the_end_of_the_year_9999() -> None:
    clock = Clock()
    clock.freeze(253402300799.5)
    clock.run()
    with freeze_time("2024-01-01") as machine:
        machine.move_to("2030-01-01")
        assert clock.now() <= 253402300799.999
