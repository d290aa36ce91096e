"""The monotonic clock of the machine, in seconds. It goes on while a test freezes the time.

freezegun replaces ``time.monotonic``, but callers near the module ``threading`` still get the real time, so the threads
of a server would disagree. It does not replace ``time.clock_gettime``, which Windows does not have.
"""

from __future__ import annotations

import sys
import time
from functools import partial

if sys.platform == "win32":
    monotonic = partial(time.monotonic)
else:
    monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
