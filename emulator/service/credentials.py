"""Credentials that may sign requests, in the spelling of AWS's Security Token Service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from .shapes import matching, prepare


class Credentials(Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """An access key, and for a session its token and when that expires: as ``aws configure export-credentials`` prints.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
    """

    access_key_id: Annotated[str, matching(r"[\w-]{1,128}")]
    secret_access_key: Annotated[str, Meta(min_length=1)]
    session_token: Annotated[str, Meta(min_length=1)] | None = None
    expiration: Annotated[datetime, Meta(tz=True)] | None = None
    version: int = 1

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"  # which may be shown


prepare(list[Credentials])
