"""Fault rules: what a test wants to go wrong, and when. One language for seeds, files, Python and HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from healthimaging_emulator.healthimaging.shapes import DatastoreId, ImageSetId, matching, prepare

PageEffect = Literal["repeat-token", "cycle", "empty-page", "drop-token", "duplicate-item", "skip-item", "stale-token"]
BodyEffect = Literal[
    "truncate", "empty", "not-json", "html", "missing-member", "unknown-enum", "unknown-member", "iso-timestamps"
]
ConnectionEffect = Literal["reset", "close", "cut", "stall"]

Seconds = Annotated[float, Meta(ge=0, le=86400)]
Count = Annotated[int, Meta(ge=1)]
Several = Annotated[list[Count], Meta(max_length=1000)]


class _Part(
    Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True, repr_omit_defaults=True
):
    pass


class Match(_Part, frozen=True, kw_only=True):
    """Which requests a rule looks at; what is left out matches all."""

    operation: str | None = None
    datastore_id: DatastoreId | None = None
    image_set_id: ImageSetId | None = None
    page: Count | Several | None = None
    attempt: Count | Several | None = None


class Delay(_Part, frozen=True):
    """A pause before the answer: ``seconds``, and up to ``jitter`` seconds more or less."""

    seconds: Seconds
    jitter: Seconds = 0.0


class ErrorEffect(_Part, frozen=True, kw_only=True):
    """An error instead of an answer. ``status`` is needed for a code that the operation does not model.

    ``retry_after`` in seconds is sent as ``Retry-After``, and as ``x-amz-retry-after`` in milliseconds.
    """

    code: Annotated[str, matching("[!-~]{1,256}")]
    message: Annotated[str, Meta(max_length=8192)] | None = None
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    retry_after: Seconds | None = None


class RateEffect(_Part, frozen=True, kw_only=True):
    """A token bucket by the account's clock; ThrottlingException while it is empty."""

    per_second: Annotated[float, Meta(gt=0, le=1e6)]
    burst: Count


class Rule(_Part, frozen=True, kw_only=True):
    """One fault rule: when it fires, and its one effect. ``delay`` may stand alone or with any.

    With n the number of the match, from 1, it may fire when n > ``skip`` and n - ``skip`` - 1 is a multiple of
    ``every``: at most ``times``, for ``expires_after`` seconds of the account's clock, and with a ``probability`` whose
    dice ``seed`` makes repeatable. ``seconds`` is how long a stall lasts.
    """

    id: Annotated[str, matching("[A-Za-z0-9._-]{1,128}")] | None = None
    match: Match = Match()
    skip: Annotated[int, Meta(ge=0)] = 0
    every: Count = 1
    times: Count | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    expires_after: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    delay: Delay | None = None
    error: ErrorEffect | None = None
    rate: RateEffect | None = None
    page: PageEffect | None = None
    body: BodyEffect | None = None
    connection: ConnectionEffect | None = None
    seconds: Seconds | None = None

    @property
    def stall_seconds(self) -> float:
        """How long a stall lasts: a minute, as long as boto3 waits for an answer, if the rule does not say."""
        return 60.0 if self.seconds is None else self.seconds

    @property
    def effects(self) -> list[str]:
        """The names of the effects that the rule has, apart from its delay."""
        return [name for name in ("error", "rate", "page", "body", "connection") if getattr(self, name) is not None]


NO_RULE = Rule()

prepare(Rule)


class Fault:
    """Makes rules. Further keywords are those of ``Rule`` and ``Match``: ``Fault.body("empty", page=2, times=1)``."""

    @staticmethod
    def error(
        code: str,
        message: str | None = None,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        **when: Any,
    ) -> Rule:
        """Answer with an error; see ``ErrorEffect``."""
        return _rule(when, error=ErrorEffect(code=code, message=message, status=status, retry_after=retry_after))

    @staticmethod
    def rate(per_second: float, burst: int, **when: Any) -> Rule:
        """Throttle what exceeds a rate; see ``RateEffect``."""
        return _rule(when, rate=RateEffect(per_second=per_second, burst=burst))

    @staticmethod
    def page(effect: PageEffect, **when: Any) -> Rule:
        """Change the entries or the token of a page; see ``effects.bend_page``."""
        return _rule(when, page_effect=effect)

    @staticmethod
    def body(effect: BodyEffect, **when: Any) -> Rule:
        """Spoil the body of a page; see ``effects.bend_body``."""
        return _rule(when, body=effect)

    @staticmethod
    def connection(effect: ConnectionEffect, *, seconds: float | None = None, **when: Any) -> Rule:
        """Break the connection; ``seconds`` is how long a stall lasts."""
        return _rule(when, connection=effect, seconds=seconds)

    @staticmethod
    def delay(seconds: float, jitter: float = 0.0, **when: Any) -> Rule:
        """Answer late, and go on to the next rule."""
        return _rule(when, delay=Delay(seconds, jitter))


def _rule(when: dict[str, Any], **effect: Any) -> Rule:
    match = Match(**{name: value for name, value in when.items() if name in Match.__struct_fields__})
    rest = {name: value for name, value in when.items() if name not in Match.__struct_fields__}
    if "page_effect" in effect:  # ``page`` alone is the page that is matched
        effect["page"] = effect.pop("page_effect")
    return Rule(match=match, **rest, **effect)
