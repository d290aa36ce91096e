"""Every setting of an emulator, declared once.

The declaration is the source of the argument of ``Emulator``, its check, the option of ``serve`` and ``exec``, the
environment variable, the help and the table in ``docs/settings.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from urllib.parse import urlsplit

from .credentials import Credentials
from .errors import InvalidError, LimitExceededError, invalid

PREFIX = "HEALTHIMAGING_EMULATOR_"
"""Prefix of the environment variables that set an option."""

DEFAULT_PORT = 4580


class Setting(NamedTuple):
    """The metadata of a setting: its help, the values that are valid, and how text is read."""

    help: str
    expected: str
    is_valid: Callable[[Any], bool]
    read: Callable[[str], Any] = str
    is_list: bool = False
    is_secret: bool = False

    def read_all(self, text: str) -> Any:
        """Return the value that a text stands for: of a list, commas or spaces separate the entries.

        Raises ``ValueError``.
        """
        if self.is_list:
            return split_list(text)
        return None if text.lower() == "none" and self.is_valid(None) else self.read(text)

    def show(self, value: Any) -> str:
        """Return a value for a message, or nothing if it is a secret."""
        return "" if self.is_secret else f" {value!r}"


def split_list(text: str) -> list[str]:
    """Return the entries of a text, which commas or spaces separate."""
    return [each for each in re.split(r"[,\s]+", text) if each]


def is_text(value: str) -> bool:
    """Whether a string is Unicode text that can be sent; half of a surrogate pair cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and value != "" and is_text(value) and value.isprintable()


def _is_number(value: Any, *types: type) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _declare(default: Any, help: str, expected: str, is_valid: Callable[[Any], bool], **more: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(help, expected, is_valid, **more)})


def _limit(default: int, help: str) -> Any:
    return _declare(default, help, "a whole number from 1", lambda v: _is_number(v, int) and v >= 1, read=int)


def _optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == "none" else read(text)


def _matching(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_host(value: Any) -> bool:
    if _matching(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")(value):
        with suppress(ValueError):
            return bool(ip_address(value))
    return _matching(r"[A-Za-z0-9._-]+")(value)


def _is_url(value: Any) -> bool:
    if not _matching(r"https?://[!-~]+")(value):
        return False
    with suppress(ValueError):
        url = urlsplit(value)
        return bool(url.hostname) and url.port != 0 and url.username is None and not url.fragment
    return False


QUOTAS = {
    "datastores": 10,
    "import-jobs": 100,
    "import-files": 5_000,
    "copies": 100,
    "copy-frames": 1_000,
    "updates": 100,
    "update-bytes": 10 * 1024,
    "deletions": 100,
    "metadata-bytes": 50 * 1024 * 1024,
}
"""The quotas of an AWS account (https://docs.aws.amazon.com/healthimaging/latest/devguide/endpoints-quotas.html).

Import jobs count for an account, and copies, updates and deletions for a data store, all while they are under way.
"""


def _read_quota(text: str) -> dict[str, int]:
    """Return the quotas that ``aws`` or, for example, ``copies=2`` stands for. Raises ``ValueError``."""
    if text.lower() == "aws":
        return QUOTAS
    name, _, number = text.partition("=")
    if name not in QUOTAS or not re.fullmatch("[0-9]{1,12}", number):
        raise ValueError(text)
    return {name: int(number)}


def _is_quota(value: Any) -> bool:
    with suppress(ValueError):
        return isinstance(value, str) and bool(_read_quota(value))
    return False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one emulator. Raises ``InvalidError`` for a value out of range."""

    page_size: int = _declare(
        50,
        "Entries on a page if a request has no maxResults.",
        "a whole number from 1 to 50",
        lambda v: _is_number(v, int) and 1 <= v <= 50,
        read=int,
    )
    token_key: str = _declare(
        "healthimaging-emulator",
        "Key that signs page tokens; use the same one in all replicas.",
        "text without control characters",
        _is_secret,
        is_secret=True,
    )
    token_lifetime: float | None = _declare(
        None,
        "Seconds until a page token expires.  [default: never]",
        "a number of seconds above 0",
        lambda v: v is None or (_is_number(v, int, float) and v > 0),
        read=float,
    )
    omit_unset: bool = _declare(
        False,
        "Leave unset members out of JSON answers, instead of writing null.",
        "true or false",
        lambda v: isinstance(v, bool),
        read=bool,
    )
    transition_reads: int | None = _declare(
        1,
        "Requests that see LOCKED before a write completes; none: no limit.",
        "a whole number from 0, or none",
        lambda v: v is None or (_is_number(v, int) and v >= 0),
        read=_optional(int),
    )
    transition_seconds: float | None = _declare(
        1.0,
        "Seconds before a write completes; none: no limit.",
        "a number of seconds from 0, or none",
        lambda v: v is None or (_is_number(v, int, float) and 0 <= v <= 1e9),
        read=_optional(float),
    )
    s3: str | Path | object | None = _declare(  # noqa: RUF009  # as all others, which have simpler types
        None,
        "Folder that holds a folder for each bucket, or URL of an S3, for imports.  [default: ./s3]",
        "a folder, the URL of an endpoint, or a boto3 client for S3",
        lambda v: (
            v is None or (isinstance(v, (str, Path)) and v != "") or hasattr(v, "get_object") or hasattr(v, "list_keys")
        ),
    )
    events_webhook: str | None = _declare(
        None,
        "URL to which each event is posted as JSON, as EventBridge delivers it.",
        "a URL such as http://localhost:8000/events",
        lambda v: v is None or _is_url(v),
    )
    quotas: Collection[str] = _declare(
        (),
        "Quota to enforce: aws for all that AWS has, or one such as copies=2; repeatable.",
        f"aws, or a number for one of {', '.join(QUOTAS)}, such as copies=2",
        _is_quota,
        is_list=True,
    )
    tombstones: bool = _declare(
        False,
        "Refuse to import an instance again after its image set was deleted.",
        "true or false",
        lambda v: isinstance(v, bool),
        read=bool,
    )
    control_token: str | None = _declare(
        None,
        "Secret that callers of the control API must send.",
        "text without control characters",
        lambda v: v is None or _is_secret(v),
        is_secret=True,
    )
    control_hosts: Collection[str] = _declare(
        (),
        "Host that the control API serves besides loopback; repeatable.",
        "the name or the address of a host, without a port",
        _is_host,
        is_list=True,
    )
    cors_origins: Collection[str] = _declare(
        (),
        "Origin whose pages a browser lets read the answers, or *; repeatable.",
        "an origin such as http://localhost:3000",
        _matching(r"\*|(?i:https?)://[^/?#@\s*,]+"),
        is_list=True,
    )
    region: str | None = _declare(
        None,
        "The only region that requests may be signed for.  [default: any]",
        "a region such as us-east-1",
        lambda v: v is None or _matching("[a-z0-9-]{1,32}")(v),
    )
    max_accounts: int = _limit(1_000, "Accounts at a time.")
    max_calls: int = _limit(1_000, "Calls that the journal of an account keeps; older ones are dropped.")
    max_faults: int = _limit(1_000, "Faults that an account may add.")
    max_versions: int = _limit(250_000, "Versions, data stores and import jobs that an account may add.")
    max_metadata: int = _limit(256 * 1024 * 1024, "Bytes of compressed metadata and frames that an account may add.")
    max_pending: int = _limit(1_000, "Scheduled changes of an account.")
    max_body: int = _limit(1024 * 1024, "Bytes in the body of a request to the service.")
    max_control_body: int = _limit(64 * 1024 * 1024, "Bytes in the body of a request to the control API.")
    max_head: int = _limit(64 * 1024, "Bytes in the request line and headers.")
    max_connections: int = _limit(2_000, "Connections at a time.")
    credentials: Collection[Credentials] = ()
    """Access keys that may sign requests. If there are any, every request must be signed with one of them."""

    def __post_init__(self) -> None:
        for name, setting in DECLARED.items():
            value = getattr(self, name)
            if setting.is_list and (isinstance(value, str) or not isinstance(value, Collection)):
                raise invalid(name, value, "a list")
            for each in value if setting.is_list else [value]:
                if not setting.is_valid(each):
                    raise InvalidError(f"invalid {name}{setting.show(each)}: expected {setting.expected}")
        if self.region is not None and not self.credentials:
            raise InvalidError("region needs credentials: it is compared with the region that a request is signed for")

    @cached_property
    def _quotas(self) -> dict[str, int]:
        given = sorted(self.quotas, key=lambda each: each.lower() != "aws")  # a number of one's own wins
        return {name: number for each in given for name, number in _read_quota(each).items()}

    def quota(self, name: str) -> int | None:
        """Return a quota of ``QUOTAS``, or None if it is not enforced."""
        return self._quotas.get(name)

    def check_limit(self, name: str, wanted: int) -> None:
        """Raise ``LimitExceededError`` if ``wanted`` is more than the limit ``max_<name>``."""
        limit: int = getattr(self, f"max_{name}")
        if wanted > limit:
            raise LimitExceededError(f"limit exceeded: {wanted:,} {name}, but max_{name} is {limit:,}")


DECLARED: dict[str, Setting] = {
    each.name: each.metadata["setting"] for each in fields(Settings) if "setting" in each.metadata
}


class SettingsOptions(TypedDict, total=False):
    """The fields of ``Settings`` as keyword arguments, for editors and type checkers."""

    page_size: int
    token_key: str
    token_lifetime: float | None
    omit_unset: bool
    transition_reads: int | None
    transition_seconds: float | None
    s3: str | Path | object | None
    events_webhook: str | None
    quotas: Collection[str]
    tombstones: bool
    control_token: str | None
    control_hosts: Collection[str]
    cors_origins: Collection[str]
    region: str | None
    max_accounts: int
    max_calls: int
    max_faults: int
    max_versions: int
    max_metadata: int
    max_pending: int
    max_body: int
    max_control_body: int
    max_head: int
    max_connections: int
    credentials: Collection[Credentials]
