"""An emulator of AWS HealthImaging's version history, for testing code that calls it."""

from __future__ import annotations

from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healthimaging_emulator.accounts import Account
    from healthimaging_emulator.aws.credentials import Credentials
    from healthimaging_emulator.aws.errors import ResourceNotFoundException
    from healthimaging_emulator.control.client import ControlError, Remote
    from healthimaging_emulator.emulator import Emulator, ImageSet
    from healthimaging_emulator.faults.engine import RuleError
    from healthimaging_emulator.faults.fault import Delay, Fault, Rule
    from healthimaging_emulator.healthimaging.store import AlreadyExists
    from healthimaging_emulator.journal import Attempt, Call
    from healthimaging_emulator.seeds.reader import SeedError
    from healthimaging_emulator.settings import LimitExceeded, Limits

__all__ = [
    "Account",
    "AlreadyExists",
    "Attempt",
    "Call",
    "ControlError",
    "Credentials",
    "Delay",
    "Emulator",
    "Fault",
    "ImageSet",
    "LimitExceeded",
    "Limits",
    "Remote",
    "ResourceNotFoundException",
    "Rule",
    "RuleError",
    "SeedError",
]

_HOMES = {
    "Account": ".accounts",
    "AlreadyExists": ".healthimaging.store",
    "Attempt": ".journal",
    "Call": ".journal",
    "ControlError": ".control.client",
    "Credentials": ".aws.credentials",
    "Delay": ".faults.fault",
    "Emulator": ".emulator",
    "Fault": ".faults.fault",
    "ImageSet": ".emulator",
    "LimitExceeded": ".settings",
    "Limits": ".settings",
    "Remote": ".control.client",
    "ResourceNotFoundException": ".aws.errors",
    "Rule": ".faults.fault",
    "RuleError": ".faults.engine",
    "SeedError": ".seeds.reader",
}


_loading = RLock()


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: pytest imports this package for its plugin in every run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _loading:  # threads that import parts of Werkzeug at the same time can fail
        return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
