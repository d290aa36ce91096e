"""Credentials that may sign requests, in the spelling of AWS's Security Token Service."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from healthimaging_emulator.healthimaging.shapes import matching, prepare


class Credentials(Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """An access key, and for a session its token and when that expires: as ``aws configure export-credentials`` prints.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
    """

    access_key_id: Annotated[str, matching(r"[\w-]{1,128}")]
    secret_access_key: Annotated[str, matching("[ -~]{1,1024}")]
    session_token: Annotated[str, matching("[!-~]{1,16384}")] | None = None
    expiration: Annotated[datetime, Meta(tz=True)] | None = None
    version: int = 1

    @property
    def account(self) -> str:
        """Who signs with them: an access key id of 12 digits is that account, any other that of zeros."""
        return self.access_key_id if re.fullmatch("[0-9]{12}", self.access_key_id) else "0" * 12

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"  # which may be shown


def checked(given: Collection[Credentials]) -> tuple[Credentials, ...]:
    """Return credentials that keep their constraints, of each access key one. Raises ``ValueError``."""
    try:
        made = tuple(msgspec.convert(msgspec.to_builtins(list(given)), list[Credentials]))
    except msgspec.ValidationError as error:
        raise ValueError(f"credentials: {error}") from None
    if len({each.access_key_id for each in made}) < len(made):
        raise ValueError("each access key has one secret")
    return made


def choose(credentials: Collection[Credentials], id: str | None) -> Credentials | None:
    """Return those of an access key or of an account; where none is asked for, the first."""
    exact = (each for each in credentials if id in (None, each.access_key_id))
    return next(exact, next((each for each in credentials if id == each.account), None))


prepare(list[Credentials])
