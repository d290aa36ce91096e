"""Which rule fires for a request: rules at work, and their counts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from healthimaging_emulator.clock import Clock
from healthimaging_emulator.faults.fault import NO_RULE, RateEffect, Rule
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from healthimaging_emulator.healthimaging.shapes import is_text
from healthimaging_emulator.journal import Call
from healthimaging_emulator.messages import Link
from healthimaging_emulator.seeds.reader import explain
from healthimaging_emulator.settings import Limits


class RuleError(ValueError):
    """A rule that cannot be added: the mistake, and the path to it inside the rule or the list of rules."""

    def __init__(self, message: str, path: str, *, is_conflict: bool = False) -> None:
        self.message, self.path, self.is_conflict = message, path, is_conflict
        super().__init__(message, path)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def _checked(given: Rule | Mapping[str, Any], path: str) -> Rule:
    """Return a rule that keeps its types' constraints, which msgspec checks only where it converts, and all others."""
    try:
        rule = msgspec.convert(msgspec.to_builtins(given), Rule)
    except msgspec.ValidationError as error:
        mistake, inside = explain(error)
        raise RuleError(mistake, path + inside.removeprefix("$")) from None
    if len(rule.effects) > 1:
        raise RuleError(f"a rule has one effect, not {' and '.join(rule.effects)}", f"{path}.{rule.effects[1]}")
    if not rule.effects and rule.delay is None:
        raise RuleError("a rule has an effect, or a delay", path)
    if rule.seconds is not None and rule.connection != "stall":
        raise RuleError("seconds belong to a stall", f"{path}.seconds")
    if rule.error is not None and rule.error.message is not None and not is_text(rule.error.message):
        raise RuleError("a message is Unicode text", f"{path}.error.message")
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
            and is_among(call.page, match.page)
            and is_among(attempt, match.attempt)
            and (self.rule.page is None or (call.page or 0) >= FIRST_PAGE.get(self.rule.page, 1))
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
        self._level, self._filled_at = min(float(rate.burst), self._level + refill), max(self._filled_at, now)
        if self._level < 1 - 1e-9:  # 0.04 s at 25 a second are a whole token, whatever the floats say
            return True
        self._level -= 1
        return False


FIRST_PAGE = {"repeat-token": 2, "cycle": 3}
"""Where a token can be repeated, and where one can lead back: the first page has none."""


def is_among(found: int | str | None, wanted: Any) -> bool:
    """Say whether a rule matches one thing: that which it names, one of several, or any."""
    return wanted is None or found == wanted or (isinstance(wanted, list) and found in wanted)


class Firing(NamedTuple):
    """What fires for a request: rules, of which the last may have an effect, and the delay of each in seconds."""

    rules: tuple[Armed, ...] = ()
    delays: tuple[float, ...] = ()

    @property
    def ids(self) -> list[str]:
        return [str(armed.rule.id) for armed in self.rules]

    @property
    def delay(self) -> float:
        return round(sum(self.delays), 6)

    @property
    def rule(self) -> Rule:
        """The rule whose effect applies; one without any where none does."""
        return self.rules[-1].rule if self.rules else NO_RULE


class Faults:
    """One account's rules, in order. Counting is exact under threads."""

    def __init__(self, clock: Clock, rules: Sequence[Rule] = (), limits: Limits = Limits()) -> None:
        self._clock = clock
        self._limits = limits
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

    def add(self, *rules: Rule | Mapping[str, Any], once: Callable[[], None] = lambda: None) -> list[RuleStatus]:
        """Arm rules behind those that there are, all or none, and return them with their ids.

        A rule may be a mapping in the wire's spelling. ``once`` is called when the rules are found good; if it raises,
        none is armed. Raises ``RuleError``, or ``LimitExceeded`` for too many.
        """
        with self._lock:
            if rules:  # a seed may have any number
                self._limits.check("faults", len(self._armed) - len(self._initial) + len(rules))
            armed = self._arm(rules, self._armed)
            once()
            before, self._armed = len(self._armed), armed
            return [each.status for each in list(armed.values())[before:]]

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
            return Firing(tuple(fired), tuple(armed.delay() for armed in fired))

    def hold_up(self, firing: Firing, link: Link) -> None:
        """Wait as long as the rules that fired want."""
        for armed, seconds in zip(firing.rules, firing.delays, strict=True):
            self._hold(armed, seconds, link)

    def stall(self, firing: Firing, link: Link) -> None:
        """Wait as long as the last rule that fired wants its connection to stall."""
        if link.is_patient:
            self._hold(firing.rules[-1], firing.rule.stall_seconds, link)

    def _hold(self, armed: Armed, seconds: float, link: Link) -> None:
        """Wait, unless time stands still, until the rule is removed or the server stops."""
        end = threading.Event()
        with self._lock:
            if seconds <= 0 or self._clock.is_frozen or armed.is_removed:
                return
            armed.waiting.add(end)
        link.wait(end, seconds)
        with self._lock:
            armed.waiting.discard(end)

    def _arm(self, given: Sequence[Rule | Mapping[str, Any]], present: Mapping[str, Armed]) -> dict[str, Armed]:
        """Return the present rules and behind them the new ones, each under an id."""
        armed = dict(present)
        rules = [_checked(rule, f"$[{index}]") for index, rule in enumerate(given)]
        taken = {*present, *(rule.id for rule in rules)}
        for index, rule in enumerate(rules):
            id = rule.id or next(id for n in itertools.count(len(armed) + 1) if (id := f"fault-{n}") not in taken)
            if id in armed:
                raise RuleError(f"there is a rule {id} already", f"$[{index}].id", is_conflict=True)
            armed[id] = Armed(structs.replace(rule, id=id), self._clock.now())
            taken.add(id)
        return armed

    @staticmethod
    def _end(*ended: Armed) -> None:
        for armed in ended:
            armed.is_removed = True
            for event in armed.waiting:
                event.set()
