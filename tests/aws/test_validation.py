"""Each kind of constraint, at both its edges."""

from __future__ import annotations

from typing import Literal

import pytest
from msgspec import Struct

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.aws.validation import validate
from healthimaging_emulator.healthimaging.shapes import ImageSetId, MaxResults, Message, NextToken


class Input(Struct, rename="camel"):
    image_set_id: ImageSetId = "a" * 32
    max_results: MaxResults | None = None
    next_token: NextToken | None = None
    message: Message | None = None
    sort_order: Literal["ASC", "DESC"] | None = None


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"max_results": 1},
        {"max_results": 50},
        {"next_token": "a"},
        {"next_token": "\x00\x7f" * 4096},
        {"message": "`:-_ aZ09"},
        {"sort_order": "DESC"},
    ],
)
def test_within_the_constraints(members: dict[str, object]) -> None:
    validate(Input(**members))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("members", "member", "constraint"),
    [
        ({"max_results": 0}, "maxResults", "value greater than or equal to 1"),
        ({"max_results": 51}, "maxResults", "value less than or equal to 50"),
        ({"next_token": ""}, "nextToken", "length greater than or equal to 1"),
        ({"message": "a\n"}, "message", "satisfy regular expression pattern: [\\w -:`]+"),
        ({"message": "é"}, "message", "satisfy regular expression pattern: [\\w -:`]+"),
        ({"message": "²"}, "message", "satisfy regular expression pattern: [\\w -:`]+"),
        ({"image_set_id": "a" * 32 + "\n"}, "imageSetId", "satisfy regular expression pattern: [0-9a-z]{32}"),
        ({"image_set_id": "x" + "a" * 32}, "imageSetId", "satisfy regular expression pattern: [0-9a-z]{32}"),
        ({"sort_order": "UP"}, "sortOrder", "satisfy enum value set: [ASC, DESC]"),
    ],
)
def test_one_violation(members: dict[str, str], member: str, constraint: str) -> None:
    (value,) = members.values()
    with pytest.raises(ValidationException) as raised:
        validate(Input(**members))  # type: ignore[arg-type]
    kind = "have" if constraint.startswith(("value", "length")) else ""
    text = " ".join(part for part in ("Member must", kind, constraint) if part)
    assert str(raised.value) == (
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {text}"
    )
