"""Seeds: what is loaded, and what is refused, where and why."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from healthimaging_emulator import SeedError
from healthimaging_emulator.healthimaging.store import Baseline, History
from healthimaging_emulator.seeds import loader as seeds
from tests.conftest import ROOT
from tests.demo import DATASTORE, FIFTY, FIFTY_ONE, MANY, ONE, OTHER_DATASTORE, SAMPLE

D, ID = "d" * 32, "a" * 32
VERSION = {"versionId": "1", "imageSetState": "ACTIVE"}


def document(*versions: dict[str, Any], **image_set: Any) -> dict[str, Any]:
    content = image_set or {"versions": list(versions)}
    return {"datastores": [{"datastoreId": D, "imageSets": [{"imageSetId": ID} | content]}]}


def version(**members: Any) -> dict[str, Any]:
    return document(VERSION | members)


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def only(baseline: Baseline) -> History:
    ((history,),) = (image_sets.values() for image_sets in baseline.values())
    return history


def load(*sources: Any) -> Baseline:
    return seeds.load(*sources).baseline


def refusal(*sources: Any) -> SeedError:
    with pytest.raises(SeedError) as raised:
        seeds.load(*sources)
    assert "\n" not in str(raised.value)
    return raised.value


# What is loaded.


def test_the_sample_fixture_is_what_aws_publishes() -> None:
    baseline = load(ROOT / "fixtures" / "aws-sample.json")
    assert [(each.version_id, each.image_set_workflow_status) for each in baseline[DATASTORE][SAMPLE]] == [
        ("1", "COPIED"),
        ("2", "COPY_FAILED"),
        ("3", "UPDATED"),
        ("4", "UPDATED"),
    ]


def test_the_demo_has_what_the_readme_says(caplog: pytest.LogCaptureFixture) -> None:
    baseline = load(ROOT / "fixtures" / "demo.json")
    first = baseline[DATASTORE]
    assert set(baseline) == {DATASTORE, OTHER_DATASTORE}
    assert [len(first[id]) for id in (ONE, FIFTY, FIFTY_ONE, MANY)] == [1, 50, 51, 137]
    statuses = {history[-1].image_set_workflow_status for history in first.values()}
    assert statuses == set(seeds.ImageSetWorkflowStatus.__args__)  # type: ignore[attr-defined]
    for status in statuses:
        assert first[str(status).replace("_", "").lower().ljust(32, "0")][-1].image_set_workflow_status == status
    assert not caplog.records


def test_versions_come_in_any_order() -> None:
    history = only(load(document(*(VERSION | {"versionId": id} for id in ("10", "2", "9", "1")))))
    assert [each.version_id for each in history] == ["1", "2", "9", "10"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (1680027126.436, 1680027126.436),
        (1680027126, 1680027126.0),
        (0, 0.0),
        (1.0004, 1.0),
        (1.0006, 1.001),
        (253402300799.999, 253402300799.999),
        ("2023-03-28T18:12:06.436Z", 1680027126.436),
        ("2023-03-28T18:12:06.436000+00:00", 1680027126.436),
        ("2023-03-28T20:12:06.4364+02:00", 1680027126.436),
        (datetime(2023, 3, 28, 18, 12, 6, tzinfo=timezone(timedelta(hours=1))), 1680023526.0),
    ],
)
def test_times_are_epoch_or_iso(written: Any, seconds: float) -> None:
    (loaded,) = only(load(version(createdAt=written)))
    assert loaded.created_at == seconds


def test_what_the_aws_cli_prints_can_be_pasted() -> None:
    printed = {
        "imageSetId": ID,
        "versionId": "1",
        "imageSetState": "ACTIVE",
        "ImageSetWorkflowStatus": "CREATED",
        "createdAt": "2023-03-28T18:12:06.436000+00:00",
        "overrides": {"forced": True},
        "isPrimary": False,
    }
    (loaded,) = only(load(document(printed)))
    assert (loaded.overrides and loaded.overrides.forced, loaded.is_primary) == (True, False)


def test_yaml_is_read_as_json_is(tmp_path: Path) -> None:
    text = b"""
datastores:
  - datastoreId: "00000000000000000000000000000000"
    imageSets:
      - imageSetId: 00000000000000000000000000000137
        versions:
          - {versionId: 1, imageSetState: ACTIVE, createdAt: 1680027126.436, isPrimary: true, message: }
          - versionId: 2
            imageSetState: ACTIVE
            ImageSetWorkflowStatus: COPY_FAILED
            createdAt: 2023-03-28T18:12:06.436Z
            message: "yes: 1"
""".replace(b", message: }", b"}")
    baseline = load(write(tmp_path, "seed.yaml", text))
    first, second = baseline["0" * 32][MANY]
    assert (first.version_id, first.created_at, first.is_primary) == ("1", 1680027126.436, True)
    assert (second.created_at, second.message) == (1680027126.436, "yes: 1")


def test_a_folder_and_files_are_merged(tmp_path: Path) -> None:
    write(tmp_path, "b.json", document(VERSION))
    other = {"datastores": [{"datastoreId": D, "imageSets": [{"imageSetId": "b" * 32, "versions": [VERSION]}]}]}
    write(tmp_path, "a.yml", other)
    write(tmp_path, "notes.txt", b"not a seed")
    baseline = load(tmp_path, {"datastores": [{"datastoreId": "e" * 32}]})
    assert {id: list(image_sets) for id, image_sets in baseline.items()} == {D: ["b" * 32, ID], "e" * 32: []}


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    seeds.load(write(tmp_path, "seed.json", b"\xef\xbb\xbf" + json.dumps(document(VERSION)).encode()))


def test_generate_makes_a_history() -> None:
    history = only(load(document(generate={"versions": 9, "failed": 2, "createdAt": "2024-01-01T00:00:00Z"})))
    assert (len(history), history[0].created_at) == (9, 1704067200.0)


def test_what_is_dumped_loads_again() -> None:
    baseline = load(ROOT / "fixtures" / "demo.json")
    assert load(json.loads(seeds.dump(baseline))) == baseline


# What is refused.

VERSIONS = "$.datastores[0].imageSets[0].versions"
REFUSED = [
    ([], "$", "Expected `object`, got `array`"),
    ({"datastores": [{}]}, "$.datastores[0]", "Object missing required field `datastoreId`"),
    ({"datastores": [], "x": 1}, "$", "Object contains unknown field `x`"),
    ({"datastores": [{"datastoreId": "D" * 32}]}, "$.datastores[0].datastoreId", "regex '[0-9a-z]{32}'"),
    (
        {"datastores": [{"datastoreId": D}, {"datastoreId": D}]},
        "$.datastores[1].datastoreId",
        f"data store {D} stands twice in this document",
    ),
    (
        {"datastores": [{"datastoreId": D, "imageSets": [{"imageSetId": ID, "versions": [VERSION]}] * 2}]},
        "$.datastores[0].imageSets[1].imageSetId",
        f"image set {ID} is in seed.json already",
    ),
    ({"imageSetPropertiesList": []}, "$", "the entries inside it go under an image set's versions"),
    (document(), VERSIONS, "length >= 1"),
    (document(generate={}), "$.datastores[0].imageSets[0].generate", "missing required field `versions`"),
    (document(x=1), "$.datastores[0].imageSets[0]", "unknown field `x`"),
    (document(generate=None), "$.datastores[0].imageSets[0]", "either versions or generate"),
    (
        document(versions=[VERSION], generate={"versions": 1}),
        "$.datastores[0].imageSets[0]",
        "either versions or generate",
    ),
    (document(generate={"versions": 0}), "$.datastores[0].imageSets[0].generate.versions", ">= 1"),
    (document(generate={"versions": 3, "failed": 3}), "$.datastores[0].imageSets[0].generate", "failed must be less"),
    (document(generate={"versions": 1, "createdAt": 253402300000}), "$.datastores[0].imageSets[0].generate", "9999"),
    (document(VERSION, VERSION), VERSIONS, "version 1 stands twice"),
    (document(VERSION, VERSION | {"versionId": "01"}), VERSIONS, "stands twice"),
    (version(versionId="one"), f"{VERSIONS}[0].versionId", "regex '[0-9]+'"),
    (version(versionId=1), f"{VERSIONS}[0].versionId", "Expected `str`, got `int`"),
    (version(versionId="1" * 19), f"{VERSIONS}[0].versionId", "length <= 18"),
    (
        version(imageSetState="GONE"),
        f"{VERSIONS}[0].imageSetState",
        "Invalid enum value 'GONE': it is one of ACTIVE, LOCKED, DELETED",
    ),
    (version(ImageSetWorkflowStatus="X"), f"{VERSIONS}[0].ImageSetWorkflowStatus", "Invalid enum value 'X'"),
    (
        version(imageSetWorkflowStatus="UPDATED"),
        f"{VERSIONS}[0]",
        "unknown field `imageSetWorkflowStatus`: this operation spells it ImageSetWorkflowStatus",
    ),
    (version(imageSetId="b" * 32), f"{VERSIONS}[0].imageSetId", f"{'b' * 32} is not the id of the image set"),
    (version(message=""), f"{VERSIONS}[0].message", "length >= 1"),
    (version(message="é"), f"{VERSIONS}[0].message", "regex '[A-Za-z0-9_ -:`]+'"),
    (version(message="x" * 2049), f"{VERSIONS}[0].message", "length <= 2048"),
    (version(overrides={"force": True}), f"{VERSIONS}[0].overrides", "unknown field `force`"),
    (version(createdAt="yesterday"), f"{VERSIONS}[0].createdAt", "write it as 2023-03-28T18:12:06.436Z"),
    (version(createdAt="2024-01-01T00:00:00"), f"{VERSIONS}[0].createdAt", "timezone"),
    (version(createdAt="1969-12-31T23:59:59Z"), f"{VERSIONS}[0].createdAt", "1970 to 9999"),
    (version(createdAt=-0.0004), f"{VERSIONS}[0].createdAt", "1970 to 9999"),
    (version(deletedAt=-1), f"{VERSIONS}[0].deletedAt", "1970 to 9999"),
    (version(updatedAt=253402300799.9996), f"{VERSIONS}[0].updatedAt", "1970 to 9999"),
    (version(createdAt=True), f"{VERSIONS}[0].createdAt", "got `bool`"),
]


@pytest.mark.parametrize(("content", "path", "rule"), REFUSED, ids=[rule for *_, rule in REFUSED])
def test_a_bad_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, path: str, rule: str) -> None:
    monkeypatch.chdir(tmp_path)
    error = refusal(write(tmp_path, "seed.json", content).name)
    assert (error.source, error.path) == ("seed.json", path)
    assert rule in error.rule
    assert str(error) == f"seed.json: {path}: {error.rule}"


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("seed.json", b"", "truncated"),
        ("seed.json", b'{"datastores": [}', "malformed"),
        ("seed.json", b"\xff\xfe", "malformed"),
        ("seed.json", b'{"datastores": [], "datastores": []}', "'datastores' stands twice"),
        ("seed.yaml", b"datastores: []\ndatastores: []", "'datastores' stands twice"),
        ("seed.yaml", b"datastores: [", "flow"),
        ("seed.yaml", b"datastores: &a [*a]", "recursive"),
        ("seed.yaml", b"? [a]\n: b", "hashable"),
        ("seed.yaml", b"[" * 400, "nested too deeply"),
        ("seed.yaml", b"[" * 100_000, "nest"),  # libyaml may say it before we do
        ("seed.json", b'{"datastores": [{"datastoreId": "caf\xe9"}]}', "not UTF-8"),
        ("seed.json", b"[" * 100_000, "Expected `object`"),
        ("seed.yaml", b"", "Expected `object`, got `null`"),
        ("seed.yaml", b"\x00", "not allowed"),
        ("seed.yaml", b"!!python/object/apply:os.abort []", "Expected `object`"),
        ("seed.txt", b"{}", "ends in .json, .yaml or .yml"),
    ],
)
def test_a_file_that_is_no_seed(tmp_path: Path, name: str, content: bytes, rule: str) -> None:
    error = refusal(write(tmp_path, name, content))
    assert error.source == str(tmp_path / name)
    assert rule in error.rule


def test_a_key_given_twice_deep_inside(tmp_path: Path) -> None:
    text = json.dumps(document(VERSION)).replace('"versionId": "1"', '"versionId": "1", "versionId": "2"')
    assert "'versionId' stands twice" in refusal(write(tmp_path, "seed.json", text.encode())).rule


def test_times_beyond_numbers_in_yaml(tmp_path: Path) -> None:
    for time in (".nan", "nan", "inf", "1e400", "5_0"):
        text = json.dumps(version(createdAt="T")).replace('"T"', time)
        refusal(write(tmp_path, "seed.yaml", text.encode()))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.json").rule == "No such file or directory"


@pytest.mark.parametrize("name", ["", "a" * 300 + ".json", "a\0.json", "none", "none/a.json"])
def test_a_path_that_cannot_be(name: str) -> None:
    assert refusal(name).rule


def test_an_alias_bomb(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)), "? *a11\n: x"]
    refusal(write(tmp_path, "seed.yaml", "\n".join(lines).encode()))


def test_a_folder_without_a_seed(tmp_path: Path) -> None:
    assert "none does here" in refusal(tmp_path).rule


def test_the_same_image_set_in_two_files(tmp_path: Path) -> None:
    first, second = (write(tmp_path, name, document(VERSION)) for name in ("1.json", "2.json"))
    error = refusal(tmp_path)
    assert error.source == str(second)
    assert f"is in {first} already" in error.rule


# What is doubted.


@pytest.mark.parametrize(
    ("members", "doubt"),
    [
        ({"imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATING"}, "never seen to show ACTIVE with UPDATING"),
        ({"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATED"}, "never seen to show LOCKED with UPDATED"),
        ({"imageSetState": "DELETED", "ImageSetWorkflowStatus": "CREATED"}, "never seen to show DELETED with CREATED"),
        ({"ImageSetWorkflowStatus": "UPDATED", "message": "x"}, "only a failed version has a message"),
        ({"message": "x"}, "only a failed version has a message"),
        ({"updatedAt": 5}, "version 1 has no updatedAt"),
    ],
)
def test_what_the_service_never_shows_is_a_warning(
    caplog: pytest.LogCaptureFixture, members: dict[str, Any], doubt: str
) -> None:
    seeds.load(version(**members))
    (message,) = caplog.messages
    assert message.startswith(f"warning: document: {VERSIONS}[0]: ")
    assert doubt in message


def test_two_times_of_creation_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    seeds.load(document(VERSION | {"createdAt": 1}, VERSION | {"versionId": "2", "createdAt": 2}))
    assert caplog.messages == [
        f"warning: document: {VERSIONS}[1]: createdAt is the same on all versions of an image set"
    ]


# The schema.


def test_the_schema_accepts_what_ships_and_refuses_what_is_refused() -> None:
    schema = seeds.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in ("demo", "aws-sample"):
        validator.validate(json.loads((ROOT / "fixtures" / f"{name}.json").read_text()))
    refused = [rule for content, _, rule in REFUSED if not validator.is_valid(content)]
    assert {"length >= 1", "unknown field `x`", "regex '[0-9]+'"} <= set(refused)
