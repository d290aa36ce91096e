"""An emulator of AWS HealthImaging's version history, for testing code that calls it."""

from .emulator import Account, Emulator, ImageSet
from .scenario.seeds import SeedError

__all__ = ["Account", "Emulator", "ImageSet", "SeedError"]
