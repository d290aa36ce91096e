"""The index of searches against a plain model: filter all image sets, sort them, cut the page."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from healthimaging_emulator.clock import Clock
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.healthimaging.history import History
from healthimaging_emulator.healthimaging.metadata import Metadata
from healthimaging_emulator.healthimaging.records import ImageSet, Version
from healthimaging_emulator.healthimaging.search_index import (
    MOST_GROUPINGS,
    AccountIndex,
    Entry,
    Index,
    Order,
    Query,
    Range,
    make_entry,
)
from healthimaging_emulator.healthimaging.store import Store
from healthimaging_emulator.settings import Settings
from tests.demo import DATASTORE

KEYS = ("created_at", "updated_at", "study_time")
ORDERS = [Order(key, is_descending) for key in KEYS for is_descending in (False, True)]  # type: ignore[arg-type]


def image_set(number: int, patient: str, created: int | None, day: int | None, state: str = "ACTIVE") -> ImageSet:
    id = f"{number:032}"
    study = {"DICOM": {"StudyDate": None if day is None else f"2020010{day}"}}
    metadata = Metadata({"Patient": {"DICOM": {"PatientID": patient}}, "Study": study}, DATASTORE, id)
    version = Version(
        version_id="1",
        image_set_state=state,  # type: ignore[arg-type]
        created_at=None if created is None else float(created),
        updated_at=None if created is None else float(9 - created),
        is_primary=number % 2 == 0,
        metadata=metadata,
    )
    return ImageSet(datastore_id=DATASTORE, image_set_id=id, history=History.of([version]))


digits = st.none() | st.integers(1, 5)
image_sets = st.lists(
    st.builds(
        image_set,
        st.integers(0, 40),
        st.sampled_from("PQ"),
        digits,
        digits,
        st.sampled_from(["ACTIVE", "ACTIVE", "LOCKED", "DELETED"]),
    ),
    max_size=60,
)


def make_range(key: Any, ends: list[int]) -> Range:
    low, high = (end * 1000 if key != "study_time" else (20200100 + end) * 10**12 for end in sorted(ends))
    return Range(key, low, high)


ranges = st.builds(make_range, st.sampled_from(KEYS), st.lists(st.integers(0, 6), min_size=2, max_size=2))
equal = st.lists(
    st.tuples(st.just("patient_id"), st.sampled_from("PQR"))
    | st.tuples(st.just("is_primary"), st.booleans())
    | st.tuples(st.just("created_at"), st.integers(1, 5).map(lambda n: n * 1000)),
    max_size=2,
).map(lambda pairs: tuple(sorted(pairs, key=lambda pair: pair[0])))
queries = st.builds(Query, equal, st.lists(ranges, max_size=2).map(tuple), st.sampled_from(ORDERS))


def value(entry: Entry, name: str) -> Any:
    return entry.tags.patient_id if name == "patient_id" else getattr(entry, name)


def expected(records: dict[str, ImageSet], query: Query) -> list[str]:
    """Find, filter and sort without any index."""
    entries = [entry for entry in map(make_entry, records.values()) if entry]
    kept = [
        entry
        for entry in entries
        if all(value(entry, name) == wanted for name, wanted in query.equal)
        and all((time := value(entry, each.key)) is not None and each.low <= time <= each.high for each in query.ranges)
    ]
    return [entry.image_set_id for entry in sorted(kept, key=query.order.rank)]


def pages(index: AccountIndex, query: Query, size: int) -> list[str]:
    found: list[str] = []
    after = None
    while page := index.find(query, after, size):
        found += [entry.image_set_id for entry in page]
        after = query.order.rank(page[-1])
    return found


class Account:
    """A data store of one account: the records of a seed, and those that are written over them."""

    def __init__(self, seed: list[ImageSet]) -> None:
        baseline = Baseline({DATASTORE: {record.image_set_id: record for record in seed}})
        self.records = dict(baseline[DATASTORE])
        self.changed: set[str] = set()
        self.index = AccountIndex(baseline.index_of(DATASTORE), self._take)

    def _take(self) -> dict[str, ImageSet | None]:
        taken, self.changed = self.changed, set()
        return {id: self.records.get(id) for id in taken}

    def write(self, record: ImageSet) -> None:
        self.records[record.image_set_id] = record
        self.changed.add(record.image_set_id)


@settings(max_examples=300)
@given(image_sets, st.lists(image_sets, max_size=4), st.lists(queries, min_size=1, max_size=3), st.integers(1, 7))
def test_every_page_is_that_of_the_model(
    seed: list[ImageSet], writes: list[list[ImageSet]], wanted: list[Query], size: int
) -> None:
    account = Account(seed)
    for written in [[], *writes]:
        for record in written:
            account.write(record)
        for query in wanted:
            assert pages(account.index, query, size) == expected(account.records, query)


def test_the_shared_index_is_the_same_for_all_accounts_and_never_changes() -> None:
    seed = [image_set(number, "P", 1, 1) for number in range(100)]
    baseline = Baseline({DATASTORE: {record.image_set_id: record for record in seed}})
    shared = baseline.index_of(DATASTORE)
    assert baseline.index_of(DATASTORE) is shared
    index = AccountIndex(shared, lambda: {seed[0].image_set_id: None})
    assert len(index.find(Query(), None, 200)) == 99
    assert len(shared) == 100


def test_an_index_keeps_a_bounded_number_of_groupings_and_makes_one_again() -> None:
    index = Index(entry for number in range(9) if (entry := make_entry(image_set(number, "P", number or None, 1))))
    every = [
        Query(((name, wanted),), (), order)
        for name, wanted in (("patient_id", "P"), ("is_primary", True), ("study_id", None))
        for order in ORDERS
    ]
    assert len(every) > MOST_GROUPINGS
    first = [[entry.image_set_id for entry in index.find(query, None)] for query in every]
    assert [[entry.image_set_id for entry in index.find(query, None)] for query in every] == first
    assert index.grouping_count == MOST_GROUPINGS


def test_threads_that_search_while_others_write_see_every_image_set_once() -> None:
    seed = [image_set(number, "P", 1, 1) for number in range(200)]
    store = Store(Baseline({DATASTORE: {each.image_set_id: each for each in seed}}), Clock(), Settings())
    failures: list[Any] = []
    start = threading.Barrier(8)

    def search() -> None:
        start.wait()
        for _ in range(30):
            ids = [entry.image_set_id for entry in store.search(DATASTORE, Query(), None, 1000)]
            if len(ids) != len(set(ids)) or not {each.image_set_id for each in seed} <= set(ids):
                failures.append(ids)

    def write(first: int) -> None:
        start.wait()
        for number in range(first, first + 50):
            id = f"{number:032}"
            store.edits.add(DATASTORE, id, {})
            if id not in {entry.image_set_id for entry in store.search(DATASTORE, Query(), None, 1000)}:
                failures.append(id)

    workers = [threading.Thread(target=search) for _ in range(4)]
    workers += [threading.Thread(target=write, args=(number * 1000,)) for number in range(1, 5)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(60)
    assert not failures
    assert len(store.search(DATASTORE, Query(), None, 1000)) == 400
