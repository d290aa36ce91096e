"""An emulator of AWS HealthImaging's version history, for testing code that calls it."""

from .emulator import Emulator, ImageSet
from .scenario.account import Account
from .scenario.calls import Attempt, Call
from .scenario.documents import SeedError
from .scenario.faults import RuleError
from .scenario.rules import Delay, Fault, Rule
from .service.errors import ResourceNotFoundException
from .service.store import AlreadyExists

__all__ = [
    "Account",
    "AlreadyExists",
    "Attempt",
    "Call",
    "Delay",
    "Emulator",
    "Fault",
    "ImageSet",
    "ResourceNotFoundException",
    "Rule",
    "RuleError",
    "SeedError",
]
