"""The faults of an account: which one is picked for a request, and their counts.

Faults are tried in order. One that has only a latency fires and the search goes on; the first one with an effect ends
it. A fault that is picked counts as fired at once, so that ``times`` is exact under threads; if its effect then finds
nothing to do, because the operation answered with an error, ``uncount_unused`` takes the count back.

``_lock`` guards the table of faults and all their counters and states. It is never held while a request waits: a
waiting request registers an event with its fault, and removing the fault sets it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

from msgspec import structs

from ..clock import Clock
from ..errors import ConflictError, NotFoundError, invalid
from ..messages import Wait
from ..settings import Settings
from .check import check_fault
from .effect import Effect
from .fault import Fault


class FaultStatus(Fault, frozen=True, kw_only=True):
    """An active fault with its counts: how many requests it matched, and how often it fired.

    With ``is_on`` false it is switched off: it matches no request, and keeps its place and its counts.
    """

    matched: int
    fired: int
    is_on: bool = True


class RequestView(NamedTuple):
    """The properties of a request that faults match."""

    operation: str
    identifiers: Mapping[str, Sequence[str]]
    page: int | None
    attempt: int


class ActiveFault:
    """The state of a fault. The lock of ``Faults`` guards its counters. The limit counts those that were added."""

    def __init__(self, fault: Fault, operations: frozenset[str], elapsed: float, *, is_added: bool) -> None:
        self.fault = fault
        self.is_added = is_added
        self.effect = next(iter(fault.effects.values()), None)
        self.matched = self.fired = 0
        self.is_on = True
        self.is_removed = False
        self.waiting: set[threading.Event] = set()
        self._operations = operations
        self._first_page = self.effect.first_page() if self.effect else 1
        self._identifiers = tuple(fault.match.identifiers.items())
        self._random = Random(fault.seed).random
        self._trigger = self.effect.make_trigger(elapsed) if self.effect else None
        self._added_at = elapsed

    @property
    def status(self) -> FaultStatus:
        """The fault with its counts."""
        return FaultStatus(**structs.asdict(self.fault), matched=self.matched, fired=self.fired, is_on=self.is_on)

    def matches(self, request: RequestView) -> bool:
        """Whether a request matches the fault."""
        if not self.is_on or request.operation not in self._operations:
            return False
        for name, value in self._identifiers:  # no function of its own: there may be a thousand faults
            if value not in request.identifiers.get(name, ()):
                return False
        match = self.fault.match
        return (
            is_among(request.page, match.page)
            and is_among(request.attempt, match.attempt)
            and (self._first_page == 1 or (request.page or 0) >= self._first_page)
        )

    def fires(self, operation: str, elapsed: float) -> bool:
        """Count a match, and say whether the fault fires for it."""
        fault = self.fault
        self.matched += 1
        turn = self.matched - fault.skip - 1
        fires = (
            turn >= 0
            and turn % fault.every == 0
            and (fault.times is None or self.fired < fault.times)
            and (fault.expires_after is None or round(elapsed - self._added_at, 3) < fault.expires_after)
            and (fault.probability == 1 or self._random() < fault.probability)
            and (self._trigger is None or self._trigger.fires(operation, elapsed))
        )
        self.fired += fires
        return fires

    def sample_seed(self) -> float:
        """Return the seed of the effect's own generator, another one each time; 0 if it needs none."""
        return self._random() if self.effect is not None and self.effect.is_random else 0.0

    def sample_latency(self) -> float:
        """Return the pause of one answer, in seconds."""
        latency = self.fault.latency_effect
        return latency.sample(self._random) if latency else 0.0


def is_among(found: int | str | None, wanted: Any) -> bool:
    """Whether a property is the wanted one, or one of several; if none is wanted, any will do."""
    return wanted is None or found == wanted or (isinstance(wanted, list) and found in wanted)


class Injection(NamedTuple):
    """The faults picked for one request, and the latency of each in seconds.

    Only the last one may have an effect. ``seed`` is for a generator of this effect.
    """

    active: tuple[ActiveFault, ...] = ()
    latencies: tuple[float, ...] = ()
    seed: float = 0.0

    @property
    def ids(self) -> list[str]:
        """The ids of the faults."""
        return [str(each.fault.id) for each in self.active]

    @property
    def effect(self) -> Effect:
        """The effect of the last fault, or one that does nothing."""
        return (self.active[-1].effect if self.active else None) or NO_EFFECT

    @property
    def is_after(self) -> bool:
        """Whether the effect acts after the operation."""
        return bool(self.active) and self.active[-1].fault.when == "after"

    def latencies_of(self, *, after: bool) -> Iterator[tuple[ActiveFault, float]]:
        """Return the pauses before or after the operation."""
        for active, seconds in zip(self.active, self.latencies, strict=True):
            if (active.fault.when == "after") == after and seconds > 0:
                yield active, seconds


NO_EFFECT = Effect()


class Faults:
    """The faults of one account, in order."""

    def __init__(self, clock: Clock, faults: Sequence[Fault] = (), settings: Settings | None = None) -> None:
        self._clock = clock
        self._settings = settings or Settings()
        self._initial = tuple(faults)
        self._lock = threading.Lock()
        self._active = self._activate(faults, {}, is_added=False)  # the emulator's seed may have any number
        self._is_seed_added = False

    def reset(self, faults: Sequence[Fault] | None = None, *, is_added: bool = True) -> None:
        """Return to the faults of the seed, or replace these by others, to which later resets return."""
        with self._lock:
            if faults is not None:
                self._initial, self._is_seed_added = tuple(faults), is_added
            self._end(*self._active.values())
            self._active = self._activate(self._initial, {}, is_added=self._is_seed_added)

    def without_counts(self) -> list[Fault]:
        """Return the faults that are switched on, without their counts."""
        with self._lock:
            return [active.fault for active in self._active.values() if active.is_on]

    def find_unfired(self) -> list[FaultStatus]:
        """Return the faults that were added, not those of the seed, and have never fired."""
        with self._lock:
            return [each.status for each in self._active.values() if each.is_added and not each.fired]

    def add(self, *faults: Fault | Mapping[str, Any]) -> list[FaultStatus]:
        """Add faults, all or none, and return them with their ids: at the end, or first of all with ``first``.

        A fault may be a mapping in the wire's spelling. Raises ``InvalidError``, ``ConflictError`` for an id that is
        taken, or ``LimitExceededError``.
        """
        return self.add_with(lambda: None, *faults)

    def add_with(self, first: Callable[[], None], *faults: Fault | Mapping[str, Any]) -> list[FaultStatus]:
        """Add faults. ``first`` is called after they are found valid; if it raises, none is added."""
        with self._lock:
            if faults:
                added = sum(each.is_added for each in self._active.values())
                self._settings.check_limit("faults", added + len(faults))
            active = self._activate(faults, self._active, is_added=True)
            first()
            added_ids = [id for id in active if id not in self._active]
            self._active = active
            return [active[id].status for id in added_ids]

    def remove(self, id: str) -> None:
        """Remove a fault, and end the stalls and delays that it causes. Raises ``NotFoundError``."""
        with self._lock:
            self._end(self._find(id))
            del self._active[id]

    def switch(self, id: str, *, on: bool) -> None:
        """See ``FaultsInterface``."""
        with self._lock:
            active = self._find(id)
            active.is_on = on
            if not on:
                self._release(active)

    def move(self, id: str, position: int) -> None:
        """See ``FaultsInterface``."""
        if position < 1:
            raise invalid("position", position, "a number from 1 on")
        with self._lock:
            moved = self._find(id)
            others = [each for each in self._active.values() if each is not moved]
            order = [*others[: position - 1], moved, *others[position - 1 :]]
            self._active = {str(each.fault.id): each for each in order}

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._end(*self._active.values())
            self._active = {}

    def __iter__(self) -> Iterator[FaultStatus]:
        with self._lock:
            return iter([active.status for active in self._active.values()])

    def __len__(self) -> int:
        return len(self._active)

    def __getitem__(self, id: str) -> FaultStatus:
        with self._lock:
            return self._find(id).status

    def pick(self, request: RequestView, elapsed: float) -> Injection:
        """Pick the faults that fire for a request: any number with latency only, and the first one with an effect.

        ``elapsed`` is the time of the account's clock.
        """
        if not self._active:
            return NO_INJECTION
        fired: list[ActiveFault] = []
        with self._lock:
            for active in self._active.values():
                if active.matches(request) and active.fires(request.operation, elapsed):
                    fired.append(active)
                    if active.effect:
                        break
            seed = fired[-1].sample_seed() if fired else 0.0
            return Injection(tuple(fired), tuple(active.sample_latency() for active in fired), seed)

    def uncount_unused(self, injection: Injection, *, effect_acted: bool, has_succeeded: bool) -> list[str]:
        """Take back the counts of the faults that found nothing to do, and return their ids.

        ``effect_acted`` says whether the effect did something, ``has_succeeded`` whether the operation succeeded: if
        not, a latency that comes after it did not happen.
        """
        unused = [
            active
            for active in injection.active
            if not (effect_acted if active.effect else has_succeeded or active.fault.when != "after")
        ]
        with self._lock:
            for active in unused:
                active.fired -= 1
        return [str(active.fault.id) for active in unused]

    def wait(self, active: ActiveFault, seconds: float) -> Iterator[Wait]:
        """Yield the pause that a fault causes. Removing the fault ends it; while the clock is frozen it is virtual."""
        with self._waiting(active) as end:
            if end is not None and seconds > 0:
                yield Wait(seconds, end, is_virtual=self._clock.is_virtual)

    @contextmanager
    def _waiting(self, active: ActiveFault) -> Iterator[threading.Event | None]:
        end = threading.Event()
        with self._lock:
            if active.is_removed or not active.is_on:
                end = None  # type: ignore[assignment]
            else:
                active.waiting.add(end)
        try:
            yield end
        finally:
            with self._lock:
                active.waiting.discard(end)

    def _find(self, id: str) -> ActiveFault:
        if id not in self._active:
            raise NotFoundError(f"there is no fault {id}")
        return self._active[id]

    def _activate(
        self, given: Sequence[Fault | Mapping[str, Any]], present: Mapping[str, ActiveFault], *, is_added: bool
    ) -> dict[str, ActiveFault]:
        """Return the present faults followed by the new ones, each under an id."""
        active = dict(present)
        checked = [check_fault(fault, f"$[{index}]") for index, fault in enumerate(given)]
        taken = {*present, *(fault.id for fault, _ in checked)}
        for index, (fault, operations) in enumerate(checked):
            id = fault.id or next(id for n in itertools.count(len(active) + 1) if (id := f"fault-{n}") not in taken)
            if id in active:
                raise ConflictError(f"there is a fault {id} already", path=f"$[{index}].id")
            named = structs.replace(fault, id=id)
            active[id] = ActiveFault(named, operations, self._clock.elapsed(), is_added=is_added)
            taken.add(id)
        in_front = {id: each for id, each in active.items() if each.fault.first and id not in present}
        return in_front | active

    def _end(self, *ended: ActiveFault) -> None:
        for active in ended:
            active.is_removed = True
            self._release(active)

    @staticmethod
    def _release(active: ActiveFault) -> None:
        for event in active.waiting:
            event.set()


NO_INJECTION = Injection()
