"""The Authorization header of SigV4, parsed once: the caller, and the parameters of the signature."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from ..credentials import DEFAULT_ACCOUNT, DEFAULT_REGION, is_account_id, is_almost_account_id

ALGORITHM = "AWS4-HMAC-SHA256"
_REGION = re.compile("[a-z0-9-]{1,32}").fullmatch

PARAMETERS = ("Credential", "Signature", "SignedHeaders")


class Caller(NamedTuple):
    """The account and the region of a request."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION


@functools.lru_cache(maxsize=16)  # every request of a client repeats it; a text has up to 64 KB
def _caller_of(credential: str) -> Caller:
    key, *scope = credential.split("/")
    account = key if scope and is_account_id(key) else DEFAULT_ACCOUNT
    is_region = len(scope) > 1 and _REGION(scope[1])
    return Caller(account, scope[1] if is_region else DEFAULT_REGION)


class Authorization(NamedTuple):
    """A parsed header. ``mistake`` is the first part that is wrong."""

    text: str
    algorithm: str
    parameters: dict[str, str]
    mistake: str | None = None

    @property
    def caller(self) -> Caller:
        """The caller: an access key id of 12 digits is the account; any other, or none, is the default account."""
        return _caller_of(self.parameters.get("Credential", ""))

    @property
    def doubtful_key(self) -> str | None:
        """The access key id, if it is almost the id of an account."""
        key = self.parameters.get("Credential", "").partition("/")[0]
        return key if is_almost_account_id(key) else None


def parse_authorization(text: str) -> Authorization:
    """Parse the header up to the first part that cannot be read. Of a repeated parameter, the first value counts.

    The balancers of ``examples/scale`` find the account by a regular expression that must agree with this.
    """
    algorithm, _, rest = text.partition(" ")
    parameters: dict[str, str] = {}
    mistake = None
    for part in rest.split(",") if rest else []:
        stripped = part.strip(" \t")
        name, equals, value = stripped.partition("=")
        is_readable = equals and name in PARAMETERS and "=" not in value
        if mistake is None and (not is_readable or name in parameters):
            mistake = stripped
        if not is_readable:
            break
        parameters.setdefault(name, value)
    return Authorization(text, algorithm, parameters, mistake)
