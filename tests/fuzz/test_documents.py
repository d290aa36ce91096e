"""Seeds, fault rules, and what is sent to the control API: loaded whole, or refused with a reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from healthimaging_emulator import Emulator, RuleError, SeedError
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.loader import SeedDocument
from tests.conftest import DEMO
from tests.demo import DATASTORE, SAMPLE

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["ACTIVE", "a" * 32, "1", "2024-01-01T00:00:00Z", "9999-12-31T23:59:59.9999Z", "stall"]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)

RULE: Any = {
    "id": "x",
    "match": {"operation": "ListImageSetVersions", "imageSetId": "a" * 32, "page": [2], "attempt": 1},
    "skip": 0,
    "every": 1,
    "times": 2,
    "probability": 0.5,
    "seed": 3,
    "expiresAfter": 60,
    "delay": {"seconds": 0, "jitter": 0},
    "error": {"code": "ThrottlingException", "message": "m", "status": 429, "retryAfter": 1.5},
}
VERSION: Any = {
    "versionId": "7",
    "imageSetState": "ACTIVE",
    "ImageSetWorkflowStatus": "UPDATE_FAILED",
    "createdAt": 1680027126.436,
    "updatedAt": "2024-01-01T00:00:00Z",
    "deletedAt": None,
    "message": "m",
    "overrides": {"forced": True},
    "isPrimary": False,
}
GENERATED: Any = {"imageSetId": "c" * 32, "generate": {"versions": 3, "failed": 1, "seed": 1, "createdAt": 0}}
SEED: Any = {
    "datastores": [
        {"datastoreId": "b" * 32, "imageSets": [{"imageSetId": "a" * 32, "versions": [VERSION]}, GENERATED]}
    ],
    "faults": [RULE],
}


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a document."""
    inside: Any = document.items() if isinstance(document, dict) else ()
    inside = enumerate(document) if isinstance(document, list) else inside
    return [path, *(found for key, value in inside for found in places(value, (*path, key)))]


@st.composite
def changed(draw: Callable[..., Any], document: Any) -> Any:
    """Draw a document in which one to three things are something else, or are not there."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(made)))
        if not path:
            return draw(anything)
        parent = made
        for key in path[:-1]:
            parent = parent[key]
        if draw(st.booleans()):
            del parent[path[-1]]
        else:
            parent[path[-1]] = draw(anything)
    return made


@given(changed(SEED))
def test_a_document_is_a_seed_or_refused(document: Any) -> None:
    if isinstance(document, dict):
        check_loaded(document)


def check_loaded(source: Any) -> None:
    try:
        loaded = seeds.load(source)
    except SeedError:
        return
    again = json.loads(seeds.dump(loaded.baseline, loaded.faults))
    assert seeds.load(again).baseline == loaded.baseline


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def as_yaml(document: Any) -> bytes:
    return yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


YAML = st.text(st.sampled_from(list("{}[]:,-#&*!|>'\"%@`? \n\tab0~.\\\x00\u2028é")), max_size=60)


@given(st.one_of(st.binary(max_size=60), changed(SEED).map(as_json), changed(SEED).map(as_json).map(lambda b: b[:-9])))
def test_a_json_file_is_a_seed_or_refused(folder: Path, content: bytes) -> None:
    (folder / "seed.json").write_bytes(content)
    check_loaded(folder / "seed.json")


@given(st.one_of(st.binary(max_size=60), YAML.map(str.encode), changed(SEED).map(as_yaml)))
def test_a_yaml_file_is_a_seed_or_refused(folder: Path, content: bytes) -> None:
    (folder / "seed.yaml").write_bytes(content)
    check_loaded(folder / "seed.yaml")


@given(changed(RULE))
def test_a_rule_is_armed_or_refused(rule: Any) -> None:
    faults = Emulator.from_seed({}).faults
    try:
        ids = [armed.id for armed in faults.add(rule)]
    except RuleError as error:
        ids = [] if error.path.startswith("$[0]") else [error.path]
    assert [armed.id for armed in faults] == ids


BODIES: dict[tuple[str, str], Any] = {
    ("POST", "faults"): [RULE, {"delay": {"seconds": 0}}],
    ("POST", "reset"): {"only": ["faults", "changes"]},
    ("PUT", "seed"): SEED,
    ("POST", "seed"): SEED,
    ("POST", f"datastores/{DATASTORE}/imageSets/{SAMPLE}/versions"): VERSION | {"after": 1},
    ("PUT", f"datastores/{DATASTORE}/imageSets/{SAMPLE}/versions/4"): VERSION | {"versionId": "4", "after": 0},
    ("PUT", "clock"): {"freeze": "2024-01-01T00:00:00Z"},
}


@given(st.data(), st.sampled_from(list(BODIES)))
def test_a_body_does_all_or_nothing(data: st.DataObject, endpoint: tuple[str, str]) -> None:
    emulator = Emulator.from_seed(DEMO)
    emulator.clock.freeze(1700000000)
    before = state(emulator)
    method, target = endpoint
    body = data.draw(changed(BODIES[endpoint]))
    response = emulator.app.test_client().open(
        f"/_emulator/{target}",
        method=method,
        data=json.dumps(body),
        content_type="application/json",
        environ_overrides={"emulator.link": None},
    )
    if response.status_code >= 400:
        assert response.status_code in (400, 404, 409)
        error = response.json["error"]  # type: ignore[index]
        assert error["code"] in ("BadRequest", "NotFound", "Conflict")
        assert error["message"]
        assert state(emulator) == before
    else:
        msgspec.json.decode(emulator.account().seed(), type=SeedDocument)


def state(emulator: Emulator) -> tuple[bytes, list[Any], float]:
    return emulator.account().seed(), list(emulator.faults), emulator.clock.now()
