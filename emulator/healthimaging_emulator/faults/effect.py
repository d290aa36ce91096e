"""The interface of a kind of fault: its values, the operations that it can apply to, and its actions.

A kind overrides the methods of the phases in which it acts. ``pipeline.handle`` calls them in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from msgspec import Struct

from ..aws.authorization import Caller
from ..aws.operation import Operation
from ..aws.pagination import Listing
from ..healthimaging.context import Workflow
from ..messages import Exchange, Response


class Target(NamedTuple):
    """The request that a fault was picked for."""

    operation: Operation[Any, Any]
    input: Any
    identifiers: Mapping[str, list[str]]
    caller: Caller
    listing: Listing
    exchange: Exchange


class Trigger(Protocol):
    """Decides whether a fault fires, from a state of its own; called under the lock of the engine."""

    def fires(self, operation: str, elapsed: float) -> bool: ...


class Effect(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The action of a fault. A method that a kind does not override does nothing."""

    can_come_after: ClassVar[bool] = False

    def objection(self, operation: Operation[Any, Any]) -> str | None:
        """Return the reason why the effect can never change an operation, or None."""
        return None

    def first_page(self) -> int:
        """Return the first page on which the effect can do anything."""
        return 1

    def make_trigger(self, elapsed: float) -> Trigger | None:
        """Return the state that decides whether the fault fires, if the kind has one."""
        return None

    def act(self, target: Target) -> Iterator[float]:
        """Act before the operation, or after it with ``when: "after"``.

        Yields seconds to wait. Raises a ``ServiceError`` to answer with it.
        """
        return iter(())

    @property
    def is_random(self) -> bool:
        """Whether the effect wants a seed for a generator of its own."""
        return False

    def workflow(self, default: Workflow, seed: float) -> Workflow:
        """Return the pace and the end of an operation that continues after its answer."""
        return default

    def answer(self, target: Target) -> Any:
        """Return an output in place of the operation's own, or None to run it."""
        return None

    def change_output(self, output: Any, target: Target) -> Any:
        """Return another output; None if there is nothing to change."""
        return output

    def change_response(self, response: Response, target: Target) -> Response:
        """Return another response to an operation that succeeded."""
        return response
