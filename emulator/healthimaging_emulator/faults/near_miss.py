"""Explain why a fault never fired: the request that came nearest to it."""

from __future__ import annotations

from collections.abc import Iterable

from ..healthimaging.operations import OPERATIONS_BY_NAME
from ..journal import Attempt, Call
from .engine import FaultStatus, is_among

NO_REQUEST = "no request came"


def explain_miss(fault: FaultStatus, calls: Iterable[Call]) -> str:
    """Return the reason why a fault that never fired did not fire."""
    seen = [(call, attempt) for call in calls for attempt in call.attempts]
    if any(fault.id in attempt.unused for _, attempt in seen):
        return "it was picked, but the answer had nothing to change"
    if fault.matched:
        requests = f"{fault.matched} request{'' if fault.matched == 1 else 's'}"
        return f"it matched {requests}, but {_explain_hold(fault)}"
    if not seen:
        return NO_REQUEST
    call, attempt = min(reversed(seen), key=lambda each: len(_mismatches(fault, *each)))
    mismatches = _mismatches(fault, call, attempt)
    request = f"attempt {attempt.number} of {str(call).splitlines()[0]}"
    if not mismatches:
        others = f"fault {', '.join(attempt.faults)} came before it" if attempt.faults else "it came before the fault"
        return f"the nearest miss was {request}: {others}"
    return f"the nearest miss was {request}: {' and '.join(mismatches)}"


def _explain_hold(fault: FaultStatus) -> str:
    if fault.matched <= fault.skip:
        return f"it skips {fault.skip}"
    reasons = {
        "the rate was not exceeded": fault.rate_limit_effect is not None,
        "it had expired": fault.expires_after is not None,
        "its probability did not select the request": fault.probability < 1,
    }
    return " or ".join(reason for reason, may_be in reasons.items() if may_be) or "the answers left it nothing to do"


def _mismatches(fault: FaultStatus, call: Call, attempt: Attempt) -> list[str]:
    if call.operation is None:
        return ["it is not an operation"]
    match = fault.match
    wanted = {"operation": (call.operation, match.operation), "page": (call.page, match.page)}
    wanted["attempt"] = (attempt.number, match.attempt)
    mismatches = [
        f"its {name} is {found}, not {_show(value)}"
        for name, (found, value) in wanted.items()
        if not is_among(found, value)
    ]
    for name, value in match.identifiers.items():
        found = call.identifiers.get(name, [])
        if value not in found:
            mismatches.append(f"its {name} is {_show(found) if found else 'not given'}, not {value}")
    effects, operation = fault.effects.values(), OPERATIONS_BY_NAME[call.operation]
    objections = [objection for effect in effects if (objection := effect.objection(operation))]
    return mismatches + objections + _page_mismatch(fault, call)


def _page_mismatch(fault: FaultStatus, call: Call) -> list[str]:
    effect = next(iter(fault.effects.values()), None)
    first = effect.first_page() if effect else 1
    if call.page is not None and call.page < first and fault.match.page is None:
        return [f"its page is {call.page}, and {fault.pagination_effect} is for page {first} and later"]
    return []


def _show(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)
