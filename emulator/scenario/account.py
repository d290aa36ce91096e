"""An account: what one user of an emulator sees and has changed, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Literal, get_args

from ..service.store import Store
from . import seeds
from .calls import Calls
from .clock import Clock
from .faults import Faults

DEFAULT_ACCOUNT = "000000000000"

Part = Literal["changes", "faults", "calls", "clock"]


class Account:
    """One AWS account: it begins with the seed, and has its own changes, rules, calls and clock."""

    def __init__(self, id: str, seed: seeds.Seed) -> None:
        self.id = id
        self.clock = Clock()
        self.store = Store(seed.baseline, self.clock.now)
        self.faults = Faults(self.clock, seed.faults)
        self.calls = Calls(self.clock)
        self._lock = threading.Lock()

    def reset(self, only: Iterable[Part] = get_args(Part)) -> None:
        """Go back to the seed, or to the last one put, whatever its size; or do so in some parts only."""
        parts = {
            "clock": self.clock.reset,
            "changes": self.store.reset,
            "faults": self.faults.reset,
            "calls": self.calls.clear,
        }
        with self._lock:
            for part in parts.keys() & set(only):
                parts[part]()

    def put(self, seed: seeds.Seed) -> None:
        """Begin again with another seed; a later reset returns to it."""
        with self._lock:
            self.store.reset(seed.baseline)
            self.faults.reset(seed.faults)
            self.calls.clear()
            self.clock.reset()

    def add(self, seed: seeds.Seed) -> None:
        """Add a seed's image sets and rules to the changes, all or none.

        Raises ``ValueError`` for an image set or a rule that is there already.
        """
        with self._lock:
            added = self.faults.add(*seed.faults)
            try:
                self.store.merge(seed.baseline)
            except ValueError:
                for id in added:
                    self.faults.remove(id)
                raise

    def seed(self) -> bytes:
        """Return what the account sees as a seed, in JSON."""
        return seeds.dump(self.store.histories(), self.faults.rules())
