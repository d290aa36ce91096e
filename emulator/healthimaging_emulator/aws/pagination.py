"""Pages of a history, and the sealed tokens that lead from one to the next."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import Signer

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.healthimaging.store import History


class Position(NamedTuple):
    """Where a list goes on: below the last version returned, or at the newest; ``page`` counts from 1."""

    below: int | None
    page: int


START = Position(None, 1)

_TOKEN = re.compile(
    r"(v1\.(?P<below>[0-9]{1,18})\.(?P<page>[0-9]{1,9})(?:\.(?P<issued>[0-9]{1,15}))?)\.[\w~-]{43}", re.A
)


class Tokens:
    """Seals positions into tokens and opens them again. Signed, not encrypted: there is nothing to hide.

    A token is a pure function of key, scope and position, so runs are reproducible and replicas interchangeable. With a
    ``lifetime`` in seconds it also carries when it was issued.
    """

    def __init__(self, key: str, lifetime: float | None = None) -> None:
        self._key = key
        self._lifetime = lifetime

    def seal(self, scope: str, position: Position, now: float) -> str:
        """Make the token for a position of one list; ``now`` is in epoch seconds."""
        issued = "" if self._lifetime is None else f".{round(now * 1000)}"
        return self._sign(scope, f"v1.{position.below}.{position.page}{issued}")

    def open(self, scope: str, token: str, now: float) -> Position | None:
        """Return the position, or None for a token that was not issued here for this scope, or has expired."""
        parts = _TOKEN.fullmatch(token)
        # Signing again and comparing whole admits one spelling only; base64 would let a changed last letter pass.
        if parts is None or self._sign(scope, parts[1]) != token or self._has_expired(parts["issued"], now):
            return None
        return Position(int(parts["below"]), int(parts["page"]))

    def _sign(self, scope: str, value: str) -> str:
        signature = _signer(self._key, scope).get_signature(value)
        # botocore splits a StartingToken at "___", and tries to read it as base64 of JSON first: the leading "v" makes
        # the first byte one that UTF-8 cannot begin with, so that never succeeds.
        return f"{value}.{signature.decode().replace('_', '~')}"

    def _has_expired(self, issued: str | None, now: float) -> bool:
        if self._lifetime is None or issued is None:
            return (self._lifetime is None) != (issued is None)
        return round(now - int(issued) / 1000, 3) >= self._lifetime


@functools.lru_cache(maxsize=128)  # a scope holds what a client sent, up to 64 KiB
def _signer(key: str, scope: str) -> Signer:
    """Derive the key of one list once: that takes as long as signing."""
    derived = Signer(key, salt=scope, key_derivation="hmac", digest_method=sha256).derive_key()
    return Signer(derived, key_derivation="none", digest_method=sha256)


def index(history: History, number: int) -> int:
    """Return how many versions are older than one; mostly there is no gap in their numbers."""
    guess = number - history[0].number
    if 0 <= guess < len(history) and history[guess].number == number:
        return guess
    return bisect_left(history, number, key=lambda version: version.number)


class Listing:
    """One request's walk through a list: where its token says to go on, and the token to go on from there."""

    def __init__(self, tokens: Tokens, scope: str, token: str | None, *, now: float, page_size: int) -> None:
        self._tokens = tokens
        self._scope = scope
        self._now = now
        self.page_size = page_size
        self.position = START if token is None else tokens.open(scope, token, now)

    @property
    def page(self) -> int | None:
        """The number of the page, from 1; None for a token that did not open."""
        return self.position and self.position.page

    def cut(self, history: History, max_results: int | None) -> tuple[History, str | None]:
        """Return the page, newest version first, and the token of the next one or None.

        The position is a version and not an offset, so one that is added between two pages neither repeats nor skips
        an entry. Raises ``ValidationException`` for a token that did not open.
        """
        if self.position is None:
            raise ValidationException("Invalid nextToken.")
        below, page = self.position
        end = len(history) if below is None else index(history, below)
        start = max(0, end - (max_results or self.page_size))
        entries = history[start:end][::-1]
        if start == 0:
            return entries, None
        return entries, self.seal(Position(entries[-1].number, page + 1))

    def seal(self, position: Position) -> str:
        """Make a token that leads to a position of this list."""
        return self._tokens.seal(self._scope, position, self._now)
