"""A history behaves as a tuple to which one can append, and no later one changes an older one."""

from __future__ import annotations

import threading
import tracemalloc
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from msgspec import Struct

from healthimaging_emulator.healthimaging.history import History


class Entry(Struct, frozen=True):
    number: int
    text: str = ""


def make_entries(*numbers: int) -> tuple[Entry, ...]:
    return tuple(Entry(number) for number in numbers)


GAPS = st.lists(st.integers(1, 3), min_size=1, max_size=8)
"""Distances between the numbers of neighbours; the first number is a distance from 0."""

Model = tuple[Entry, ...]


def assert_same(history: History[Entry], model: Model) -> None:
    assert len(history) == len(model)
    assert history == model
    assert tuple(history) == model
    assert [history[index] for index in range(len(model))] == list(model)
    assert history.last == model[-1]
    assert [history[-index] for index in range(1, len(model) + 1)] == list(model[::-1])


class Histories(RuleBasedStateMachine):
    """Histories and their models. Any history, also an old one, may be continued at any time."""

    made: Bundle[tuple[History[Entry], Model]] = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[History[Entry], Model]] = []

    def keep(self, history: History[Entry], model: Model) -> tuple[History[Entry], Model]:
        self.all.append((history, model))
        return history, model

    @rule(target=made, gaps=GAPS)
    def begin(self, gaps: list[int]) -> tuple[History[Entry], Model]:
        model = make_entries(*accumulate(gaps))
        return self.keep(History.of(model), model)

    @rule(target=made, given=made, gap=st.integers(1, 3))
    def append(self, given: tuple[History[Entry], Model], gap: int) -> tuple[History[Entry], Model]:
        history, model = given
        entry = Entry(model[-1].number + gap, f"history {len(self.all)}")
        return self.keep(history.append(entry), (*model, entry))

    @rule(target=made, given=made)
    def replace_last(self, given: tuple[History[Entry], Model]) -> tuple[History[Entry], Model]:
        history, model = given
        entry = Entry(model[-1].number, f"history {len(self.all)}")
        return self.keep(history.replace_last(entry), (*model[:-1], entry))

    @rule(target=made, given=made, data=st.data())
    def replace(self, given: tuple[History[Entry], Model], data: st.DataObject) -> tuple[History[Entry], Model]:
        history, model = given
        index = data.draw(st.integers(0, len(model) - 1))
        entry = Entry(model[index].number, f"history {len(self.all)}")
        return self.keep(history.replace(index, entry), (*model[:index], entry, *model[index + 1 :]))

    @rule(target=made, given=made)
    def map_own(self, given: tuple[History[Entry], Model]) -> tuple[History[Entry], Model]:
        history, model = given
        text = f"history {len(self.all)}"
        return self.keep(
            history.map_own(lambda entry: Entry(entry.number, text), None),
            tuple(Entry(entry.number, text) for entry in model),
        )

    @rule(given=made, number=st.integers(0, 40))
    def find(self, given: tuple[History[Entry], Model], number: int) -> None:
        history, model = given
        assert history.index_of(number) == sum(entry.number < number for entry in model)
        assert history.find(number) == next((entry for entry in model if entry.number == number), None)

    @rule(
        given=made,
        bounds=st.tuples(*[st.none() | st.integers(-20, 20)] * 2),
        step=st.sampled_from([None, 1, 2, 5, -1, -3]),
    )
    def slice(
        self, given: tuple[History[Entry], Model], bounds: tuple[int | None, int | None], step: int | None
    ) -> None:
        history, model = given
        part = slice(*bounds, step)
        assert history[part] == model[part]

    @invariant()
    def no_history_ever_changes(self) -> None:
        for history, model in self.all:
            assert_same(history, model)


TestHistories = Histories.TestCase


def test_an_index_outside_is_an_index_error() -> None:
    history = History.of(make_entries(1, 2)).append(Entry(3))
    for index in (3, -4, 100):
        with pytest.raises(IndexError):
            history[index]


@pytest.mark.parametrize("base", [make_entries(1), make_entries(1, 2, 3)], ids=len)
def test_two_accounts_that_append_to_one_base_do_not_see_each_other(base: Model) -> None:
    shared = History.of(base)
    histories = [shared, shared]
    for number in range(base[-1].number + 1, base[-1].number + 6):
        histories = [history.append(Entry(number, f"account {account}")) for account, history in enumerate(histories)]
    for account, history in enumerate(histories):
        assert history[: len(base)] == base
        assert {entry.text for entry in history[len(base) :]} == {f"account {account}"}
    assert shared == base


def test_two_continuations_of_one_history_do_not_see_each_other() -> None:
    common = History.of(make_entries(1)).append(Entry(2)).append(Entry(3))
    left, right = common.append(Entry(4, "left")), common.append(Entry(4, "right"))
    assert left.append(Entry(5, "left"))[3:] == (Entry(4, "left"), Entry(5, "left"))
    assert right.append(Entry(5, "right"))[3:] == (Entry(4, "right"), Entry(5, "right"))
    assert common == make_entries(1, 2, 3)


def test_map_own_leaves_what_is_shared_with_the_original_as_it_is() -> None:
    original = History.of(make_entries(1, 2))
    changed = original.append(Entry(3)).append(Entry(4)).map_own(lambda entry: Entry(entry.number, "changed"), original)
    assert changed == (Entry(1), Entry(2), Entry(3, "changed"), Entry(4, "changed"))
    assert changed.append(Entry(5))[2:] == (Entry(3, "changed"), Entry(4, "changed"), Entry(5))


@given(st.integers(1, 5), st.integers(0, 5))
def test_a_history_equals_any_sequence_of_the_same_entries(base: int, added: int) -> None:
    history = History.of(make_entries(*range(1, base + 1)))
    for number in range(base + 1, base + added + 1):
        history = history.append(Entry(number))
    entries = make_entries(*range(1, base + added + 1))
    assert history == entries
    assert history == list(entries)
    assert history == History.of(entries)
    assert history != entries[:-1]
    assert history != 5


@pytest.mark.usefixtures("restless_threads")
def test_readers_need_no_lock_while_another_thread_appends() -> None:
    history = History.of(make_entries(1, 2, 3))
    latest = [history]
    mistakes: list[History[Entry]] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            seen = latest[0]
            count = len(seen)
            if [entry.number for entry in seen] != list(range(1, count + 1)) or seen[-1].number != count:
                mistakes.append(seen)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(4, 2004):
        latest[0] = latest[0].append(Entry(number))
        if number % 3 == 0:
            latest[0] = latest[0].replace_last(Entry(number, "replaced"))
    is_over.set()
    for reader in readers:
        reader.join()
    assert mistakes == []
    assert [entry.number for entry in latest[0]] == list(range(1, 2004))
    assert history == make_entries(1, 2, 3)


@pytest.mark.usefixtures("restless_threads")
def test_accounts_continue_one_base_at_the_same_time() -> None:
    """Each account has a lock of its own, so nothing that they share may be written."""
    shared = [History.of(make_entries(1, 2, 3)) for _ in range(500)]
    ready = threading.Barrier(4)
    ends: dict[str, list[History[Entry]]] = {}

    def go_on(account: str) -> None:
        ready.wait()
        mine = [base.replace_last(Entry(3, account)).append(Entry(4, account)) for base in shared]
        ends[account] = [history.append(Entry(5, account)) for history in mine]

    threads = [threading.Thread(target=go_on, args=[f"account {number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for account, histories in ends.items():
        for history in histories:
            assert history[2:] == tuple(Entry(number, account) for number in (3, 4, 5))
    assert all(base == make_entries(1, 2, 3) for base in shared)


def test_appending_copies_nothing_of_a_long_history() -> None:
    history = History.of(make_entries(*range(1, 200_001)))
    tracemalloc.start()
    try:
        for number in range(200_001, 200_101):
            history = history.append(Entry(number))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000  # one copy of the history takes 1,600,000 bytes


def test_finding_a_number_looks_at_few_entries() -> None:
    looked_at: list[int] = []

    class Watched:
        def __init__(self, number: int) -> None:
            self._number = number

        @property
        def number(self) -> int:
            looked_at.append(self._number)
            return self._number

    history: History[Watched] = History.of(Watched(number) for number in range(1, 100_001))
    assert history.find(70_000) is history[69_999]
    assert len(looked_at) <= 4
    looked_at.clear()
    history = history.append(Watched(100_005))  # a gap
    assert history.find(100_005) is history[-1]
    assert history.find(100_003) is None
    assert len(looked_at) <= 50
