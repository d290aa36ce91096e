"""Fault rules: what a test wants to go wrong, and which rule fires for this request."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct, structs

from ..service.errors import ServiceError
from ..service.operations import OPERATIONS
from ..service.shapes import DatastoreId, ImageSetId
from .calls import Call
from .clock import Clock

PageEffect = Literal["repeat-token", "cycle", "empty-page", "drop-token", "duplicate-item", "skip-item", "stale-token"]
BodyEffect = Literal[
    "truncate", "empty", "not-json", "html", "missing-member", "unknown-enum", "unknown-member", "iso-timestamps"
]
ConnectionEffect = Literal["reset", "close", "cut", "stall"]

Seconds = Annotated[float, Meta(ge=0, le=86400)]
Count = Annotated[int, Meta(ge=1)]


class _Part(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Match(_Part, frozen=True, kw_only=True):
    """Which requests a rule looks at; what is left out matches all."""

    operation: str | None = None
    datastore_id: DatastoreId | None = None
    image_set_id: ImageSetId | None = None
    page: Count | list[Count] | None = None
    attempt: Count | list[Count] | None = None


class Delay(_Part, frozen=True):
    """A pause before the answer: ``seconds``, and up to ``jitter`` seconds more or less."""

    seconds: Seconds
    jitter: Seconds = 0.0


class ErrorEffect(_Part, frozen=True, kw_only=True):
    """An error instead of an answer. ``status`` is needed for a code that the operation does not model.

    ``retry_after`` in seconds is sent as ``Retry-After``, and as ``x-amz-retry-after`` in milliseconds.
    """

    code: Annotated[str, Meta(pattern=r"^[!-~]{1,256}(?![\s\S])")]
    message: str | None = None
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

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}(?![\s\S])")] | None = None
    match: Match = Match()
    skip: Annotated[int, Meta(ge=0)] = 0
    every: Count = 1
    times: Count | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    expires_after: Annotated[float, Meta(gt=0)] | None = None
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


class RuleError(ValueError):
    """A rule that cannot be added: the mistake, and the path to it inside the rule or the list of rules."""

    def __init__(self, message: str, path: str, *, is_conflict: bool = False) -> None:
        self.message, self.path, self.is_conflict = message, path, is_conflict
        super().__init__(f"{path}: {message}")


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


def _checked(rule: Rule, path: str) -> Rule:
    """Return a rule that keeps its types' constraints, which msgspec checks only where it converts, and all others."""
    try:
        rule = msgspec.convert(msgspec.to_builtins(rule), Rule)
    except msgspec.ValidationError as error:
        message, _, inside = str(error).rpartition(" - at ")
        raise RuleError(message, path + inside.strip("`")[1:]) from None
    if len(rule.effects) > 1:
        raise RuleError(f"a rule has one effect, not {' and '.join(rule.effects)}", f"{path}.{rule.effects[1]}")
    if not rule.effects and rule.delay is None:
        raise RuleError("a rule has an effect, or a delay", path)
    if rule.seconds is not None and rule.connection != "stall":
        raise RuleError("seconds belong to a stall", f"{path}.seconds")
    operations = [each for each in OPERATIONS if rule.match.operation in (None, each.name)]
    if not operations:
        raise RuleError(f"no operation is called {rule.match.operation}", f"{path}.match.operation")
    if rule.error is not None and rule.error.status is None:
        modelled = {error.__name__ for operation in operations for error in operation.errors}
        if rule.error.code not in modelled:
            raise RuleError(f"{rule.error.code} is not one of the operation's, so it needs a status", f"{path}.error")
    return rule


class RuleStatus(Rule, frozen=True, kw_only=True):
    """A rule that is armed: how many requests it matched, and how often it fired."""

    matched: int
    fired: int


class Armed:
    """A rule at work. Its counters belong to the lock of ``Faults``."""

    def __init__(self, rule: Rule, now: float) -> None:
        self.rule = rule
        self.matched = self.fired = 0
        self.random = Random(rule.seed).random
        self.is_removed = False
        self.waiting: set[threading.Event] = set()
        self._added_at = self._filled_at = now
        self._level = float(rule.rate.burst) if rule.rate else 0.0

    @property
    def status(self) -> RuleStatus:
        return RuleStatus(**structs.asdict(self.rule), matched=self.matched, fired=self.fired)

    def matches(self, call: Call, attempt: int) -> bool:
        match = self.rule.match
        return (
            (match.operation is None or match.operation == call.operation)
            and (match.datastore_id is None or match.datastore_id == call.datastore_id)
            and (match.image_set_id is None or match.image_set_id == call.image_set_id)
            and _is_among(call.page, match.page)
            and _is_among(attempt, match.attempt)
            and (self.rule.page is None or (call.page or 0) >= _FIRST_PAGE.get(self.rule.page, 1))
        )

    def fires(self, now: float) -> bool:
        """Count a match, and say whether the rule fires for it."""
        rule = self.rule
        self.matched += 1
        turn = self.matched - rule.skip - 1
        fires = (
            turn >= 0
            and turn % rule.every == 0
            and (rule.times is None or self.fired < rule.times)
            and (rule.expires_after is None or round(now - self._added_at, 3) < rule.expires_after)
            and (rule.probability == 1 or self.random() < rule.probability)
            and (rule.rate is None or self._is_empty(rule.rate, now))
        )
        self.fired += fires
        return fires

    def delay(self) -> float:
        """Throw the dice for the pause before this answer, in seconds."""
        delay = self.rule.delay
        if delay is None:
            return 0.0
        jitter = delay.jitter * (2 * self.random() - 1) if delay.jitter else 0.0
        return max(0.0, round(delay.seconds + jitter, 6))

    def _is_empty(self, rate: RateEffect, now: float) -> bool:
        refill = max(0.0, round(now - self._filled_at, 3)) * rate.per_second
        self._level, self._filled_at = min(float(rate.burst), self._level + refill), now
        if self._level < 1 - 1e-9:  # 0.04 s at 25 a second are a whole token, whatever the floats say
            return True
        self._level -= 1
        return False


_FIRST_PAGE = {"repeat-token": 2, "cycle": 3}
"""Where a token can be repeated, and where one can lead back: the first page has none."""


def _is_among(number: int | None, wanted: int | list[int] | None) -> bool:
    return wanted is None or number == wanted or (isinstance(wanted, list) and number in wanted)


class Firing(NamedTuple):
    """What fires for a request: its delay in seconds, and the rules, of which the last may have an effect."""

    rules: tuple[Armed, ...] = ()
    delay: float = 0.0

    @property
    def ids(self) -> list[str]:
        return [str(armed.rule.id) for armed in self.rules]

    @property
    def rule(self) -> Rule:
        """The rule whose effect applies; one without any where none does."""
        return self.rules[-1].rule if self.rules else NO_RULE


class Faults:
    """One account's rules, in order. Counting is exact under threads."""

    def __init__(self, clock: Clock, rules: Sequence[Rule] = ()) -> None:
        self._clock = clock
        self._initial = tuple(rules)
        self._lock = threading.Lock()
        self._armed = self._arm(rules, {})

    def reset(self, rules: Sequence[Rule] | None = None) -> None:
        """Drop all rules, and arm those of the seed again, or those of another seed from now on."""
        with self._lock:
            self._initial = self._initial if rules is None else tuple(rules)
            self._end(*self._armed.values())
            self._armed = self._arm(self._initial, {})

    def rules(self) -> list[Rule]:
        """Return the rules without their counts."""
        with self._lock:
            return [armed.rule for armed in self._armed.values()]

    def add(self, *rules: Rule) -> list[str]:
        """Arm rules behind those that there are, all or none; return their ids. Raises ``RuleError``."""
        with self._lock:
            before = len(self._armed)
            self._armed = self._arm(rules, self._armed)
            return list(self._armed)[before:]

    def remove(self, id: str) -> None:
        """Disarm a rule, and end the stalls and delays that it causes. Raises ``KeyError``."""
        with self._lock:
            self._end(self._armed[id])
            del self._armed[id]

    def clear(self) -> None:
        """Disarm all rules."""
        with self._lock:
            self._end(*self._armed.values())
            self._armed = {}

    def __iter__(self) -> Iterator[RuleStatus]:
        with self._lock:
            return iter([armed.status for armed in self._armed.values()])

    def __len__(self) -> int:
        return len(self._armed)

    def __getitem__(self, id: str) -> RuleStatus:
        with self._lock:
            return self._armed[id].status

    def fire(self, call: Call, attempt: int) -> Firing:
        """Find what fires: any number of bare delays, and the first rule with an effect, which ends the search."""
        if not self._armed:
            return Firing()
        fired: list[Armed] = []
        with self._lock:
            now = self._clock.now()
            for armed in self._armed.values():
                if armed.matches(call, attempt) and armed.fires(now):
                    fired.append(armed)
                    if armed.rule.effects:
                        break
            return Firing(tuple(fired), round(sum(armed.delay() for armed in fired), 6))

    def hold(self, firing: Firing, seconds: float, wake: threading.Event) -> None:
        """Wait, unless time stands still; ``wake``, or the removal of a rule that fired, ends it."""
        with self._lock:
            if seconds <= 0 or self._clock.is_frozen or any(armed.is_removed for armed in firing.rules):
                return
            for armed in firing.rules:
                armed.waiting.add(wake)
        wake.wait(seconds)
        with self._lock:
            for armed in firing.rules:
                armed.waiting.discard(wake)

    def _arm(self, rules: Sequence[Rule], present: Mapping[str, Armed]) -> dict[str, Armed]:
        """Return the present rules and behind them the new ones, each under an id."""
        armed = dict(present)
        for index, rule in enumerate(rules):
            checked = _checked(rule, path := f"$[{index}]")
            free = next(id for number in itertools.count(len(armed) + 1) if (id := f"fault-{number}") not in armed)
            id = checked.id or free
            if id in armed:
                raise RuleError(f"there is a rule {id} already", f"{path}.id", is_conflict=True)
            armed[id] = Armed(structs.replace(checked, id=id), self._clock.now())
        return armed

    @staticmethod
    def _end(*ended: Armed) -> None:
        for armed in ended:
            armed.is_removed = True
            for event in armed.waiting:
                event.set()


class NoAnswer(ServiceError):
    """Ends a request whose connection breaks before there is an answer. Never sent."""


class Link:
    """What the application and the server that called it tell each other of one request's connection.

    The application decides on a connection effect, and only the server can carry it out: it waits for ``hold``, then
    breaks the connection. ``wake`` ends whatever holds the request up.
    """

    def __init__(self, *, is_served: bool = True) -> None:
        self._is_served = is_served
        self.wake = threading.Event()
        self.effect: ConnectionEffect | None = None
        self.hold: Callable[[], None]

    def break_off(self, effect: ConnectionEffect, hold: Callable[[], None]) -> None:
        """Hand an effect to the server. Raises ``NoAnswer``, unless half of the answer is wanted."""
        if not self._is_served:
            raise RuntimeError("only the emulator's own server, or its client in process, can break a connection")
        self.effect, self.hold = effect, hold
        if effect != "cut":
            raise NoAnswer
