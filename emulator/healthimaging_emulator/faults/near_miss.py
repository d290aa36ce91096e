"""Why a fault rule never fired: the request that came nearest to it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from healthimaging_emulator.faults.engine import FIRST_PAGE, RuleStatus, is_among
from healthimaging_emulator.faults.fault import Match
from healthimaging_emulator.journal import Attempt, Call


def nearest_miss(rule: RuleStatus, calls: Iterable[Call]) -> str:
    """Say what kept a rule that never fired from firing."""
    if rule.matched:
        return f"it matched {_count(rule.matched, 'request')}, but {_what_held_back(rule)}"
    seen = [(call, attempt) for call in calls for attempt in call.attempts]
    if not seen:
        return "no request came"
    call, attempt = min(reversed(seen), key=lambda each: len(_mismatches(rule, *each)))
    mismatches = _mismatches(rule, call, attempt)
    request = f"attempt {attempt.number} of {str(call).splitlines()[0]}"
    if not mismatches:
        others = f"rule {', '.join(attempt.faults)} came before it" if attempt.faults else "it came before the rule"
        return f"the nearest miss was {request}: {others}"
    return f"the nearest miss was {request}: {' and '.join(mismatches)}"


def _what_held_back(rule: RuleStatus) -> str:
    if rule.matched <= rule.skip:
        return f"it skips {rule.skip}"
    reasons = {
        "its bucket was not empty": rule.rate is not None,
        "it had expired": rule.expires_after is not None,
        "its dice were against it": rule.probability < 1,
    }
    return " or ".join(reason for reason, may_be in reasons.items() if may_be)


def _mismatches(rule: RuleStatus, call: Call, attempt: Attempt) -> list[str]:
    wanted = structs.asdict(rule.match)
    found = {"attempt": attempt.number} | {name: getattr(call, name) for name in wanted if name != "attempt"}
    names = {field.name: field.encode_name for field in structs.fields(Match)}
    mismatches = [
        f"its {names[name]} is {found[name]}, not {' or '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in wanted.items()
        if not is_among(found[name], value)
    ]
    if call.operation is None:
        return ["it is no operation"]
    first = FIRST_PAGE.get(rule.page or "", 1)
    if rule.page and (call.page or 0) < first and rule.match.page is None:
        mismatches.append(f"its page is {call.page}, and {rule.page} is for page {first} and later")
    return mismatches


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
