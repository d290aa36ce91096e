"""Seeds, faults and bodies of the control API: loaded whole, or refused with a reason."""

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

from healthimaging_emulator import Emulator, InvalidError
from healthimaging_emulator.documents import find_documents
from healthimaging_emulator.seeds.document import SeedDocument
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.seeds.mistakes import find_mistakes
from healthimaging_emulator.seeds.writer import write_seed
from healthimaging_emulator.server.connection import ServedExchange
from healthimaging_emulator.transports.targets import EXCHANGE_KEY
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

MATCH: Any = {"operation": "ListImageSetVersions", "imageSetId": "a" * 32, "page": [2, 3], "attempt": 1}
ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
FAULT: Any = {
    "id": "x",
    "match": MATCH,
    "skip": 0,
    "every": 1,
    "times": 2,
    "probability": 0.5,
    "seed": 3,
    "expiresAfter": 60,
    "when": "after",
    "latency": {"seconds": 0, "jitter": 0},
    "error": {"code": "ThrottlingException", "message": "m", "status": 429, "retryAfter": 1.5},
}
STORE = {"datastoreId": DATASTORE, "datastoreName": "n", "datastoreStatus": "ACTIVE", "createdAt": 1.5}
FAULTS: Any = [
    FAULT,
    {"match": {"resourceArn": ARN}, "latency": {"seconds": 0}},
    {"match": {"imageFrameId": "a" * 32, "jobId": None}, "rateLimit": {"perSecond": 1, "burst": 1}},
    {"match": MATCH, "pagination": "repeat-token"},
    {"match": {"operation": ["GetImageSet", "ListImageSetVersions"]}, "corrupt": "unknown-enum"},
    {"connection": {"kind": "stall", "seconds": 1}},
    {"workflow": {"outcome": "failed", "message": "m", "reads": 1, "seconds": None}},
    {"match": {"operation": "ListDatastores"}, "respond": {"pages": [{"datastoreSummaries": [STORE]}, {}]}},
    {"match": {"operation": "GetImageFrame"}, "respond": {"base64": "AAEC", "contentType": "image/jph"}},
    {"match": {"operation": ["ListTagsForResource"]}, "respond": {"tags": {"key": "value"}}},
]
METADATA: Any = {
    "SchemaVersion": "1.1",
    "Patient": {"DICOM": {"PatientName": "A^B"}},
    "Study": {
        "DICOM": {"StudyInstanceUID": "1.2"},
        "Series": {"1.3": {"DICOM": {}, "Instances": {"1.4": {"DICOM": {}, "DICOMVRs": {}, "ImageFrames": []}}}},
    },
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
    "metadata": METADATA,
}
GENERATED: Any = {
    "imageSetId": "c" * 32,
    "generate": {"versions": 3, "failed": 1, "seed": 1, "createdAt": 0},
    "metadata": METADATA,
}
SEED: Any = {
    "datastores": [
        {"datastoreId": "b" * 32, "imageSets": [{"imageSetId": "a" * 32, "versions": [VERSION]}, GENERATED]}
    ],
    "faults": FAULTS,
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
        loaded = load_seed(source)
    except InvalidError:
        return
    written = write_seed(loaded.baseline, loaded.faults)
    again = load_seed(json.loads(written))
    assert again.faults == loaded.faults
    assert write_seed(again.baseline, again.faults) == written


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


@pytest.mark.parametrize(("name", "write"), [("seed.json", as_json), ("seed.yaml", as_yaml)])
@given(document=changed(SEED))
def test_the_mistake_that_stops_loading_is_among_all_mistakes(
    folder: Path, name: str, write: Callable[[Any], bytes], document: Any
) -> None:
    file = folder / name
    file.write_bytes(write(document))
    lines, count = find_mistakes(file)
    assert len(lines) == count
    stops = refusal(load_seed, file)
    if refusal(lambda: [read(Any) for _, _, read in find_documents([file])]):  # it cannot be read at all
        assert count == 1
    elif stops:
        wanted = stops.message.partition(", got ")[0]  # msgspec calls an integer of more than 64 bits a float at times
        assert [line for line in lines if f": {stops.path}: {wanted}" in line]
    else:
        assert not lines


def refusal(function: Callable[..., object], *arguments: Any) -> InvalidError | None:
    try:
        function(*arguments)
    except InvalidError as error:
        return error
    return None


@given(st.sampled_from(FAULTS).flatmap(changed))
def test_a_fault_is_added_or_refused(fault: Any) -> None:
    faults, ids, refusal = Emulator.from_seed({}).faults, [], None
    try:
        ids = [added.id for added in faults.add(fault)]
    except InvalidError as error:
        refusal = error
    assert [added.id for added in faults] == ids
    assert refusal is None or (refusal.path.startswith("$[0]") and refusal.message)


BODIES: dict[tuple[str, str], Any] = {
    ("POST", "faults"): FAULTS,
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
        environ_overrides={EXCHANGE_KEY: ServedExchange()},
    )
    if response.status_code >= 400:
        assert response.status_code in (400, 404, 409)
        error = response.json["error"]  # type: ignore[index]
        assert error["code"] in ("BadRequest", "NotFound", "Conflict")
        assert error["message"]
        assert state(emulator) == before
    else:
        msgspec.json.decode(emulator.account().export_seed(), type=SeedDocument)


def state(emulator: Emulator) -> tuple[bytes, list[Any], float]:
    return emulator.account().export_seed(), list(emulator.faults), emulator.clock.now()
