"""An emulator of AWS HealthImaging's version history, for testing code that calls it."""

from __future__ import annotations

from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emulator import Emulator, ImageSet
    from .limits import LimitExceeded, Limits
    from .reach.remote import ControlError, Remote
    from .scenario.account import Account
    from .scenario.calls import Attempt, Call
    from .scenario.documents import SeedError
    from .scenario.faults import RuleError
    from .scenario.rules import Delay, Fault, Rule
    from .service.credentials import Credentials
    from .service.errors import ResourceNotFoundException
    from .service.store import AlreadyExists

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
    "Account": ".scenario.account",
    "AlreadyExists": ".service.store",
    "Attempt": ".scenario.calls",
    "Call": ".scenario.calls",
    "ControlError": ".reach.remote",
    "Credentials": ".service.credentials",
    "Delay": ".scenario.rules",
    "Emulator": ".emulator",
    "Fault": ".scenario.rules",
    "ImageSet": ".emulator",
    "LimitExceeded": ".limits",
    "Limits": ".limits",
    "Remote": ".reach.remote",
    "ResourceNotFoundException": ".service.errors",
    "Rule": ".scenario.rules",
    "RuleError": ".scenario.faults",
    "SeedError": ".scenario.documents",
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
