"""Random identifiers that differ even if a test replaces ``uuid.uuid4``."""

from __future__ import annotations

import os
import uuid


def make_id() -> str:
    """Return an id like those of the service: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def make_uuid() -> str:
    """Return a UUID of version 4."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))
