"""Annotations become shapes: bindings and constraints, and a ``TypeError`` for one that nothing could check."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import pytest
from msgspec import Meta, Struct, defstruct, field

from healthimaging_emulator.aws.members import (
    Blob,
    Boolean,
    Integer,
    List,
    Map,
    Structure,
    Text,
    Timestamp,
    header,
    idempotency_token,
    label,
    pattern,
    payload,
    query,
    sensitive,
    shape_of,
)

Name = Annotated[str, pattern("[a-z]+", min_length=1, max_length=9)]


class Child(Struct, rename="camel"):
    first_name: Name
    last_name: Name | None = None


class Choice(Struct, rename="camel"):
    is_union: ClassVar[bool] = True

    one: str | None = None
    other: int | None = None


class Everything(Struct, rename="camel", kw_only=True):
    resource_arn: Annotated[Name, label(is_greedy=True)]
    image_set_id: Annotated[str, label()]
    version_id: Annotated[str | None, query("version")] = None
    max_results: Annotated[Annotated[int, Meta(ge=1, le=50)] | None, query()] = None
    content_type: Annotated[str | None, header("Content-Type")] = None
    search: Annotated[Child | None, payload(), sensitive()] = None
    client_token: Annotated[str, idempotency_token()]
    upper_name: str | None = field(default=None, name="UPPERName")
    order: Literal["ASC", "DESC"] = "ASC"
    when: float | None = None
    is_primary: bool | None = None
    content: Annotated[bytes, Meta(min_length=1, max_length=30)] = b"x"
    keys: Annotated[tuple[Name, ...], Meta(max_length=200)] = ()
    tags: dict[Name, Annotated[str, Meta(max_length=256)]] | None = None
    choice: Choice | None = None


MEMBERS = {member.name: member for member in shape_of(Everything).members}


def test_members_stand_in_the_order_of_their_declaration() -> None:
    assert list(MEMBERS) == [
        "resourceArn",
        "imageSetId",
        "versionId",
        "maxResults",
        "contentType",
        "search",
        "clientToken",
        "UPPERName",
        "order",
        "when",
        "isPrimary",
        "content",
        "keys",
        "tags",
        "choice",
    ]


@pytest.mark.parametrize(
    ("name", "location", "location_name"),
    [
        ("imageSetId", "label", "imageSetId"),
        ("versionId", "query", "version"),
        ("maxResults", "query", "maxResults"),
        ("contentType", "header", "Content-Type"),
        ("search", "payload", "search"),
        ("clientToken", "body", "clientToken"),
        ("UPPERName", "body", "UPPERName"),
    ],
)
def test_a_binding_says_where_a_member_travels_and_under_which_name(
    name: str, location: str, location_name: str
) -> None:
    assert (MEMBERS[name].location, MEMBERS[name].location_name) == (location, location_name)


def test_required_greedy_sensitive_and_idempotency_tokens_are_marked() -> None:
    assert [name for name, each in MEMBERS.items() if each.is_required] == ["resourceArn", "imageSetId", "clientToken"]
    assert [name for name, each in MEMBERS.items() if each.is_greedy] == ["resourceArn"]
    assert [name for name, each in MEMBERS.items() if each.is_sensitive] == ["search"]
    assert [name for name, each in MEMBERS.items() if each.is_idempotency_token] == ["clientToken"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("imageSetId", Text()),
        ("maxResults", Integer(1, 50)),
        ("order", Text(values=("ASC", "DESC"))),
        ("when", Timestamp()),
        ("isPrimary", Boolean()),
        ("content", Blob(1, 30)),
    ],
)
def test_a_shape_has_the_constraints_of_the_annotation(name: str, shape: Any) -> None:
    assert MEMBERS[name].shape == shape


def test_lists_maps_and_structures_are_read_into_their_depths() -> None:
    keys, tags, choice, search = (MEMBERS[name].shape for name in ("keys", "tags", "choice", "search"))
    assert isinstance(keys, List)
    assert isinstance(keys.item, Text)
    assert (keys.max_length, keys.item.pattern, keys.item.max_length) == (200, "[a-z]+", 9)
    assert isinstance(tags, Map)
    assert (tags.key.pattern, tags.value.max_length) == ("[a-z]+", 256)
    assert isinstance(choice, Structure)
    assert choice.is_union
    assert isinstance(search, Structure)
    assert (search.cls, search.is_union) == (Child, False)
    assert [(member.name, member.is_required) for member in search.members] == [
        ("firstName", True),
        ("lastName", False),
    ]


def test_a_structure_is_read_once() -> None:
    assert shape_of(Everything) is shape_of(Everything)


@pytest.mark.parametrize(
    "annotation",
    [
        datetime,
        Any,
        object,
        complex,
        list[str],
        set[str],
        tuple[str, int],
        list[datetime],
        tuple[datetime, ...],
        dict[str, datetime],
        dict[str, int],
        dict[int, str],
        str | int,
        str | int | None,
        Annotated[str, Meta(pattern="^a$")],  # no text to print in a message
        Annotated[int, Meta(gt=0)],
        Annotated[int, Meta(lt=51)],
        Annotated[int, Meta(multiple_of=2)],
    ],
    ids=str,
)
def test_an_annotation_that_validation_cannot_check_is_a_type_error(annotation: Any) -> None:
    with pytest.raises(TypeError):
        shape_of(defstruct("Declared", [("member", annotation)]))


def test_the_type_error_is_also_raised_for_a_member_deep_inside() -> None:
    inner = defstruct("Inner", [("member", datetime)])
    with pytest.raises(TypeError, match=r"^no constraint of .*DateTimeType.* can be checked$"):
        shape_of(defstruct("Outer", [("inner", inner)]))


@pytest.mark.parametrize(
    ("declared", "fitting", "other"),
    [
        (pattern("[a-z]+"), ["a"], ["", "a\n", "a b", "\na", "é"]),
        (pattern(r"\d+"), ["0123456789"], ["\u0665", "1\n", "1 ", ""]),
        (pattern(r"[\w]+"), ["aZ_09"], ["é", "²"]),
        (pattern(r"\p{ASCII}{0,8192}", linear=r"\p{ASCII}*"), ["", "\x00\x7f" * 9000], ["é"]),
        (pattern("a|b"), ["a", "b"], ["ab", "a\n", "xb"]),
    ],
    ids=["letters", "digits", "word", "ascii", "alternatives"],
)
def test_a_pattern_matches_whole_strings_in_ascii(declared: Meta, fitting: list[str], other: list[str]) -> None:
    shape = shape_of(defstruct("Declared", [("member", Annotated[str, declared])])).members[0].shape
    assert isinstance(shape, Text)
    assert all(shape.matches(each) for each in fitting)
    assert not any(shape.matches(each) for each in other)


def test_a_message_prints_the_models_pattern_and_not_the_linear_one() -> None:
    shape = shape_of(defstruct("Declared", [("member", Annotated[str, pattern("(a+)+", linear="a+")])]))
    text = shape.members[0].shape
    assert isinstance(text, Text)
    assert text.pattern == "(a+)+"
    assert not text.matches("a" * 100 + "b")  # which takes the model's pattern for ever
