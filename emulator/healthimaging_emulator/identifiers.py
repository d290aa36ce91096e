"""Random identifiers, which differ although a test replaces ``uuid.uuid4``."""

from __future__ import annotations

import os
import uuid


def make_id() -> str:
    """Return an id as the service makes them: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def make_uuid() -> str:
    """Return a UUID of version 4."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))
