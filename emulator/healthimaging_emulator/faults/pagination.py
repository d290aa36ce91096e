"""``pagination``: change the entries or the token of a page."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import structs

from ..aws.members import List
from ..aws.operation import Operation
from .effect import Effect, Target

PaginationKind = Literal[
    "repeat-token", "cycle", "empty-page", "drop-token", "duplicate-item", "skip-item", "stale-token"
]

FIRST_PAGES: dict[str, int] = {"repeat-token": 2, "cycle": 3}
"""The first page on which a kind can act: it needs the token of this page, or of the page before. By default 1."""


class PaginationEffect(Effect, frozen=True, kw_only=True):
    """Change the entries or the token; the rest of the page stays as it is."""

    kind: PaginationKind

    def first_page(self) -> int:
        return FIRST_PAGES.get(self.kind, 1)

    def objection(self, operation: Operation[Any, Any]) -> str | None:
        return None if operation.is_paginated else f"{operation.name} has no pages"

    def change_output(self, output: Any, target: Target) -> Any:
        name = next(m.attribute for m in target.operation.output_shape.members if isinstance(m.shape, List))
        entries, token = getattr(output, name), output.next_token
        match self.kind:
            case "repeat-token":
                return structs.replace(output, next_token=target.input.next_token)
            case "cycle":
                return structs.replace(output, next_token=target.listing.token_of_page_before())
            case "drop-token" if token is not None:
                return structs.replace(output, next_token=None)
            case "stale-token" if token is not None:
                return structs.replace(output, next_token=token[:-1] + ("A" if token[-1] != "A" else "B"))
            case "empty-page" if entries:
                return structs.replace(output, **{name: ()})
            case "duplicate-item" if entries:
                return structs.replace(output, **{name: entries[:1] + entries})
            case "skip-item" if entries:
                return structs.replace(output, **{name: entries[:-1]})
        return None
