"""The versions of an image set, oldest first: an immutable sequence to which one can append in constant time.

A history of a million versions must cost no more to change than one of ten. So its versions lie in three places: the
first ``base_count`` of ``base``, a tuple that all accounts share; the first ``added_count`` of ``added``, a list that
only grows and that later histories of the same account share; and ``last``. Appending puts ``last`` on the list.
A history that was taken before still counts only its own versions, so readers need no lock. Appending needs the lock
of the store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, overload


class Numbered(Protocol):
    """An entry that knows its place."""

    @property
    def number(self) -> int: ...


T = TypeVar("T", bound=Numbered)


class History(Sequence[T]):
    """An immutable sequence of at least one version."""

    __slots__ = ("_added", "_added_count", "_base", "_base_count", "_last")

    def __init__(self, base: tuple[T, ...], base_count: int, added: list[T], added_count: int, last: T) -> None:
        self._base, self._base_count = base, base_count
        self._added, self._added_count = added, added_count
        self._last = last

    @classmethod
    def of(cls, versions: Iterable[T]) -> History[T]:
        """Return the history of versions that are in order."""
        base = tuple(versions)
        return cls(base, len(base) - 1, [], 0, base[-1])

    @property
    def last(self) -> T:
        """The newest version."""
        return self._last

    def append(self, version: T) -> History[T]:
        """Return a history with one more version. Called under the store's lock."""
        if not self._added_count and self._base[self._base_count :] == (self._last,):  # the first append of an account
            return History(self._base, len(self._base), [], 0, version)
        added = self._added
        if not self._added_count or len(added) != self._added_count:  # none yet, or another history has appended
            added = added[: self._added_count]
        added.append(self._last)
        return History(self._base, self._base_count, added, self._added_count + 1, version)

    def replace_last(self, version: T) -> History[T]:
        """Return a history with another last version."""
        return History(self._base, self._base_count, self._added, self._added_count, version)

    def replace(self, index: int, version: T) -> History[T]:
        """Return a history with another version in one place; this takes time in proportion to the length."""
        versions = list(self)
        versions[index] = version
        return History.of(versions)

    def map_own(self, change: Callable[[T], T], other: History[T] | None) -> History[T]:
        """Return a history in which every version is changed that does not lie in the tuple of another history."""
        is_shared = other is not None and other._base is self._base
        base = self._base if is_shared else tuple(map(change, self._base[: self._base_count]))
        added = [change(each) for each in self._added[: self._added_count]]
        return History(base, self._base_count, added, len(added), change(self._last))

    def index_of(self, number: int) -> int:
        """Return how many versions have a smaller number. The first guess is right if the numbers have no gap."""
        guess = number - self[0].number
        if 0 <= guess < len(self) and self[guess].number == number:
            return guess
        return bisect_left(self, number, key=_number)

    def find(self, number: int) -> T | None:
        """Return the version with a number, or None."""
        index = self.index_of(number)
        return self[index] if index < len(self) and self[index].number == number else None

    def __len__(self) -> int:
        return self._base_count + self._added_count + 1

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._between(start, stop) if step == 1 else tuple([self[i] for i in range(start, stop, step)])
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        if place < self._base_count:
            return self._base[place]
        place -= self._base_count
        return self._last if place == self._added_count else self._added[place]

    def _between(self, start: int, stop: int) -> tuple[T, ...]:
        found = self._base[start : min(stop, self._base_count)]
        first = self._base_count
        if stop > first and self._added_count:
            found += tuple(self._added[max(start - first, 0) : min(stop - first, self._added_count)])
        return (*found, self._last) if start < stop == len(self) else found

    def __iter__(self) -> Iterator[T]:
        return iter(self._between(0, len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self[:] == tuple(other)

    __hash__ = None  # type: ignore[assignment]


def _number(version: Numbered) -> int:
    return version.number
