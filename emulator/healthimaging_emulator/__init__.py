"""An emulator of AWS HealthImaging, for testing code that calls it.

The pytest plugin makes pytest import this package in every run, so names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .accounts import Account
    from .clock import Clock
    from .control.client import RemoteAccount
    from .credentials import Credentials
    from .emulator import Emulator
    from .errors import (
        ConflictError,
        EmulatorError,
        ForbiddenError,
        InvalidError,
        LimitExceededError,
        NotFoundError,
        UnreachableError,
    )
    from .faults.engine import Faults, FaultStatus
    from .faults.fault import Fault
    from .faults.latency import Latency
    from .handles import DatastoreHandle, ImageSetHandle
    from .interfaces import AccountInterface
    from .journal import Attempt, Call, JournalSnapshot
    from .server.listener import Server
    from .settings import Settings
else:
    from importlib import import_module
    from threading import RLock

    _MODULES = {
        "Account": "accounts",
        "AccountInterface": "interfaces",
        "Attempt": "journal",
        "Call": "journal",
        "Clock": "clock",
        "ConflictError": "errors",
        "Credentials": "credentials",
        "DatastoreHandle": "handles",
        "Emulator": "emulator",
        "EmulatorError": "errors",
        "Fault": "faults.fault",
        "FaultStatus": "faults.engine",
        "Faults": "faults.engine",
        "ForbiddenError": "errors",
        "ImageSetHandle": "handles",
        "InvalidError": "errors",
        "JournalSnapshot": "journal",
        "Latency": "faults.latency",
        "LimitExceededError": "errors",
        "NotFoundError": "errors",
        "RemoteAccount": "control.client",
        "Server": "server.listener",
        "Settings": "settings",
        "UnreachableError": "errors",
    }
    _loading = RLock()

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with _loading:  # threads that import parts of Werkzeug at the same time can fail
            return getattr(import_module(f".{_MODULES[name]}", __name__), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "Account",
    "AccountInterface",
    "Attempt",
    "Call",
    "Clock",
    "ConflictError",
    "Credentials",
    "DatastoreHandle",
    "Emulator",
    "EmulatorError",
    "Fault",
    "FaultStatus",
    "Faults",
    "ForbiddenError",
    "ImageSetHandle",
    "InvalidError",
    "JournalSnapshot",
    "Latency",
    "LimitExceededError",
    "NotFoundError",
    "RemoteAccount",
    "Server",
    "Settings",
    "UnreachableError",
]
