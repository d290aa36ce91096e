"""Which rule fires, when, and how often. What a fired rule does is in ``test_effects``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from healthimaging_emulator import Delay, Fault, Rule, RuleError
from healthimaging_emulator.clock import Clock
from healthimaging_emulator.faults.engine import Faults
from healthimaging_emulator.faults.fault import Match
from healthimaging_emulator.journal import Call
from healthimaging_emulator.messages import Link

D, ID = "d" * 32, "a" * 32


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.freeze(1000)
    return clock


@pytest.fixture
def faults(clock: Clock) -> Faults:
    return Faults(clock)


def request(**members: Any) -> Call:
    defaults: dict[str, Any] = {"operation": "ListImageSetVersions", "datastore_id": D, "image_set_id": ID, "page": 1}
    return Call(invocation_id=None, method="POST", path="/", **(defaults | members))


def fired(faults: Faults, times: int = 1, attempt: int = 1, **members: Any) -> list[list[str]]:
    return [faults.fire(request(**members), attempt).ids for _ in range(times)]


def pattern(faults: Faults, times: int) -> str:
    return "".join("x" if ids else "." for ids in fired(faults, times))


THROTTLE = "ThrottlingException"


def test_an_empty_match_hits_all(faults: Faults) -> None:
    faults.add(Fault.error(THROTTLE))
    assert fired(faults, page=None, datastore_id="x") == [["fault-1"]]


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ({"operation": "ListImageSetVersions"}, {}, {"operation": "GetImageSet"}),
        ({"datastore_id": D}, {}, {"datastore_id": "e" * 32}),
        ({"image_set_id": ID}, {}, {"image_set_id": "b" * 32}),
        ({"page": 2}, {"page": 2}, {"page": 1}),
        ({"page": [2, 3]}, {"page": 3}, {"page": 4}),
        ({"page": 1}, {"page": 1}, {"page": None}),
        ({"attempt": 1}, {"attempt": 1}, {"attempt": 2}),
        ({"attempt": [1, 2]}, {"attempt": 2}, {"attempt": 3}),
    ],
)
def test_a_match(faults: Faults, match: dict[str, Any], hits: dict[str, Any], misses: dict[str, Any]) -> None:
    faults.add(Fault.error(THROTTLE, **match))
    assert fired(faults, **hits) == [["fault-1"]]
    assert fired(faults, **misses) == [[]]
    assert (faults["fault-1"].matched, faults["fault-1"].fired) == (1, 1)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, "xxxxxxxx"),
        ({"times": 2}, "xx......"),
        ({"skip": 3}, "...xxxxx"),
        ({"every": 3}, "x..x..x."),
        ({"skip": 1, "every": 2, "times": 2}, ".x.x...."),
        ({"probability": 0}, "........"),
        ({"probability": 0.5, "seed": 1}, "x..xxx.."),
        ({"probability": 0.5, "seed": 1, "every": 2}, "x.....x."),
    ],
)
def test_when_it_fires(faults: Faults, when: dict[str, Any], expected: str) -> None:
    faults.add(Fault.error(THROTTLE, **when))
    assert pattern(faults, 8) == expected
    (status,) = faults
    assert (status.matched, status.fired) == (8, expected.count("x"))


def test_it_expires_by_the_clock(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.error(THROTTLE, expires_after=60))
    clock.advance(59.999)
    assert pattern(faults, 1) == "x"
    clock.advance(0.001)
    assert pattern(faults, 1) == "."


def test_a_bucket_lets_its_burst_through_and_refills_by_the_clock(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.rate(per_second=25, burst=50))
    assert pattern(faults, 52) == "." * 50 + "xx"
    clock.advance(0.04)
    assert pattern(faults, 2) == ".x"
    clock.advance(1)
    assert pattern(faults, 26) == "." * 25 + "x"
    clock.advance(3600)
    assert pattern(faults, 51) == "." * 50 + "x"


def test_a_bucket_refills_exactly_at_any_time(clock: Clock) -> None:
    for number in range(500):
        clock.freeze(1700000000 + number * 1.001)
        faults = Faults(clock, [Fault.rate(per_second=25, burst=5), Fault.delay(0, expires_after=0.2, id="b")])
        assert pattern(faults, 6) == "xxxxxx"
        assert faults["fault-1"].fired == 1
        clock.advance(0.2)
        assert pattern(faults, 6) == ".....x"


def test_the_first_that_fires_ends_the_search(faults: Faults) -> None:
    faults.add(Fault.error(THROTTLE, id="a", times=1), Fault.error("ConflictException", id="b"))
    assert fired(faults, 3) == [["a"], ["b"], ["b"]]
    assert [(status.matched, status.fired) for status in faults] == [(3, 1), (2, 2)]


def test_a_bare_delay_does_not_end_the_search(faults: Faults) -> None:
    faults.add(Fault.delay(1, id="a"), Fault.delay(2, id="b"), Fault.error(THROTTLE, id="c", delay=Delay(4)))
    firing = faults.fire(request(), 1)
    assert (firing.ids, firing.delay) == (["a", "b", "c"], 7.0)


def test_jitter_is_repeatable_and_bounded(clock: Clock) -> None:
    first, second = Faults(clock), Faults(clock)
    for faults in (first, second):
        faults.add(Fault.delay(1, jitter=2, seed=3))
    delays = [first.fire(request(), 1).delay for _ in range(50)]
    assert delays == [second.fire(request(), 1).delay for _ in range(50)]
    assert min(delays) == 0 < len(set(delays)) > 20
    assert max(delays) <= 3


@pytest.mark.parametrize(("effect", "first"), [("repeat-token", 2), ("cycle", 3), ("empty-page", 1)])
def test_a_page_effect_matches_where_it_can_be(faults: Faults, effect: Any, first: int) -> None:
    faults.add(Fault.page(effect))
    for page in (None, 1, 2, 3):
        assert bool(fired(faults, page=page)[0]) == (page is not None and page >= first)


@pytest.mark.usefixtures("restless_threads")
def test_counting_is_exact_under_32_threads(faults: Faults) -> None:
    # The dice are thrown between the look at ``times`` and the count, which is where a missing lock would show.
    faults.add(Fault.error(THROTTLE, times=100, probability=1 - 1e-12), Fault.error("ConflictException", id="rest"))
    ready, seen = threading.Barrier(32), []

    def work() -> None:
        ready.wait()
        seen.extend(fired(faults, 50))

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [seen.count(["fault-1"]), seen.count(["rest"])] == [100, 1500]
    assert [(status.matched, status.fired) for status in faults] == [(1600, 100), (1500, 1500)]


# Adding and removing.


def test_ids_are_given_where_none_is(faults: Faults) -> None:
    faults.add(Fault.error(THROTTLE, id="fault-2"))
    added = faults.add(Fault.error(THROTTLE), Fault.error(THROTTLE, id="fault-3"), Fault.error(THROTTLE))
    assert [status.id for status in added] == ["fault-4", "fault-3", "fault-5"]
    faults.remove("fault-5")
    assert [status.id for status in faults.add(Fault.error(THROTTLE))] == ["fault-5"]


MISTAKES: list[tuple[Callable[[], Rule], str, str]] = [
    (Rule, "$[1]", "has an effect, or a delay"),
    (lambda: Fault.error(THROTTLE, body="empty"), "$[1].body", "one effect, not error and body"),
    (lambda: Fault.error("Nonsense"), "$[1].error", "needs a status"),
    (lambda: Fault.error("UnknownOperationException"), "$[1].error", "needs a status"),
    (lambda: Fault.error("X\r\n", status=400), "$[1].error.code", "regex"),
    (lambda: Fault.error(THROTTLE, "\ud800"), "$[1].error.message", "Unicode"),
    (lambda: Fault.error(THROTTLE, expires_after=float("inf")), "$[1].expiresAfter", "<= "),
    (lambda: Fault.error("X", status=200), "$[1].error.status", ">= 400"),
    (lambda: Fault.error(THROTTLE, retry_after=-1), "$[1].error.retryAfter", ">= 0"),
    (lambda: Fault.error(THROTTLE, operation="ListImageSet"), "$[1].match.operation", "no operation is called"),
    (lambda: Fault.error(THROTTLE, page=0), "$[1].match.page", ">= 1"),
    (lambda: Fault.error(THROTTLE, page="2"), "$[1].match.page", "got `str`"),
    (lambda: Fault.error(THROTTLE, datastore_id="X"), "$[1].match.datastoreId", "regex"),
    (lambda: Fault.error(THROTTLE, times=0), "$[1].times", ">= 1"),
    (lambda: Fault.error(THROTTLE, every=0), "$[1].every", ">= 1"),
    (lambda: Fault.error(THROTTLE, skip=-1), "$[1].skip", ">= 0"),
    (lambda: Fault.error(THROTTLE, probability=1.1), "$[1].probability", "<= 1"),
    (lambda: Fault.error(THROTTLE, expires_after=0), "$[1].expiresAfter", "> 0"),
    (lambda: Fault.error(THROTTLE, id="a b"), "$[1].id", "regex"),
    (lambda: Fault.error(THROTTLE, id="first"), "$[1].id", "there is a rule first already"),
    (lambda: Fault.error(THROTTLE, seconds=1), "$[1].seconds", "belong to a stall"),
    (lambda: Fault.connection("reset", seconds=1), "$[1].seconds", "belong to a stall"),
    (lambda: Fault.connection("explode"), "$[1].connection", "Invalid enum value"),  # type: ignore[arg-type]
    (lambda: Fault.page("cut"), "$[1].page", "Invalid enum value"),  # type: ignore[arg-type]
    (lambda: Fault.rate(per_second=0, burst=1), "$[1].rate.perSecond", "> 0"),
    (lambda: Fault.rate(per_second=1, burst=0), "$[1].rate.burst", ">= 1"),
    (lambda: Fault.delay(-1), "$[1].delay.seconds", ">= 0"),
    (lambda: Fault.delay(float("nan")), "$[1].delay.seconds", ">= 0"),
]


@pytest.mark.parametrize(("make", "path", "mistake"), MISTAKES, ids=[f"{p} {m}" for _, p, m in MISTAKES])
def test_a_mistake_refuses_the_list_whole(faults: Faults, make: Callable[[], Rule], path: str, mistake: str) -> None:
    with pytest.raises(RuleError) as raised:
        faults.add(Fault.error(THROTTLE, id="first"), make())
    assert raised.value.path == path
    assert mistake in raised.value.message
    assert list(faults) == []


def test_a_code_of_ones_own_needs_a_status(faults: Faults) -> None:
    faults.add(Fault.error("namespace#Name", status=418))
    assert [status.error and status.error.code for status in faults] == ["namespace#Name"]


def test_an_unknown_keyword() -> None:
    with pytest.raises(TypeError, match="imageSetId"):
        Fault.error(THROTTLE, imageSetId=ID)


def test_the_match_of_a_rule_can_be_written_out() -> None:
    assert Fault.page("cycle", page=3, attempt=1) == Rule(page="cycle", match=Match(page=3, attempt=1))


def test_removing(faults: Faults) -> None:
    faults.add(*(Fault.error(THROTTLE, id=id) for id in "abc"))
    faults.remove("b")
    assert [status.id for status in faults] == ["a", "c"]
    with pytest.raises(KeyError):
        faults.remove("b")
    faults.clear()
    assert len(faults) == 0


def test_reset_arms_the_seeds_rules_again(clock: Clock) -> None:
    faults = Faults(clock, [Fault.error(THROTTLE, id="seeds", times=1)])
    faults.add(Fault.error("ConflictException", id="mine"))
    assert fired(faults, 2) == [["seeds"], ["mine"]]
    faults.reset()
    assert fired(faults, 2) == [["seeds"], []]


# Holding up.


@pytest.mark.parametrize(
    "end",
    [
        lambda faults, _: faults.remove("slow"),
        lambda faults, _: faults.clear(),
        lambda faults, _: faults.reset(),
        lambda _, link: link.stop(),
    ],
    ids=["removed", "cleared", "reset", "stopped"],
)
def test_a_delay_ends(clock: Clock, end: Callable[[Faults, Link], None]) -> None:
    clock.run()
    faults, link = Faults(clock, [Fault.delay(3600, id="slow")]), Link()
    thread = threading.Thread(target=faults.hold_up, args=(faults.fire(request(), 1), link))
    thread.start()
    end(faults, link)
    thread.join(30)
    assert not thread.is_alive()


def test_removing_one_rule_leaves_the_wait_of_another() -> None:
    faults, waits = Faults(Clock(), [Fault.delay(1, id="a"), Fault.connection("stall", seconds=2, id="b")]), []

    class Watched(Link):
        def wait(self, end: threading.Event, seconds: float) -> None:
            waits.append((seconds, end.is_set()))
            if seconds == 1:
                faults.remove("a")
                assert end.is_set()

    firing, link = faults.fire(request(), 1), Watched()
    faults.hold_up(firing, link)
    faults.stall(firing, link)
    assert waits == [(1, False), (2, False)]


def test_a_delay_ends_by_itself() -> None:
    faults = Faults(Clock(), [Fault.delay(0.01)])
    faults.hold_up(faults.fire(request(), 1), Link())


def test_nothing_waits_once_the_server_stops() -> None:
    faults, link = Faults(Clock(), [Fault.delay(3600)]), Link()
    link.stop()
    faults.hold_up(faults.fire(request(), 1), link)


def test_a_delay_under_a_frozen_clock_does_not_wait(faults: Faults) -> None:
    faults.add(Fault.delay(3600))
    firing = faults.fire(request(), 1)
    faults.hold_up(firing, Link())
    assert firing.delay == 3600


def test_a_bucket_does_not_refill_when_the_clock_goes_back_and_forth(faults: Faults, clock: Clock) -> None:
    faults.add(Fault.rate(per_second=1, burst=5))
    admitted = 0
    for _ in range(10):
        for time in (1005, 1000):
            clock.freeze(time)
            admitted += pattern(faults, 5).count(".")
    assert admitted <= 10


def test_adding_with_something_else_is_all_or_none(faults: Faults) -> None:
    def fail() -> None:
        raise KeyError("elsewhere")

    with pytest.raises(KeyError, match="elsewhere"):
        faults.add(Fault.delay(1), once=fail)
    assert list(faults) == []


def test_a_rule_may_be_written_as_on_the_wire() -> None:
    faults = Faults(Clock())
    (armed,) = faults.add({"match": {"page": 2}, "error": {"code": "ConflictException"}})
    assert armed.match.page == 2
    with pytest.raises(RuleError, match=r"\$\[1\]: Object contains unknown field `pge`"):
        faults.add(Fault.delay(0), {"pge": 1})
    assert len(faults) == 1
