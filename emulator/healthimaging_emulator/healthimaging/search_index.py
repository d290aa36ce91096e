"""Indexes for searches: a page of a million image sets costs no more than one of a hundred.

An ``Index`` holds entries in groups: one group for each combination of values of the attributes that a search compares
for equality, each a plain list in the order of the search. Groups are made when a search first needs them. So a page
is a bisection and a slice, for any depth; only conditions on other attributes are tested entry by entry.

The index of a seed is shared by all accounts and never changes. ``AccountIndex`` lays an account's changes over it: the
ids that are hidden in the shared index, and a small index of the account's own. A write only notes the id; the next
search brings the account's index up to date. If an account hides much of the shared index, it gets one of its own.

Locks. An ``Index`` makes its groups under its own lock, so that threads make each only once. ``AccountIndex`` works
under a lock of its own, and takes the lock of the store inside it, only for as long as it takes what was written.
"""

from __future__ import annotations

import heapq
import math
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from ..aws.pagination import Rank
from .dicom_tags import read_study_time
from .metadata import tags_of
from .records import ImageSet, Version
from .shapes.search import DICOMTags

MOST_GROUPINGS = 16
"""Groupings that an index keeps; the one used longest ago is dropped, and made again when it is needed."""

SMALLEST_SHARE = 8
"""A range that leaves fewer than one in so many entries is sorted; one that leaves more is tested entry by entry."""

SortKey = Literal["created_at", "updated_at", "study_time"]


class Entry(Struct, frozen=True, gc=False):
    """An image set as searches see it. Its times are whole numbers, in milliseconds or microseconds, or None."""

    image_set_id: str
    version: Version
    latest: Version
    tags: DICOMTags
    created_at: int | None
    updated_at: int | None
    study_time: int | None

    @property
    def is_primary(self) -> bool:
        """Whether the image set is primary."""
        return bool(self.latest.is_primary)


def make_entry(image_set: ImageSet) -> Entry | None:
    """Return the entry of an image set, or None if it is deleted.

    While the latest version is being written, the attributes are those of the version before.
    """
    latest = image_set.latest
    if latest.image_set_state == "DELETED":
        return None
    history = image_set.history
    version = history[-2] if latest.is_being_written and len(history) > 1 else latest
    tags = tags_of(version, image_set.image_set_id)
    updated_at = latest.created_at if latest.updated_at is None else latest.updated_at
    return Entry(
        image_set_id=image_set.image_set_id,
        version=version,
        latest=latest,
        tags=tags,
        created_at=to_milliseconds(latest.created_at),
        updated_at=to_milliseconds(updated_at),
        study_time=read_study_time(tags.study_date, tags.study_time),
    )


def to_milliseconds(seconds: float | None) -> int | None:
    """Return a time in whole milliseconds, as the wire shows it."""
    return None if seconds is None else round(seconds * 1000)


class Order(NamedTuple):
    """The order of results: by a time, and by the id where times are equal. Entries without a time come last."""

    key: SortKey = "updated_at"
    is_descending: bool = True

    def rank(self, entry: Entry) -> Rank:
        """Return the place of an entry: its time, negative if the latest comes first, and its id."""
        return self.rank_of(getattr(entry, self.key)), entry.image_set_id

    def rank_of(self, time: int | None) -> float:
        """Return the place of a time."""
        if time is None:
            return math.inf
        return -time if self.is_descending else time


class Range(NamedTuple):
    """A condition on a time; both ends belong to it."""

    key: SortKey
    low: int
    high: int

    def includes(self, entry: Entry) -> bool:
        """Whether an entry satisfies the condition."""
        time = getattr(entry, self.key)
        return time is not None and self.low <= time <= self.high

    def slice(self, entries: Sequence[Entry], order: Order) -> tuple[int, int]:
        """Return the part of entries, ordered by the time of the range, that satisfies the condition."""
        ends = sorted((order.rank_of(self.low), order.rank_of(self.high)))
        return (
            bisect_left(entries, (ends[0], ""), key=order.rank),
            bisect_right(entries, (ends[1], "~"), key=order.rank),  # no id has a letter behind "~"
        )


class Query(NamedTuple):
    """Conditions that must all hold, and the order of the results.

    ``equal`` has attributes of an ``Entry``, or of its tags, each with the value that it must have.
    """

    equal: tuple[tuple[str, Any], ...] = ()
    ranges: tuple[Range, ...] = ()
    order: Order = Order()


Grouping = tuple[tuple[str, ...], Order]
Groups = dict[tuple[Any, ...], list[Entry]]


class Index:
    """Entries by id, and in groups."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.image_set_id: entry for entry in entries}
        self._groupings: OrderedDict[Grouping, Groups] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, image_set_id: str) -> bool:
        return image_set_id in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def grouping_count(self) -> int:
        """How many groupings the index keeps at present."""
        return len(self._groupings)

    def replace(self, image_set_id: str, entry: Entry | None) -> None:
        """Put an entry in the place of another; None removes it. Not for an index that is shared."""
        before = self._entries.pop(image_set_id, None)
        if entry is not None:
            self._entries[image_set_id] = entry
        for (attributes, order), groups in self._groupings.items():
            get = _make_getter(attributes)
            if before is not None:
                group = groups[get(before)]
                del group[bisect_left(group, order.rank(before), key=order.rank)]
                if not group:
                    del groups[get(before)]
            if entry is not None:
                group = groups.setdefault(get(entry), [])
                group.insert(bisect_left(group, order.rank(entry), key=order.rank), entry)

    def find(self, query: Query, after: Rank | None) -> Iterator[Entry]:
        """Yield the entries that a query finds, in its order, behind a place."""
        entries, ranges = self._candidates(query)
        start, end = 0, len(entries)
        for each in ranges:
            if each.key == query.order.key:
                first, last = each.slice(entries, query.order)
                start, end = max(start, first), min(end, last)
        if after is not None:
            start = max(start, bisect_right(entries, after, key=query.order.rank))
        others = [each for each in ranges if each.key != query.order.key]
        for index in range(start, end):
            if all(each.includes(entries[index]) for each in others):
                yield entries[index]

    def _candidates(self, query: Query) -> tuple[Sequence[Entry], tuple[Range, ...]]:
        """Return entries in the order of a query, and the conditions that are left to test."""
        entries = self._group(query.equal, query.order)
        for each in query.ranges:
            if each.key == query.order.key:
                continue
            order = Order(each.key, is_descending=False)
            group = self._group(query.equal, order)
            first, last = each.slice(group, order)
            if (last - first) * SMALLEST_SHARE < len(entries):
                rest = tuple(other for other in query.ranges if other is not each)
                return sorted(group[first:last], key=query.order.rank), rest
        return entries, query.ranges

    def _group(self, equal: tuple[tuple[str, Any], ...], order: Order) -> Sequence[Entry]:
        """Return the entries that have given values, in an order."""
        attributes = tuple([name for name, _ in equal])
        with self._lock:
            groups = self._groupings.get((attributes, order))
            if groups is None:
                groups = self._groupings[attributes, order] = self._make_groups(attributes, order)
                if len(self._groupings) > MOST_GROUPINGS:
                    self._groupings.popitem(last=False)
            self._groupings.move_to_end((attributes, order))
        return groups.get(tuple([value for _, value in equal]), ())

    def _make_groups(self, attributes: tuple[str, ...], order: Order) -> Groups:
        groups: Groups = {}
        get = _make_getter(attributes)
        for entry in sorted(self._entries.values(), key=order.rank):
            groups.setdefault(get(entry), []).append(entry)
        return groups


def _make_getter(attributes: tuple[str, ...]) -> Callable[[Entry], tuple[Any, ...]]:
    """Return a function that returns the values of attributes, always as a tuple."""
    paths = [each if each in Entry.__struct_fields__ or each == "is_primary" else f"tags.{each}" for each in attributes]
    if not paths:
        return lambda _: ()
    get = attrgetter(*paths)
    return get if len(paths) > 1 else lambda entry: (get(entry),)


class AccountIndex:
    """The image sets of one data store as an account sees them.

    ``take_changed`` returns the image sets that were written since it was last called, by their ids; None is one that
    was removed.
    """

    def __init__(self, shared: Index, take_changed: Callable[[], Mapping[str, ImageSet | None]]) -> None:
        self._shared = shared
        self._take_changed = take_changed
        self._own = Index()
        self._hidden: set[str] = set()
        self._lock = threading.Lock()

    def find(self, query: Query, after: Rank | None, size: int) -> list[Entry]:
        """Return at most ``size`` entries that a query finds, in its order, behind a place."""
        with self._lock:
            self._update()
            shared = (each for each in self._shared.find(query, after) if each.image_set_id not in self._hidden)
            if not self._own:
                return list(islice(shared, size))
            return list(islice(heapq.merge(shared, self._own.find(query, after), key=query.order.rank), size))

    def _update(self) -> None:
        """Bring the account's own entries up to date."""
        for id, image_set in self._take_changed().items():
            self._own.replace(id, None if image_set is None else make_entry(image_set))
            if id in self._shared:
                self._hidden.add(id)
        if len(self._hidden) * SMALLEST_SHARE > len(self._shared):
            kept = (entry for entry in self._shared if entry.image_set_id not in self._hidden)
            self._own = Index([*kept, *self._own])
            self._shared, self._hidden = Index(), set()
