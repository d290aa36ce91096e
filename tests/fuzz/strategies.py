"""Requests for any operation: drawn from its declaration, and mostly right."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from healthimaging_emulator.aws.members import Blob, Boolean, Integer, List, Map, Member, Shape, Structure, Text
from healthimaging_emulator.aws.operation import Operation
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from tests.demo import DATASTORE, MANY, SAMPLE

IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE, "sourceImageSetId": MANY}

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(max_size=20)
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
documents = st.one_of(
    st.sampled_from(
        [
            {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A^B"}}},
            {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDate": "20240101"}, "Series": {}}},
            {"SchemaVersion": "1.1"},
        ]
    ),
    anything,
).map(json.dumps)


class Asked(NamedTuple):
    """A request before it is sent."""

    method: str
    target: str
    body: bytes


def mostly(right: st.SearchStrategy[Any], wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw nine right values to a wrong one."""
    return st.integers(0, 9).flatmap(lambda number: wrong if number == 9 else right)


def values_of(member: Member) -> st.SearchStrategy[Any]:
    """Return values of a member: right, wrong, or of another type."""
    if member.name in IDS:
        return mostly(st.just(IDS[member.name]), st.text(max_size=40))
    if member.name.endswith("ersionId"):
        return mostly(st.sampled_from(["4", "1", "5", "137"]), st.text(max_size=20))
    return mostly(values(member.shape), anything)


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Return values of the type of a shape, as JSON writes them."""
    match shape:
        case Text(values=enum) if enum:
            return mostly(st.sampled_from(enum), st.text(max_size=20))
        case Text():
            return st.one_of(st.text(max_size=40), st.sampled_from(["a", "1.2.3", "0" * 32, "s3://input/"]))
        case Integer():
            return mostly(st.integers(1, 50), st.integers())
        case Boolean():
            return st.booleans()
        case Blob():
            return documents.map(lambda text: base64.b64encode(text.encode()).decode())
        case List(item=item):
            return st.lists(values(item), max_size=3)
        case Map(key=key, value=item):
            return st.dictionaries(values(key), values(item), max_size=3)
        case Structure(members=members, is_union=True):
            each = {member.name: values_of(member) for member in members}
            one = st.one_of([st.fixed_dictionaries({name: strategy}) for name, strategy in each.items()])
            return mostly(one, st.fixed_dictionaries({}, optional=each))
        case Structure(members=members):
            return st.fixed_dictionaries(
                {member.name: values_of(member) for member in members if member.is_required},
                optional={member.name: values_of(member) for member in members if not member.is_required},
            )
    return st.one_of(st.floats(0, 2e9), st.floats(allow_nan=False))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@st.composite
def requests(draw: st.DrawFn, operation: Operation[Any, Any] | None = None) -> Asked:
    """Draw a request for an operation, or for any."""
    called: Operation[Any, Any] = draw(st.sampled_from([operation] if operation else [*OPERATIONS]))
    path = called.path
    query: list[tuple[str, str]] = []
    body: Any = {}
    for member in called.input_shape.members:
        is_given = member.is_required or draw(st.booleans())
        value = draw(values_of(member)) if is_given else None
        match member.location:
            case "label":
                path = path.replace(f"{{{member.name}}}", quote(_as_text(value), safe=""))
            case "query" if is_given:
                texts = value if isinstance(value, list) else [value]
                query += [(member.location_name, _as_text(each)) for each in texts]
            case "payload" if is_given:
                body = value
            case "body" if is_given:
                body[member.name] = value
    content = json.dumps(body).encode() if called.has_body or draw(st.booleans()) else b""
    return Asked(called.method, f"{path}?{urlencode(query, errors='replace')}", content)
