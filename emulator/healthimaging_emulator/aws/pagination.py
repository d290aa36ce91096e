"""Pages of a list, and the sealed tokens that lead from one page to the next."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import NamedTuple, TypeVar

from itsdangerous import Signer

from .errors import ValidationException

T = TypeVar("T")


class Position(NamedTuple):
    """The place where a page begins: behind the entry with a ``key``, or at the start of the list if it is empty.

    ``page`` counts from 1. ``previous`` is the key of the page before. Keys are letters, digits, ``-`` and ``~``.
    """

    key: str = ""
    page: int = 1
    previous: str = ""


_TOKEN = re.compile(
    r"(v1\.(?P<key>[A-Za-z0-9~-]{1,400})\.(?P<previous>[A-Za-z0-9~-]{0,400})\.(?P<page>[0-9]{1,9})"
    r"(?:\.(?P<issued>[0-9]{1,15}))?)\.[\w~-]{43}",
    re.ASCII,
)


class Tokens:
    """Seals positions into tokens and opens them again. Signed, not encrypted: there is nothing to hide.

    A token is a pure function of key, scope and position, so runs are reproducible and replicas interchangeable. With a
    ``lifetime`` in seconds it also carries the time at which it was issued.
    """

    def __init__(self, key: str, lifetime: float | None = None) -> None:
        self._key = key
        self._lifetime = lifetime

    def seal(self, scope: str, position: Position, now: float) -> str:
        """Make the token for a position of one list; ``now`` is in seconds."""
        issued = "" if self._lifetime is None else f".{round(now * 1000)}"
        return self._sign(scope, f"v1.{position.key}.{position.previous}.{position.page}{issued}")

    def open(self, scope: str, token: str, now: float) -> Position | None:
        """Return the position, or None for a token that was not issued here for this scope, or has expired."""
        parts = _TOKEN.fullmatch(token)
        # Signing again and comparing whole accepts one spelling only; base64 would let a changed last letter pass.
        if parts is None or self._sign(scope, parts[1]) != token or self._has_expired(parts["issued"], now):
            return None
        return Position(parts["key"], int(parts["page"]), parts["previous"])

    def _sign(self, scope: str, value: str) -> str:
        signature = _signer(self._key, scope).get_signature(value)
        # botocore splits a StartingToken at "___", and tries to read it as base64 of JSON first: the leading "v" makes
        # the first byte one that UTF-8 cannot begin with, so that never succeeds.
        return f"{value}.{signature.decode().replace('_', '~')}"

    def _has_expired(self, issued: str | None, now: float) -> bool:
        if self._lifetime is None or issued is None:
            return (self._lifetime is None) != (issued is None)
        return round(now - int(issued) / 1000, 3) >= self._lifetime


@functools.lru_cache(maxsize=128)  # a scope holds text that a client sent, up to 64 KiB
def _signer(key: str, scope: str) -> Signer:
    """Return the signer of one list. It is cached: deriving its key takes as long as signing."""
    derived = Signer(key, salt=scope, key_derivation="hmac", digest_method=sha256).derive_key()
    return Signer(derived, key_derivation="none", digest_method=sha256)


Rank = tuple[float, str]
"""The place of an entry in a list that is ordered by a number, and by the id where numbers are equal."""


def write_rank(rank: Rank) -> str:
    """Return a key of a page for a place."""
    return f"{rank[0]}~{rank[1]}"


def read_rank(key: str) -> Rank | None:
    """Return the place of a key; None for the start of the list."""
    number, _, id = key.partition("~")
    return (float(number) if number == "inf" else int(number), id) if key else None


class Listing:
    """One request's walk through a list: where its page begins, and the token that leads on."""

    def __init__(self, tokens: Tokens, scope: str, token: str | None, *, now: float, page_size: int) -> None:
        self._tokens = tokens
        self._scope = scope
        self._now = now
        self.page_size = page_size
        self.position = Position() if token is None else tokens.open(scope, token, now)

    @property
    def page(self) -> int | None:
        """The number of the page, from 1; None for a token that did not open."""
        return self.position and self.position.page

    def start_key(self) -> str:
        """Return the key behind which the page begins. Raises ``ValidationException`` for a token that did not open."""
        if self.position is None:
            raise ValidationException("Invalid nextToken.")
        return self.position.key

    def page_of(self, entries: Iterable[T], rank: Callable[[T], Rank], size: int | None) -> tuple[list[T], str | None]:
        """Return one page of entries in the order of their ranks, and the token that leads on.

        Raises ``ValidationException`` for a token that did not open.
        """
        start, size = read_rank(self.start_key()), size or self.page_size
        ranked = sorted((rank(entry), entry) for entry in entries)
        found = [(place, entry) for place, entry in ranked if start is None or place > start]
        token = self.next_token(write_rank(found[size - 1][0])) if len(found) > size else None
        return [entry for _, entry in found[:size]], token

    def next_token(self, key: str) -> str:
        """Make the token of the page that begins behind a key."""
        before = self.position or Position()
        return self._seal(Position(key, before.page + 1, before.key))

    def token_of_page_before(self) -> str:
        """Make the token that led to the page before this one. There is one from page 3 on."""
        here = self.position or Position()
        return self._seal(Position(here.previous, here.page - 1))

    def token_of_page(self, page: int) -> str:
        """Make a token for a page of a stub: its entries have no keys."""
        return self._seal(Position(str(page), page, str(page - 1)))

    def _seal(self, position: Position) -> str:
        return self._tokens.seal(self._scope, position, self._now)
