"""How far an emulator lets itself be filled, so that nothing in it grows without end."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


class LimitExceeded(ValueError):
    """What was asked for would go beyond one of the ``Limits``."""


def _at_most(default: int, what: str) -> int:
    return field(default=default, metadata={"what": what})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Whole numbers above 0; of calls the oldest fall out, all else is refused. Raises ``ValueError``."""

    accounts: int = _at_most(1_000, "Accounts that are kept at a time.")
    calls: int = _at_most(1_000, "Calls that the journal of an account keeps.")
    faults: int = _at_most(1_000, "Fault rules of an account.")
    versions: int = _at_most(
        250_000, "Versions, and data stores, that an account adds to its seed or puts in its place."
    )
    pending: int = _at_most(1_000, "Changes of an account that are yet to come.")
    body: int = _at_most(1024 * 1024, "Bytes of the body of an operation's request.")
    control_body: int = _at_most(64 * 1024 * 1024, "Bytes of the body of a request to the control API.")
    head: int = _at_most(64 * 1024, "Bytes of a request line and its headers.")
    connections: int = _at_most(2_000, "Connections at a time.")

    def __post_init__(self) -> None:
        for each in fields(self):
            limit = getattr(self, each.name)
            if not isinstance(limit, int) or limit < 1:
                raise ValueError(f"the limit of {each.name} is a whole number above 0")

    def check(self, name: str, wanted: int) -> None:
        """Raise ``LimitExceeded`` where something wants to be more than its limit."""
        limit = getattr(self, name)
        if wanted > limit:
            raise LimitExceeded(f"that would make {wanted:,} {name}, and --max-{name} is {limit:,}")
