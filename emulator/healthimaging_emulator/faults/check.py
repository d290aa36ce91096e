"""Check a fault: its values, the requests that it can match, and the operations that its effect can affect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import structs

from ..aws.operation import Operation
from ..documents import explain
from ..errors import InvalidError, suggestion
from ..healthimaging.operations import OPERATIONS, OPERATIONS_BY_NAME
from ..settings import is_text
from .effect import Effect
from .fault import Fault
from .respond import RespondEffect
from .workflow import WorkflowEffect

EFFECTS = [field.encode_name for field in structs.fields(Fault) if field.name.endswith("_effect")]
"""The kinds of faults."""


def check_fault(given: Fault | Mapping[str, Any], path: str) -> tuple[Fault, frozenset[str]]:
    """Return a valid fault, and the names of the operations that it can affect. Raises ``InvalidError``."""
    try:
        fault = msgspec.convert(msgspec.to_builtins(given), Fault)  # msgspec checks constraints only here
    except msgspec.ValidationError as error:
        mistake, inside = explain(error, Fault)
        raise InvalidError(mistake, path=path + inside.removeprefix("$")) from None
    effects = fault.effects
    if len(effects) > 1:
        raise InvalidError(f"a fault has one effect, not {' and '.join(effects)}", path=f"{path}.{list(effects)[1]}")
    if not effects and fault.latency_effect is None:
        raise InvalidError(f"a fault needs an effect: {', '.join(EFFECTS)}", path=path)
    _check_details(fault, path)
    _check_pages(fault, path)
    operations = _matching_operations(fault, path)
    for name, effect in effects.items():
        operations = _possible_operations(name, effect, operations, path)
        if isinstance(effect, RespondEffect):
            for operation in operations:
                effect.warn(operation)
    return fault, frozenset(operation.name for operation in operations)


def _check_details(fault: Fault, path: str) -> None:
    for name, effect in fault.effects.items():
        if fault.when == "after" and not effect.can_come_after:
            raise InvalidError(f"{name} cannot come after: expected error, connection or latency", path=f"{path}.when")
    connection = fault.effects.get("connection")
    if getattr(connection, "seconds", None) is not None and getattr(connection, "kind", "") != "stall":
        raise InvalidError("seconds is only valid for kind stall", path=f"{path}.connection.seconds")
    if fault.error_effect is not None and not is_text(fault.error_effect.message or ""):
        raise InvalidError("a message must be Unicode text", path=f"{path}.error.message")
    if fault.respond_effect is not None:
        _check_respond(fault, path)
    workflow = fault.workflow_effect
    if workflow is not None and workflow.message is not None and workflow.outcome != "failed":
        raise InvalidError("message is only valid with outcome failed", path=f"{path}.workflow.message")
    if workflow is not None and workflow.failed_files is not None and workflow.outcome == "failed":
        raise InvalidError("failedFiles is only valid with outcome succeeded", path=f"{path}.workflow.failedFiles")
    if workflow == WorkflowEffect():
        raise InvalidError(
            "can never do anything: it changes neither the outcome, nor the pace, nor files", path=f"{path}.workflow"
        )


def _check_respond(fault: Fault, path: str) -> None:
    if fault.match.operation is None:
        raise InvalidError("respond needs an operation to match", path=f"{path}.match")
    try:
        msgspec.json.encode(fault.respond_effect)
    except UnicodeEncodeError:
        raise InvalidError("a text must be Unicode", path=f"{path}.respond") from None


def _check_pages(fault: Fault, path: str) -> None:
    """Raise ``InvalidError`` for pages on which the effect can never do anything."""
    pages, kind = fault.match.page, fault.pagination_effect
    last = max(pages) if isinstance(pages, list) else pages
    first = max((effect.first_page() for effect in fault.effects.values()), default=1)
    if last is not None and last < first:
        raise InvalidError(f"can never match: {kind} is for page {first} and later", path=f"{path}.match.page")


def _matching_operations(fault: Fault, path: str) -> list[Operation[Any, Any]]:
    """Return the operations that can match."""
    wanted = fault.match.operation
    names = [wanted] if isinstance(wanted, str) else wanted
    for name in names or ():
        if name not in OPERATIONS_BY_NAME:
            raise InvalidError(
                f"invalid operation {name!r}: expected an operation of HealthImaging"
                f"{suggestion(name, OPERATIONS_BY_NAME)}",
                path=f"{path}.match.operation",
            )
    named = [each for each in OPERATIONS if names is None or each.name in names]
    for identifier in fault.match.identifiers:
        named = _keep(named, lambda each, id=identifier: id in each.identifiers, f"{identifier}", path)  # type: ignore[misc]
    return _keep(named, lambda each: each.is_paginated, "page", path) if fault.match.page is not None else named


def _keep(
    operations: list[Operation[Any, Any]], is_wanted: Callable[[Operation[Any, Any]], bool], member: str, path: str
) -> list[Operation[Any, Any]]:
    kept = [each for each in operations if is_wanted(each)]
    if not kept:
        names = ", ".join(each.name for each in operations)
        raise InvalidError(f"can never match: {names} has no {member}", path=f"{path}.match.{member}")
    return kept


def _possible_operations(
    name: str, effect: Effect, operations: list[Operation[Any, Any]], path: str
) -> list[Operation[Any, Any]]:
    """Return the operations that an effect can change."""
    objections = {operation.name: effect.objection(operation) for operation in operations}
    possible = [operation for operation in operations if objections[operation.name] is None]
    if not possible:
        raise InvalidError(f"can never do anything: {next(iter(objections.values()))}", path=f"{path}.{name}")
    return possible
