"""The emulator as another WSGI server runs it: every replica has the same seed and the same token key."""

from __future__ import annotations

from healthimaging_emulator import Emulator

app = Emulator.from_seed(token_key="shared by the replicas").app
