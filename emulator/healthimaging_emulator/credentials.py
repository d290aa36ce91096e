"""Credentials that may sign requests, spelled as AWS's Security Token Service spells them."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from .errors import InvalidError, invalid

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"

_ACCOUNT_ID = re.compile("[0-9]{12}").fullmatch
_ALMOST_AN_ACCOUNT_ID = re.compile("[0-9]{10,14}").fullmatch

AccessKeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,128}(?![\s\S])")]
SecretAccessKey = Annotated[str, Meta(pattern=r"^[ -~]{1,1024}(?![\s\S])")]
SessionToken = Annotated[str, Meta(pattern=r"^[!-~]{1,16384}(?![\s\S])")]


def is_account_id(text: str) -> bool:
    """Whether a text is the id of an account: 12 digits."""
    return _ACCOUNT_ID(text) is not None


def is_almost_account_id(text: str) -> bool:
    """Whether a text is probably meant as the id of an account, with a digit or two too many or too few."""
    return _ALMOST_AN_ACCOUNT_ID(text) is not None and not is_account_id(text)


def check_account_id(id: Any, *, path: str = "") -> None:
    """Raise ``InvalidError`` for anything but the id of an account."""
    if not isinstance(id, str) or not is_account_id(id):
        raise invalid("account id", id, "12 digits", path=path)


class Credentials(Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """An access key; for a session, also its token and when it expires. ``aws configure export-credentials`` prints it.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
    """

    access_key_id: AccessKeyId
    secret_access_key: SecretAccessKey
    session_token: SessionToken | None = None
    expiration: Annotated[datetime, Meta(tz=True)] | None = None
    version: int = 1

    @property
    def account(self) -> str:
        """The account of these credentials: the access key id if it has 12 digits, otherwise the default account."""
        return self.access_key_id if is_account_id(self.access_key_id) else DEFAULT_ACCOUNT

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"  # without the secret


def check_credentials(given: Collection[Credentials]) -> tuple[Credentials, ...]:
    """Check the constraints of credentials, and that no access key is given twice. Raises ``InvalidError``."""
    try:
        checked = tuple(msgspec.convert(msgspec.to_builtins(list(given)), list[Credentials]))
    except msgspec.ValidationError as error:
        raise InvalidError(f"invalid credentials: {error}") from None
    if len({each.access_key_id for each in checked}) < len(checked):
        raise InvalidError("invalid credentials: an access key is given twice")
    return checked


def pick_credentials(credentials: Collection[Credentials], id: str | None) -> Credentials | None:
    """Return the credentials of an access key or an account; without an id, the first."""
    exact = (each for each in credentials if id in (None, each.access_key_id))
    return next(exact, next((each for each in credentials if id == each.account), None))


msgspec.json.Decoder(list[Credentials])  # two threads that prepare a type at the same time crash Python (msgspec 0.22)
