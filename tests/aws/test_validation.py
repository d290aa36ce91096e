"""Each kind of constraint, at both its edges, in the words of Coral."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from msgspec import Meta, Struct

from healthimaging_emulator.aws.errors import ValidationException
from healthimaging_emulator.aws.members import pattern, sensitive
from healthimaging_emulator.aws.validation import find_violations, validate
from healthimaging_emulator.healthimaging.shapes.datastore import TagKey, TagMap
from healthimaging_emulator.healthimaging.shapes.identifiers import ImageSetId, MaxResults, Message, NextToken


class Part(Struct, rename="camel", kw_only=True):
    name: Annotated[str, pattern("[a-z]+", min_length=1, max_length=3)]
    order: Literal["ASC", "DESC"] | None = None


class Choice(Struct, rename="camel", kw_only=True):
    is_union: ClassVar[bool] = True

    one: str | None = None
    other: Annotated[int, Meta(ge=1)] | None = None
    part: Part | None = None


class Input(Struct, rename="camel", kw_only=True):
    image_set_id: ImageSetId
    max_results: MaxResults | None = None
    next_token: NextToken | None = None
    message: Message | None = None
    sort_order: Literal["ASC", "DESC"] | None = None
    content: Annotated[bytes, Meta(min_length=1, max_length=3), sensitive()] | None = None
    tag_keys: Annotated[tuple[TagKey, ...], Meta(min_length=1, max_length=2)] | None = None
    tags: TagMap | None = None
    part: Part | None = None
    parts: tuple[Part, ...] | None = None
    choice: Choice | None = None
    secret: Annotated[Part | None, sensitive()] = None


def make_input(**members: Any) -> Input:
    return Input(**({"image_set_id": "a" * 32} | members))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"max_results": 1},
        {"max_results": 50},
        {"next_token": "a"},
        {"next_token": "\x00\x7f" * 4096},
        {"message": "`:-_ aZ09"},
        {"message": "a" * 2048},
        {"sort_order": "DESC"},
        {"content": b"\xff"},
        {"content": b"abc"},
        {"tag_keys": ("a",)},
        {"tag_keys": ("a", "b" * 128)},
        {"tags": {}},
        {"tags": {"a": "", "b": "x" * 256}},
        {"part": Part(name="a")},
        {"part": Part(name="abc", order="ASC")},
        {"parts": ()},
        {"choice": Choice(one="")},
        {"choice": Choice(other=1)},
        {"secret": Part(name="a")},
    ],
    ids=str,
)
def test_values_within_the_constraints_pass(members: dict[str, Any]) -> None:
    validate(make_input(**members))


ID = "Member must satisfy regular expression pattern: [0-9a-z]{32}"
MESSAGE = r"Member must satisfy regular expression pattern: [\w -:`]+"
KEY = (
    "Member must have length less than or equal to 128, Member must have length greater than or equal to 1, "
    "Member must satisfy regular expression pattern: (?!aws:)[a-zA-Z+-=._:/]+"
)


@pytest.mark.parametrize(
    ("members", "subject", "constraint"),
    [
        ({"image_set_id": None}, "Value null at 'imageSetId'", "Member must not be null"),
        ({"max_results": 0}, "Value '0' at 'maxResults'", "Member must have value greater than or equal to 1"),
        ({"max_results": 51}, "Value '51' at 'maxResults'", "Member must have value less than or equal to 50"),
        ({"next_token": ""}, "Value '' at 'nextToken'", "Member must have length greater than or equal to 1"),
        ({"message": "a\n"}, "Value 'a\n' at 'message'", MESSAGE),
        ({"message": "é"}, "Value 'é' at 'message'", MESSAGE),
        ({"message": "²"}, "Value '²' at 'message'", MESSAGE),
        (
            {"message": "a" * 2049},
            f"Value '{'a' * 2049}' at 'message'",
            "Member must have length less than or equal to 2048",
        ),
        ({"image_set_id": "a" * 32 + "\n"}, f"Value '{'a' * 32}\n' at 'imageSetId'", ID),
        ({"image_set_id": "x" + "a" * 32}, f"Value 'x{'a' * 32}' at 'imageSetId'", ID),
        ({"sort_order": "UP"}, "Value 'UP' at 'sortOrder'", "Member must satisfy enum value set: [ASC, DESC]"),
        ({"content": b""}, "Value at 'content'", "Member must have length greater than or equal to 1"),
        ({"content": b"abcd"}, "Value at 'content'", "Member must have length less than or equal to 3"),
        ({"tag_keys": ()}, "Value '[]' at 'tagKeys'", "Member must have length greater than or equal to 1"),
        (
            {"tag_keys": ("a", "b", "c")},
            "Value '[a, b, c]' at 'tagKeys'",
            "Member must have length less than or equal to 2",
        ),
        (
            {"tag_keys": ("a", "a b")},
            "Value 'a b' at 'tagKeys.2.member'",
            "Member must satisfy regular expression pattern: (?!aws:)[a-zA-Z+-=._:/]+",
        ),
        ({"tag_keys": (None,)}, "Value null at 'tagKeys.1.member'", "Member must not be null"),
        (
            {"tags": {"aws:a": "x", "b": "y"}},
            "Value '{aws:a=x, b=y}' at 'tags'",
            f"Map keys must satisfy constraint: [{KEY}]",
        ),
        (
            {"tags": {"a": "x" * 257}},
            f"Value '{{a={'x' * 257}}}' at 'tags'",
            "Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have "
            "length greater than or equal to 0]",
        ),
        (
            {"tags": {"a": None}},
            "Value '{a=null}' at 'tags'",
            "Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have "
            "length greater than or equal to 0]",
        ),
        ({"part": Part(name=None)}, "Value null at 'part.name'", "Member must not be null"),  # type: ignore[arg-type]
        (
            {"part": Part(name="a", order="UP")},  # type: ignore[arg-type]
            "Value 'UP' at 'part.order'",
            "Member must satisfy enum value set: [ASC, DESC]",
        ),
        (
            {"parts": (Part(name="a"), Part(name="A"))},
            "Value 'A' at 'parts.2.member.name'",
            "Member must satisfy regular expression pattern: [a-z]+",
        ),
        ({"parts": (Part(name="a"), None)}, "Value null at 'parts.2.member'", "Member must not be null"),
        (
            {"choice": Choice(other=0)},
            "Value '0' at 'choice.other'",
            "Member must have value greater than or equal to 1",
        ),
        (
            {"secret": Part(name="A")},
            "Value at 'secret.name'",
            "Member must satisfy regular expression pattern: [a-z]+",
        ),
        ({"secret": Part(name=None)}, "Value null at 'secret.name'", "Member must not be null"),  # type: ignore[arg-type]
    ],
)
def test_one_violation_is_told_whole(members: dict[str, Any], subject: str, constraint: str) -> None:
    with pytest.raises(ValidationException) as raised:
        validate(make_input(**members))
    assert raised.value.message == (
        f"1 validation error detected: {subject} failed to satisfy constraint: {constraint}"
    )


class Unprintable(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError("printing takes time for a value that is valid")


def test_a_valid_value_is_not_printed() -> None:
    validate(make_input(message=Unprintable("a"), part=Part(name=Unprintable("abc"))))


@pytest.mark.parametrize("choice", [Choice(), Choice(one="", other=1)], ids=["none", "both"])
def test_a_union_has_exactly_one_member(choice: Choice) -> None:
    (violation,) = find_violations(make_input(choice=choice))
    assert violation.startswith("Value '")
    assert violation.endswith(
        "' at 'choice' failed to satisfy constraint: Member must have exactly one of [one, other, part]"
    )


def test_all_violations_are_told_at_once_in_the_models_order_depth_first() -> None:
    given = Input(
        image_set_id="A",
        next_token="é" * 8193,
        part=Part(name="ABCD", order="UP"),  # type: ignore[arg-type]
        tag_keys=("", "b", "aws:c"),
        secret=Part(name=""),
    )
    with pytest.raises(ValidationException) as raised:
        validate(given)
    count, _, violations = raised.value.message.partition(": ")
    assert count == "12 validation errors detected"
    assert [each.partition("failed to satisfy constraint: ")[::2] for each in violations.split("; ")] == [
        ("Value 'A' at 'imageSetId' ", ID),
        (f"Value '{'é' * 8193}' at 'nextToken' ", "Member must have length less than or equal to 8192"),
        (
            f"Value '{'é' * 8193}' at 'nextToken' ",
            r"Member must satisfy regular expression pattern: \p{ASCII}{0,8192}",
        ),
        ("Value '[, b, aws:c]' at 'tagKeys' ", "Member must have length less than or equal to 2"),
        ("Value '' at 'tagKeys.1.member' ", "Member must have length greater than or equal to 1"),
        (
            "Value '' at 'tagKeys.1.member' ",
            "Member must satisfy regular expression pattern: (?!aws:)[a-zA-Z+-=._:/]+",
        ),
        (
            "Value 'aws:c' at 'tagKeys.3.member' ",
            "Member must satisfy regular expression pattern: (?!aws:)[a-zA-Z+-=._:/]+",
        ),
        ("Value 'ABCD' at 'part.name' ", "Member must have length less than or equal to 3"),
        ("Value 'ABCD' at 'part.name' ", "Member must satisfy regular expression pattern: [a-z]+"),
        ("Value 'UP' at 'part.order' ", "Member must satisfy enum value set: [ASC, DESC]"),
        ("Value at 'secret.name' ", "Member must have length greater than or equal to 1"),
        ("Value at 'secret.name' ", "Member must satisfy regular expression pattern: [a-z]+"),
    ]
