"""An account: what one user of an emulator sees and has changed, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import Literal

from healthimaging_emulator.clock import Clock
from healthimaging_emulator.faults.engine import Faults
from healthimaging_emulator.healthimaging.store import Store
from healthimaging_emulator.journal import Calls
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.settings import Limits

DEFAULT_ACCOUNT = "000000000000"

Part = Literal["changes", "faults", "calls", "clock"]


class Account:
    """One AWS account: it begins with the seed, and has its own changes, rules, calls and clock."""

    def __init__(self, id: str, seed: seeds.Seed, limits: Limits, leave: Callable[[Account], None]) -> None:
        self.id = id
        self.limits = limits
        self.clock = Clock()
        self.store = Store(seed.baseline, self.clock.now, limits)
        self.faults = Faults(self.clock, seed.faults, limits)
        self.calls = Calls(self.clock, limits.calls)
        self._leave = leave
        self._lock = threading.Lock()

    def reset(self, only: Collection[Part] | None = None) -> None:
        """Go back to the seed, or to the last one put, whatever its size; or do so in some parts only."""
        parts: dict[Part, Callable[[], None]] = {
            "clock": self.clock.reset,  # first: rules are armed by it
            "changes": self.store.reset,
            "faults": self.faults.reset,
            "calls": self.calls.clear,
        }
        with self._lock:
            for part, reset in parts.items():
                if only is None or part in only:
                    reset()

    def put(self, seed: seeds.Seed) -> None:
        """Begin again with another seed, to which a later reset returns."""
        with self._lock:
            self.clock.reset()
            self.store.reset(seed.baseline)
            self.faults.reset(seed.faults)
            self.calls.clear()

    def add(self, seed: seeds.Seed) -> None:
        """Add a seed's image sets and rules to the changes, all or none.

        Raises ``AlreadyExists`` or ``RuleError`` for what is there already.
        """
        with self._lock:
            self.faults.add(*seed.faults, once=partial(self.store.merge, seed.baseline))

    def forget(self) -> None:
        """Leave the emulator; who is this account next begins with the seed of the start."""
        self._leave(self)
        self.faults.clear()

    def seed(self) -> bytes:
        """Return what the account sees as a seed, in JSON."""
        with self._lock:
            return seeds.dump(self.store.histories(), self.faults.rules())
