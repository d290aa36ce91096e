"""An emulator of AWS HealthImaging's version history, for testing code that calls it."""

from .emulator import Emulator, ImageSet
from .scenario.account import Account
from .scenario.calls import Attempt, Call
from .scenario.documents import SeedError
from .scenario.rules import Delay, Fault, Rule, RuleError

__all__ = ["Account", "Attempt", "Call", "Delay", "Emulator", "Fault", "ImageSet", "Rule", "RuleError", "SeedError"]
