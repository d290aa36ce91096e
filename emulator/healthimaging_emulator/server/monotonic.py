"""The machine's monotonic clock, for the timeouts of a server, which is no part of what a test freezes."""

from __future__ import annotations

import sys
import time
from functools import partial

if sys.platform == "win32":
    monotonic = partial(time.monotonic)
else:
    monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Return seconds. freezegun replaces ``time.monotonic``, but not for every caller: threads would disagree."""
