"""All mistakes in seeds, each with its line and the id of its image set."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import InvalidError
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.seeds.mistakes import find_mistakes
from tests.seeds.test_loader import ID, REFUSED, VERSION, D, document, write


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def find(text: str, name: str = "seed.yaml") -> list[str]:
    """Write a file, and return the lines of its mistakes."""
    Path(name).write_text(text)
    lines, count = find_mistakes(name)
    assert len(lines) == count
    return lines


@pytest.mark.parametrize(("content", "path", "message"), REFUSED, ids=[message[:60] for *_, message in REFUSED])
def test_a_mistake_that_stops_loading_is_found_alone(content: Any, path: str, message: str) -> None:
    is_inside = path.startswith("$.datastores[0].imageSets[") and ID not in message
    beside = f" (image set {ID})" if is_inside else ""
    assert find(json.dumps(content), "seed.json") == [f"seed.json:1: {path}: {message}{beside}"]


FIRST, SECOND = "a" * 32, "b" * 32
TWO_IMAGE_SETS = f"""
datastores:
- datastoreId: {D}
  imageSets:
  - imageSetId: {FIRST}
    versions:
    - versionId: 1
      imageSetState: ACTIV
      createdAt: yesterday
    - {{versionId: 2, imageSetState: ACTIVE, createdAt: -1}}
    - {{imageSetState: ACTIVE, imageSetStatus: x}}
    metadata: nowhere.json
  - imageSetId: {SECOND}
    generate: {{versions: 3, failed: 3}}
  - versions: 5
faults:
- {{error: {{}}, latency: {{seconds: -1}}}}
- {{}}
extra: 1
"""


def test_all_mistakes_are_found_in_the_order_of_their_lines() -> None:
    state = "Invalid enum value 'ACTIV': expected one of ACTIVE, DELETED, LOCKED"
    time = "Invalid RFC3339 encoded datetime: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds"
    early = "invalid time -1.0: expected a time in the years 1970 to 9999, in epoch seconds"
    effects = "error, rateLimit, pagination, corrupt, connection, workflow, respond, latency"
    sets, first, second = "$.datastores[0].imageSets", f"(image set {FIRST})", f"(image set {SECOND})"
    assert find(TWO_IMAGE_SETS) == [
        "seed.yaml:2: $: Object contains unknown field `extra`: expected one of datastores, imports, faults",
        f"seed.yaml:8: {sets}[0].versions[0].imageSetState: {state} {first}",
        f"seed.yaml:9: {sets}[0].versions[0].createdAt: {time} {first}",
        f"seed.yaml:10: {sets}[0].versions[1].createdAt: {early} {first}",
        f"seed.yaml:11: {sets}[0].versions[2]: Object contains unknown field `imageSetStatus` "
        f"(did you mean imageSetState?) {first}",
        f"seed.yaml:11: {sets}[0].versions[2]: Object missing required field `versionId` {first}",
        f"seed.yaml:12: {sets}[0].metadata: nowhere.json: No such file or directory {first}",
        f"seed.yaml:14: {sets}[1].generate: failed must be less than versions, since version 1 never fails {second}",
        f"seed.yaml:15: {sets}[2].versions: Expected `array | null`, got a single value",
        f"seed.yaml:15: {sets}[2]: Object missing required field `imageSetId`",
        "seed.yaml:17: $.faults[0].error: Object missing required field `code`",
        "seed.yaml:17: $.faults[0].latency.seconds: Expected `float` >= 0.0",
        f"seed.yaml:18: $.faults[1]: a fault needs an effect: {effects}",
    ]


def test_a_seed_without_mistakes_has_none() -> None:
    assert find(json.dumps(document(VERSION)), "seed.json") == []


def test_versions_that_are_given_twice_are_all_found() -> None:
    versions = [VERSION | {"versionId": id} for id in ("1", "2", "1", "01", "3", "2")]
    versions.append({})
    path = "$.datastores[0].imageSets[0].versions"
    assert find(json.dumps(document(*versions)), "seed.json") == [
        f"seed.json:1: {path}[6]: Object missing required field `imageSetState` (image set {ID})",
        f"seed.json:1: {path}[6]: Object missing required field `versionId` (image set {ID})",
        f"seed.json:1: {path}: version 1 is given twice (image set {ID})",
        f"seed.json:1: {path}: version 2 is given twice (image set {ID})",
    ]


def test_ids_that_are_given_twice_are_found_in_all_files() -> None:
    fault = {"id": "a", "latency": {"seconds": 1}}
    datastore = document(VERSION)["datastores"][0]
    write(Path(), "a.json", {"datastores": [datastore, datastore], "faults": [fault, fault]})
    write(Path(), "b.json", {"datastores": [datastore], "faults": [fault | {"skip": -1}, fault]})
    given = f"image set {ID} is in a.json already"
    assert find_mistakes("a.json", "b.json") == (
        [
            f"a.json:1: $.datastores[1].datastoreId: data store {D} is given twice in this document",
            f"a.json:1: $.datastores[1].imageSets[0].imageSetId: {given}",
            "a.json:1: $.faults[1].id: there is a fault a already",
            "b.json:1: $.faults[0].skip: Expected `int` >= 0",
            f"b.json:1: $.datastores[0].imageSets[0].imageSetId: {given}",
            "b.json:1: $.faults[1].id: there is a fault a already",
        ],
        6,
    )


@pytest.mark.parametrize("ids", [{"datastoreId": "x"}, {"imageSetId": "x"}, {"datastoreId": "x", "imageSetId": "x"}])
def test_a_mistaken_id_hides_no_mistake_inside_and_makes_none(ids: dict[str, str]) -> None:
    seed = document(VERSION | {"imageSetId": ID}, VERSION | {"versionId": "2", "createdAt": -1})
    (datastore,) = seed["datastores"]
    (image_set,) = datastore["imageSets"]
    datastore["datastoreId"] = ids.get("datastoreId", D)
    image_set["imageSetId"] = ids.get("imageSetId", ID)
    mistakes = find(json.dumps(seed), "seed.json")
    assert len(mistakes) == len(ids) + 1
    path = "$.datastores[0].imageSets[0].versions[1].createdAt"
    assert mistakes[-1].startswith(f"seed.json:1: {path}: invalid time -1.0: ")


STUDY = {"Study": {"Series": {"1.2": {"Instances": {"1.3": {"ImageFrames": [{"ID": "c" * 32}]}}}}}}


def test_files_beside_the_seed_are_all_checked() -> None:
    frames = {"c" * 32: "none.bin", "C": {"base64": "AA=="}, "d" * 32: {"base64": "?"}}
    versions = [VERSION | {"metadata": "none.json"}, VERSION | {"versionId": "2", "metadata": {"Patient": 1}}]
    path = "$.datastores[0].imageSets[0]"
    assert find(json.dumps(document(versions=versions, frames=frames, metadata=7)), "seed.json") == [
        f"seed.json:1: {path}.frames.C: Expected `str` matching regex '[0-9a-z]{{32}}' (image set {ID})",
        f"seed.json:1: {path}.frames.{'d' * 32}.base64: Invalid base64 encoded string (image set {ID})",
        f"seed.json:1: {path}.metadata: Expected `str | object | null`, got `int` (image set {ID})",
        f"seed.json:1: {path}.versions[0].metadata: none.json: No such file or directory (image set {ID})",
        f"seed.json:1: {path}.versions[1].metadata.Patient: expected an object (image set {ID})",
        f"seed.json:1: {path}.frames.{'c' * 32}: none.bin: No such file or directory (image set {ID})",
    ]


def test_frames_that_no_metadata_names_are_all_found() -> None:
    frames = {letter * 32: {"base64": "AA=="} for letter in "bcd"}
    path = "$.datastores[0].imageSets[0].frames"
    assert find(json.dumps(document(versions=[VERSION], frames=frames, metadata=STUDY)), "seed.json") == [
        f"seed.json:1: {path}.{letter * 32}: no metadata of the image set names the frame {letter * 32} "
        f"(image set {ID})"
        for letter in "bd"
    ]


def test_many_mistakes_are_counted(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        write(tmp_path, name, b"faults:\n" + b"- {skip: -1}\n" * 60)
    lines, count = find_mistakes("a.yaml", "b.yaml")
    mistake = "skip: Expected `int` >= 0"
    assert (len(lines), count) == (100, 120)
    assert lines[-1] == f"b.yaml:41: $.faults[39].{mistake}"


# Lines.


def test_the_line_is_that_of_the_name_or_the_entry_and_otherwise_of_what_is_around_it() -> None:
    text = f"""
datastores:
-
  datastoreId:
    x
- datastoreId: {D}
  imageSets:
  - imageSetId: {ID}
    versions: [{{versionId: 1, imageSetState: ACTIVE}}]
    metadata:
      Study:
        Series: {{"1.2": {{}},
          "1.3": 5}}
faults:
- &fault {{latency: {{seconds: x}}}}
-
  *fault
"""
    seconds = "latency.seconds: Expected `float`, got a single value"
    assert find(text) == [
        "seed.yaml:4: $.datastores[0].datastoreId: Expected `str` matching regex '[0-9a-z]{32}'",
        f"seed.yaml:13: $.datastores[1].imageSets[0].metadata.Study.Series.1.3: expected an object (image set {ID})",
        f"seed.yaml:15: $.faults[0].{seconds}",
        f"seed.yaml:17: $.faults[1].{seconds}",
    ]


def test_json_with_tabs_and_escapes_has_lines() -> None:
    text = '{"datastores":\n\t[{"datastoreId":\n\t"\\u0061\\/"}]}'
    assert find(text, "seed.json") == [
        "seed.json:2: $.datastores[0].datastoreId: Expected `str` matching regex '[0-9a-z]{32}'"
    ]


def test_json_that_is_not_yaml_has_no_lines() -> None:
    assert find('{"datastores":\n[{"datastoreId": "x"},\n{"datastoreId": "\\ud83d\\ude00"}]}', "seed.json") == [
        f"seed.json: $.datastores[{index}].datastoreId: Expected `str` matching regex '[0-9a-z]{{32}}'"
        for index in (0, 1)
    ]


@pytest.mark.parametrize(
    ("name", "content", "mistake"),
    [
        ("a.json", b'{"faults":\n[\n{]}', "a.json:3: $: JSON is malformed: object keys must be strings (byte 14)"),
        ("a.json", b"", "a.json: $: Input data was truncated"),
        ("a.json", b'{"faults": [], "faults": []}', "a.json: $: the key 'faults' is given twice in one object"),
        ("a.json", b'{"faults": "\xe9"}', "a.json: $: the text is not UTF-8"),
        (
            "a.yaml",
            b"faults:\n- [1\n\n}",
            "a.yaml:4: $: while parsing a flow sequence in line 2, column 3 did not find expected ',' or ']' "
            "in line 4, column 1",
        ),
        ("a.yaml", b"[" * 101, "a.yaml: $: the document is nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_mistake_and_others_are_checked(
    name: str, content: bytes, mistake: str
) -> None:
    write(Path(), name, content)
    write(Path(), "b.yaml", b"faults: 5")
    assert find_mistakes(".") == ([mistake, "b.yaml:1: $.faults: Expected `array`, got a single value"], 2)


def test_a_file_that_cannot_be_opened_is_one_mistake_and_others_are_checked() -> None:
    Path("a.json").mkdir()
    write(Path(), "b.yaml", b"faults: 5")
    assert find_mistakes(".", "none.json", "b.txt", "b.yaml") == (
        [
            "a.json: Is a directory",
            "b.yaml:1: $.faults: Expected `array`, got a single value",
            "none.json: No such file or directory",
            "b.txt: No such file or directory",
            "b.yaml:1: $.faults: Expected `array`, got a single value",
        ],
        5,
    )


# Together with loading.


def test_numbers_in_metadata_of_yaml_are_no_mistakes() -> None:
    metadata = "{Study: {Series: {1.2: {Instances: {1.3: {ImageFrames: null}}}}}}"
    versions = f"[{{versionId: 1, imageSetState: ACTIVE, metadata: {metadata}}}]"
    image_sets = f"[{{imageSetId: {ID}, metadata: {metadata}, versions: {versions}, x: 1}}]"
    (mistake,) = find(f"datastores: [{{datastoreId: {D}, imageSets: {image_sets}}}]")
    assert "unknown field `x`" in mistake


def test_warnings_are_those_of_loading(caplog: pytest.LogCaptureFixture) -> None:
    seed = document(VERSION | {"message": "x"})
    summary = {"datastoreId": "x", "datastoreName": "n", "datastoreStatus": "ACTIVE"}
    seed["faults"] = [{"match": {"operation": "ListDatastores"}, "respond": {"datastoreSummaries": [summary]}}, {}]
    write(Path(), "seed.json", seed)
    with pytest.raises(InvalidError):
        load_seed("seed.json")
    before = list(caplog.messages)
    assert len(before) == 2
    assert find_mistakes("seed.json")[1] == 1
    assert caplog.messages == before
    logging.getLogger("healthimaging_emulator.seeds").warning("still heard")
    assert caplog.messages == [*before, "still heard"]


def test_mistakes_of_data_stores_are_found_too(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    late = {"createdAt": 1e12, "imageSets": [{"imageSetId": "a" * 32}]}
    generated = {"generate": {"imageSets": 1, "createdAt": 253402300000}}
    datastores = [{"datastoreId": "1" * 32} | late, {"datastoreId": "2" * 32} | generated]
    seed.write_text(json.dumps({"datastores": datastores}, indent=1))
    lines, count = find_mistakes(seed)
    years = "expected a time in the years 1970 to 9999, in epoch seconds"
    assert [line.partition(": ")[2] for line in lines] == [
        f"$.datastores[0].createdAt: invalid time 1000000000000.0: {years}",
        f"$.datastores[0].imageSets[0]: an image set needs versions or generate (image set {'a' * 32})",
        f"$.datastores[1].generate: invalid time 253433922461.0: {years}",
    ]
    assert count == 3


def test_two_documents_that_describe_a_data_store_are_a_mistake(tmp_path: Path) -> None:
    for name in ("a", "b"):
        document = {"datastores": [{"datastoreId": "1" * 32, "datastoreName": name}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    lines, _ = find_mistakes(tmp_path)
    assert lines == [f"{tmp_path}/b.json:1: $.datastores[0]: another document describes this data store"]
