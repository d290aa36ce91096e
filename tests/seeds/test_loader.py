"""Seeds: which documents are loaded, and which are refused with the path and the reason."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pydicom
import pytest

from healthimaging_emulator import Emulator, Fault, InvalidError
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.healthimaging.history import History
from healthimaging_emulator.healthimaging.records import Version
from healthimaging_emulator.healthimaging.shapes.image_set import ImageSetWorkflowStatus
from healthimaging_emulator.seeds.document import SeedDocument, make_schema
from healthimaging_emulator.seeds.loader import build_seed, count_document, find_fixture, load_seed
from healthimaging_emulator.seeds.writer import write_seed
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


def only(baseline: Baseline) -> History[Version]:
    ((image_set,),) = (image_sets.values() for image_sets in baseline.values())
    return image_set.history


def load(*sources: Any) -> Baseline:
    return load_seed(*sources).baseline


def refusal(*sources: Any) -> InvalidError:
    with pytest.raises(InvalidError) as raised:
        load_seed(*sources)
    assert "\n" not in str(raised.value)
    return raised.value


# Loading.


def test_the_sample_fixture_is_the_one_that_aws_publishes() -> None:
    baseline = load(ROOT / "fixtures" / "aws-sample.json")
    history = baseline[DATASTORE][SAMPLE].history
    assert [(each.version_id, each.image_set_workflow_status) for each in history] == [
        ("1", "COPIED"),
        ("2", "COPY_FAILED"),
        ("3", "UPDATED"),
        ("4", "UPDATED"),
    ]


def test_the_demo_has_every_status_and_page_length(caplog: pytest.LogCaptureFixture) -> None:
    baseline = load(ROOT / "fixtures" / "demo.json")
    first = baseline[DATASTORE]
    assert set(baseline) == {DATASTORE, OTHER_DATASTORE}
    assert [len(first[id].history) for id in (ONE, FIFTY, FIFTY_ONE, MANY)] == [1, 50, 51, 137]
    statuses = {image_set.latest.image_set_workflow_status for image_set in first.values()}
    assert statuses == set(get_args(ImageSetWorkflowStatus))
    for status in statuses:
        assert first[str(status).replace("_", "").lower().ljust(32, "0")].latest.image_set_workflow_status == status
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
def test_times_are_epoch_seconds_or_iso_8601(written: Any, seconds: float) -> None:
    (loaded,) = only(load(version(createdAt=written)))
    assert loaded.created_at == seconds


def test_an_entry_that_the_aws_cli_printed_can_be_pasted() -> None:
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


def test_yaml_is_read_as_the_types_want_it(tmp_path: Path) -> None:
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
    first, second = baseline["0" * 32][MANY].history
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
    load(write(tmp_path, "seed.json", b"\xef\xbb\xbf" + json.dumps(document(VERSION)).encode()))


def test_generate_makes_a_history() -> None:
    history = only(load(document(generate={"versions": 9, "failed": 2, "createdAt": "2024-01-01T00:00:00Z"})))
    assert (len(history), history[0].created_at) == (9, 1704067200.0)


def test_a_seed_that_is_written_loads_again() -> None:
    seed = load_seed(ROOT / "fixtures" / "demo.json", {"faults": [{"id": "a", "latency": {"seconds": 1.5}}]})
    assert load_seed(json.loads(write_seed(seed.baseline, seed.faults))) == seed


def test_a_bundled_seed_is_found_by_its_name() -> None:
    assert find_fixture("demo.json") == ROOT / "fixtures" / "demo.json"


def test_data_stores_and_versions_are_counted_before_they_are_made() -> None:
    image_sets = [
        {"imageSetId": ID, "generate": {"versions": 10_000_000}},
        {"imageSetId": ONE, "versions": [VERSION, VERSION]},
    ]
    datastores = [{"datastoreId": D, "imageSets": image_sets}, {"datastoreId": DATASTORE}]
    assert count_document(msgspec.convert({"datastores": datastores}, SeedDocument)) == 10_000_004


def test_documents_are_merged_under_their_names() -> None:
    first, second = (msgspec.convert(document(VERSION), SeedDocument) for _ in range(2))
    assert len(only(build_seed([("first", None, first)]).baseline)) == 1
    with pytest.raises(InvalidError) as raised:
        build_seed([("first", None, first), ("second", None, second)])
    where = "$.datastores[0].imageSets[0].imageSetId"
    assert str(raised.value) == f"second: {where}: image set {ID} is in first already"


# Faults.


def test_faults_come_from_seeds_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "faults").mkdir()
    write(tmp_path / "faults", "b.json", [{"id": "b", "error": {"code": "ThrottlingException"}}])
    write(tmp_path / "faults", "c.yaml", b"[{id: c, latency: {seconds: 1}}]")
    seed = load_seed({"faults": [{"id": "a", "latency": {"seconds": 0}}]}, faults=tmp_path / "faults")
    assert seed.faults == (
        Fault.latency(0, id="a"),
        Fault.error("ThrottlingException", id="b"),
        Fault.latency(1, id="c"),
    )


def test_a_seed_may_have_more_faults_than_an_account_may_add() -> None:
    assert len(load_seed({"faults": [{"latency": {"seconds": 0}}] * 2000}).faults) == 2000


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ([{"id": "a", "latency": {"seconds": 0}}], "$[0].id", "there is a fault a already"),
        ([{"latency": {"seconds": -1}}], "$[0].latency.seconds", "Expected `float` >= 0.0"),
        ([{"id": "b", "latency": {"seconds": 0}}] * 2, "$[1].id", "there is a fault b already"),
        ({"faults": []}, "$", "Expected `array`, got `object`"),
    ],
)
def test_a_mistaken_file_of_faults_is_refused(tmp_path: Path, content: Any, path: str, message: str) -> None:
    file = write(tmp_path, "faults.json", content)
    with pytest.raises(InvalidError) as raised:
        load_seed({"faults": [{"id": "a", "latency": {"seconds": 0}}]}, faults=file)
    assert str(raised.value) == f"{file}: {path}: {message}"


def test_a_fault_of_a_seed_whose_id_is_taken_is_refused() -> None:
    fault = {"id": "a", "latency": {"seconds": 0}}
    assert str(refusal({"faults": [fault]}, {"faults": [{"latency": {"seconds": 0}}, fault]})) == (
        "document: $.faults[1].id: there is a fault a already"
    )


# Metadata.

STUDY = {"Study": {"DICOM": {"StudyID": "1", "NumberOfSeries": 2, "Weight": 1.5, "Note": None, "List": [1, "a"]}}}
OTHER_STUDY = {"Study": {"DICOM": {"StudyID": "2"}}}
HEAD = {"SchemaVersion": "1.1", "DatastoreID": D, "ImageSetID": ID}
TWO = [VERSION, VERSION | {"versionId": "2"}]


def documents(*sources: Any) -> list[dict[str, Any] | None]:
    return [version.metadata.parse() if version.metadata else None for version in only(load(*sources))]


def test_the_metadata_of_an_image_set_is_that_of_all_its_versions() -> None:
    assert documents(document(versions=TWO, metadata=STUDY)) == [HEAD | STUDY] * 2
    assert documents(document(generate={"versions": 2}, metadata=STUDY)) == [HEAD | STUDY] * 2


def test_a_version_may_have_metadata_of_its_own() -> None:
    versions = [VERSION, VERSION | {"versionId": "2", "metadata": OTHER_STUDY}]
    assert documents(document(versions=versions)) == [None, HEAD | OTHER_STUDY]
    assert documents(document(versions=versions, metadata=STUDY)) == [HEAD | STUDY, HEAD | OTHER_STUDY]


def test_the_ids_in_the_metadata_are_those_of_the_image_set() -> None:
    given = {"SchemaVersion": "0", "DatastoreID": "x", "ImageSetID": "y"} | STUDY
    assert documents(document(versions=[VERSION], metadata=given)) == [HEAD | STUDY]


def test_metadata_may_be_a_file_beside_the_seed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    write(tmp_path / "inside", "study.json", STUDY)
    write(tmp_path, "other.json", OTHER_STUDY)
    versions = [VERSION, VERSION | {"versionId": "2", "metadata": "other.json"}]
    seed = write(tmp_path, "seed.json", document(versions=versions, metadata="inside/study.json"))
    assert documents(seed) == [HEAD | STUDY, HEAD | OTHER_STUDY]
    write(tmp_path, "seed.yaml", json.dumps(document(versions=versions, metadata="inside/study.json")).encode())
    assert documents(tmp_path / "seed.yaml") == [HEAD | STUDY, HEAD | OTHER_STUDY]


def test_a_client_gets_the_metadata_of_a_seed(tmp_path: Path) -> None:
    write(tmp_path, "study.json", STUDY)
    seed = write(tmp_path, "seed.json", document(versions=TWO, metadata="study.json"))
    answer = Emulator.from_seed(seed).client().get_image_set_metadata(datastoreId=D, imageSetId=ID, versionId="1")
    assert json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read())) == HEAD | STUDY


def test_metadata_in_yaml_keeps_its_numbers_words_and_quoted_texts(tmp_path: Path) -> None:
    text = f"""
datastores:
  - datastoreId: {D}
    imageSets:
      - imageSetId: {ID}
        metadata:
          Patient:
            DICOM: {{PatientID: "0012", PatientAge: 12, PatientWeight: 70.5, PatientName: ~, Quoted: 'true'}}
          Study:
            DICOM:
              StudyID: 0012
              StudyDate: 20240101
              Empty:
              Modalities: [CT, null, true, -1, 1e3]
              Text: |
                12
        versions:
          - versionId: 1
            imageSetState: ACTIVE
            metadata: {{Study: {{DICOM: {{Rows: 512}}}}}}
          - {{versionId: 2, imageSetState: ACTIVE}}
"""
    patient = {"PatientID": "0012", "PatientAge": 12, "PatientWeight": 70.5, "PatientName": None, "Quoted": "true"}
    study = {
        "StudyID": "0012",
        "StudyDate": 20240101,
        "Empty": None,
        "Modalities": ["CT", None, True, -1, 1000.0],
        "Text": "12\n",
    }
    first, second = documents(write(tmp_path, "seed.yaml", text.encode()))
    assert first == HEAD | {"Study": {"DICOM": {"Rows": 512}}}
    assert second == HEAD | {"Patient": {"DICOM": patient}, "Study": {"DICOM": study}}


IN_RANGE = "expected a time in the years 1970 to 9999, in epoch seconds"
IMAGE_SET = "$.datastores[0].imageSets[0]"


@pytest.mark.parametrize(
    ("metadata", "path", "message"),
    [
        (1, "", "Expected `str | object | null`, got `int`"),
        ([], "", "Expected `str | object | null`, got `array`"),
        ({"Study": 1}, ".Study", "expected an object"),
        ({"Patient": {"DICOM": []}}, ".Patient.DICOM", "expected an object"),
        ({"Study": {"Series": {"1.2": 1}}}, ".Study.Series.1.2", "expected an object"),
        (
            {"Study": {"Series": {"1.2": {"Instances": {"1.3": 1}}}}},
            ".Study.Series.1.2.Instances.1.3",
            "expected an object",
        ),
        (
            {"Study": {"Series": {"1.2": {"Instances": {"1.3": {"ImageFrames": 5}}}}}},
            ".Study.Series.1.2.Instances.1.3.ImageFrames",
            "expected a list",
        ),
        (
            {"Study": {"Series": {"1.2": {"Instances": {"1.3": {"StoredTransferSyntaxUID": ["x"]}}}}}},
            ".Study.Series.1.2.Instances.1.3.StoredTransferSyntaxUID",
            "expected a string",
        ),
        ("list.json", "", "list.json: Expected `object`, got `array`"),
        ("broken.json", "", "broken.json: Input data was truncated"),
        ("twice.json", "", "twice.json: the key 'a' is given twice in one object"),
        ("latin.json", "", "latin.json: the text is not UTF-8"),
        ("nowhere.json", "", "nowhere.json: No such file or directory"),
        ("a\0b.json", "", "a\0b.json: embedded null byte"),
        (".", "", ".: Is a directory"),
        ("", "", ": Is a directory"),
    ],
)
def test_mistaken_metadata_is_refused(tmp_path: Path, metadata: Any, path: str, message: str) -> None:
    write(tmp_path, "list.json", [1])
    write(tmp_path, "broken.json", b"{")
    write(tmp_path, "twice.json", b'{"a": 1, "a": 1}')
    write(tmp_path, "latin.json", b'{"a": "\xe9"}')
    of_all = write(tmp_path, "seed.json", document(versions=[VERSION], metadata=metadata))
    assert str(refusal(of_all)) == f"{of_all}: {IMAGE_SET}.metadata{path}: {message}"
    of_one = write(tmp_path, "seed.json", document(versions=[*TWO[:1], TWO[1] | {"metadata": metadata}]))
    assert str(refusal(of_one)) == f"{of_one}: {IMAGE_SET}.versions[1].metadata{path}: {message}"


def test_a_document_cannot_name_a_file() -> None:
    told = "metadata can name a file only in a seed that is a file"
    assert str(refusal(document(versions=[VERSION], metadata="a.json"))) == f"document: {IMAGE_SET}.metadata: {told}"


@pytest.mark.parametrize(
    "image_set",
    [
        {"versions": TWO},
        {"versions": TWO, "metadata": STUDY},
        {"generate": {"versions": 3}, "metadata": STUDY},
        {"versions": [VERSION, VERSION | {"versionId": "2", "metadata": STUDY}]},
        {"versions": [VERSION, VERSION | {"versionId": "2", "metadata": OTHER_STUDY}], "metadata": STUDY},
    ],
)
def test_metadata_survives_an_export(image_set: Any) -> None:
    emulator = Emulator.from_seed(document(**image_set))
    exported = json.loads(emulator.account().export_seed())
    assert load_seed(exported) == emulator.seed


def test_metadata_of_all_versions_is_exported_once() -> None:
    emulator = Emulator.from_seed(document(versions=TWO, metadata=STUDY))
    exported = json.loads(emulator.account().export_seed())
    (image_set,) = exported["datastores"][0]["imageSets"]
    assert image_set["metadata"] == HEAD | STUDY
    assert not [version for version in image_set["versions"] if "metadata" in version]


def test_the_metadata_that_most_versions_have_is_exported_once() -> None:
    emulator = Emulator.from_seed(document(versions=TWO, metadata=STUDY))
    (handle,) = emulator.datastores[0].image_sets
    handle.append(image_set_state="ACTIVE", metadata=OTHER_STUDY)
    exported = json.loads(emulator.account().export_seed())
    (image_set,) = exported["datastores"][0]["imageSets"]
    assert image_set["metadata"] == HEAD | STUDY
    assert [version.get("metadata") for version in image_set["versions"]] == [HEAD | OTHER_STUDY, None, None]
    (loaded,) = Emulator.from_seed(exported).datastores[0].image_sets
    assert [loaded.metadata(each.version_id) for each in loaded.versions] == [
        HEAD | OTHER_STUDY,
        HEAD | STUDY,
        HEAD | STUDY,
    ]


def test_a_deleted_image_set_is_exported_without_metadata() -> None:
    emulator = Emulator.from_seed(document(versions=TWO, metadata=STUDY), transition_reads=0)
    (handle,) = emulator.datastores[0].image_sets
    emulator.client().delete_image_set(datastoreId=handle.datastore_id, imageSetId=handle.image_set_id)
    exported = emulator.account().export_seed()
    assert (handle.state, b"etadata" in exported) == ("DELETED", False)
    (loaded,) = Emulator.from_seed(json.loads(exported)).datastores[0].image_sets
    assert loaded.state == "DELETED"


# Refusing.

VERSIONS = f"{IMAGE_SET}.versions"
REFUSED = [
    ([], "$", "Expected `object`, got `array`"),
    ({"datastores": [{}]}, "$.datastores[0]", "Object missing required field `datastoreId`"),
    ({"datastores": [], "x": 1}, "$", "Object contains unknown field `x`: expected one of datastores, imports, faults"),
    (
        {"datastores": [{"datastoreId": "D" * 32}]},
        "$.datastores[0].datastoreId",
        "Expected `str` matching regex '[0-9a-z]{32}'",
    ),
    (
        {"datastores": [{"datastoreId": D}, {"datastoreId": D}]},
        "$.datastores[1].datastoreId",
        f"data store {D} is given twice in this document",
    ),
    (
        {"datastores": [{"datastoreId": D, "imageSets": [{"imageSetId": ID, "versions": [VERSION]}] * 2}]},
        "$.datastores[0].imageSets[1].imageSetId",
        f"image set {ID} is in seed.json already",
    ),
    (
        {"imageSetPropertiesList": []},
        "$",
        "Object contains unknown field `imageSetPropertiesList`: expected one of datastores, imports, faults",
    ),
    (document(), VERSIONS, "Expected `array` of length >= 1"),
    (document(generate={}), "$.datastores[0].imageSets[0].generate", "Object missing required field `versions`"),
    (
        document(x=1),
        "$.datastores[0].imageSets[0]",
        "Object contains unknown field `x`: "
        "expected one of imageSetId, versions, generate, metadata, frames, dicom, tags",
    ),
    (document(generate=None), "$.datastores[0].imageSets[0]", "an image set needs versions or generate"),
    (
        document(versions=[VERSION], generate={"versions": 1}),
        "$.datastores[0].imageSets[0]",
        "an image set has either versions or generate",
    ),
    (document(generate={"versions": 0}), "$.datastores[0].imageSets[0].generate.versions", "Expected `int` >= 1"),
    (
        document(generate={"versions": 3, "failed": 3}),
        "$.datastores[0].imageSets[0].generate",
        "failed must be less than versions, since version 1 never fails",
    ),
    (
        document(generate={"versions": 1, "createdAt": 253402300000}),
        "$.datastores[0].imageSets[0].generate",
        f"invalid time 253433922400.0: {IN_RANGE}",
    ),
    (document(VERSION, VERSION), VERSIONS, "version 1 is given twice"),
    (document(VERSION, VERSION | {"versionId": "01"}), VERSIONS, "version 1 is given twice"),
    (version(versionId="one"), f"{VERSIONS}[0].versionId", "Expected `str` matching regex '[0-9]+'"),
    (version(versionId=1), f"{VERSIONS}[0].versionId", "Expected `str`, got `int`"),
    (version(versionId="1" * 19), f"{VERSIONS}[0].versionId", "Expected `str` of length <= 18"),
    (
        version(imageSetState="GONE"),
        f"{VERSIONS}[0].imageSetState",
        "Invalid enum value 'GONE': expected one of ACTIVE, DELETED, LOCKED",
    ),
    (
        version(ImageSetWorkflowStatus="X"),
        f"{VERSIONS}[0].ImageSetWorkflowStatus",
        "Invalid enum value 'X': expected one of COPIED, COPYING, COPYING_WITH_READ_ONLY_ACCESS, COPY_FAILED, CREATED, "
        "DELETED, DELETING, IMPORTED, IMPORTING, IMPORT_FAILED, UPDATED, UPDATE_FAILED, UPDATING, "
        "UPDATING_FOR_STUDY_CONSISTENCY",
    ),
    (
        version(imageSetWorkflowStatus="UPDATED"),
        f"{VERSIONS}[0]",
        "Object contains unknown field `imageSetWorkflowStatus` (did you mean ImageSetWorkflowStatus?)",
    ),
    (version(imageSetId="b" * 32), f"{VERSIONS}[0].imageSetId", f"{'b' * 32} is not the id of the image set"),
    (version(message=""), f"{VERSIONS}[0].message", "Expected `str` of length >= 1"),
    (version(message="é"), f"{VERSIONS}[0].message", "Expected `str` matching regex '[A-Za-z0-9_ -:`]+'"),
    (version(message="x" * 2049), f"{VERSIONS}[0].message", "Expected `str` of length <= 2048"),
    (
        version(overrides={"force": True}),
        f"{VERSIONS}[0].overrides",
        "Object contains unknown field `force` (did you mean forced?)",
    ),
    (
        version(createdAt="yesterday"),
        f"{VERSIONS}[0].createdAt",
        "Invalid RFC3339 encoded datetime: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds",
    ),
    (
        version(createdAt="2024-01-01T00:00:00"),
        f"{VERSIONS}[0].createdAt",
        "Expected `datetime` with a timezone component: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds",
    ),
    (
        version(createdAt="1969-12-31T23:59:59Z"),
        f"{VERSIONS}[0].createdAt",
        f"invalid time datetime.datetime(1969, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc): {IN_RANGE}",
    ),
    (
        version(createdAt=-0.0004),
        f"{VERSIONS}[0].createdAt",
        f"invalid time -0.0004: {IN_RANGE}",
    ),
    (
        version(deletedAt=-1),
        f"{VERSIONS}[0].deletedAt",
        f"invalid time -1.0: {IN_RANGE}",
    ),
    (
        version(updatedAt=253402300799.9996),
        f"{VERSIONS}[0].updatedAt",
        f"invalid time 253402300799.9996: {IN_RANGE}",
    ),
    (version(createdAt=True), f"{VERSIONS}[0].createdAt", "Expected `float | datetime | null`, got `bool`"),
]


@pytest.mark.parametrize(("content", "path", "message"), REFUSED, ids=[message[:60] for *_, message in REFUSED])
def test_a_mistaken_seed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    error = refusal(write(tmp_path, "seed.json", content).name)
    assert (error.source, error.path, error.message) == ("seed.json", path, message)
    assert str(error) == f"seed.json: {path}: {message}"


def test_metadata_that_is_no_text_is_refused(tmp_path: Path) -> None:
    seed = write(tmp_path, "seed.json", document(versions=[VERSION], metadata="half.json"))
    write(tmp_path, "half.json", b'{"a": "\\ud800 is half of a letter"}')
    told = "half.json: JSON is malformed: unexpected end of escaped utf-16 surrogate pair (byte 13)"
    assert str(refusal(seed)) == f"{seed}: {IMAGE_SET}.metadata: {told}"


def test_the_same_image_set_in_two_files_is_refused(tmp_path: Path) -> None:
    first, second = (write(tmp_path, name, document(VERSION)) for name in ("1.json", "2.json"))
    assert str(refusal(tmp_path)) == f"{second}: {IMAGE_SET}.imageSetId: image set {ID} is in {first} already"


def test_yaml_has_no_times_beyond_those_of_json(tmp_path: Path) -> None:
    for time in (".nan", "nan", "inf", "1e400", "5_0"):
        text = json.dumps(version(createdAt="T")).replace('"T"', time)
        assert refusal(write(tmp_path, "seed.yaml", text.encode())).path == f"{VERSIONS}[0].createdAt"


# Doubts.


@pytest.mark.parametrize(
    ("members", "doubt"),
    [
        ({"ImageSetWorkflowStatus": "UPDATING"}, "the service was never seen to return ACTIVE with UPDATING"),
        (
            {"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATED"},
            "the service was never seen to return LOCKED with UPDATED",
        ),
        (
            {"imageSetState": "DELETED", "ImageSetWorkflowStatus": "CREATED"},
            "the service was never seen to return DELETED with CREATED",
        ),
        ({"ImageSetWorkflowStatus": "UPDATED", "message": "x"}, "only a failed version has a message"),
        ({"message": "x"}, "only a failed version has a message"),
        ({"updatedAt": 5}, "version 1 has no updatedAt"),
    ],
)
def test_a_version_such_as_aws_never_returned_is_a_warning(
    caplog: pytest.LogCaptureFixture, members: dict[str, Any], doubt: str
) -> None:
    load(version(**members))
    assert caplog.messages == [f"warning: document: {VERSIONS}[0]: {doubt}"]


def test_two_times_of_creation_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    load(document(VERSION | {"createdAt": 1}, VERSION | {"versionId": "2", "createdAt": 2}))
    assert caplog.messages == [
        f"warning: document: {VERSIONS}[1]: createdAt is the same on all versions of an image set"
    ]


# The schema.


def test_the_schema_accepts_the_bundled_seeds_and_refuses_mistakes() -> None:
    schema = make_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in ("demo", "aws-sample"):
        validator.validate(json.loads((ROOT / "fixtures" / f"{name}.json").read_text()))
    validator.validate(document(versions=[VERSION, VERSION | {"metadata": STUDY}], metadata="study.json"))
    refused = {message for content, _, message in REFUSED if not validator.is_valid(content)}
    assert refused >= {
        "Expected `array` of length >= 1",
        "Object contains unknown field `x`: expected one of datastores, imports, faults",
        "Expected `str` matching regex '[0-9]+'",
    }


@pytest.mark.parametrize("levels", [64, 100, 2000])
def test_metadata_is_nested_at_most_64_levels(levels: int) -> None:
    content: dict[str, Any] = {}
    for _ in range(levels):
        content = {"a": content}
    version = {"versionId": "1", "imageSetState": "ACTIVE"}
    image_sets = [{"imageSetId": "a" * 32, "versions": [version], "metadata": content}]
    with pytest.raises(InvalidError) as raised:
        load_seed({"datastores": [{"datastoreId": "b" * 32, "imageSets": image_sets}]})
    assert "nested too deeply" in raised.value.message


# DICOM files.

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"


def dicom_seed(tmp_path: Path, *names: str, **members: Any) -> Path:
    """Write a seed beside copies of DICOM files that pydicom ships."""
    (tmp_path / "scan").mkdir()
    for name in names:
        shutil.copy(SHIPPED / name, tmp_path / "scan" / name)
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(document(**{"generate": {"versions": 2}, "dicom": ["scan"]} | members)))
    return seed


def test_dicom_files_become_metadata_and_frames_as_by_an_import(tmp_path: Path) -> None:
    emulator = Emulator.from_seed(dicom_seed(tmp_path, "CT_small.dcm"))
    client = emulator.client()
    found = emulator.image_set(D, ID).metadata()
    assert found["Patient"]["DICOM"]["PatientID"] == "1CT1"
    assert (found["DatastoreID"], found["ImageSetID"]) == (D, ID)
    (series,) = found["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    (frame,) = instance["ImageFrames"]
    assert (instance["DICOM"]["Rows"], frame["MinPixelValue"], frame["MaxPixelValue"]) == (128, 128, 2191)
    answer = client.get_image_frame(datastoreId=D, imageSetId=ID, imageFrameInformation={"imageFrameId": frame["ID"]})
    assert len(answer["imageFrameBlob"].read()) == frame["FrameSizeInBytes"]
    (summary,) = client.search_image_sets(datastoreId=D)["imageSetsMetadataSummaries"]
    assert summary["DICOMTags"]["DICOMPatientName"] == "CompressedSamples^CT1"


def test_several_files_are_several_instances_and_can_be_named_one_by_one(tmp_path: Path) -> None:
    seed = dicom_seed(tmp_path, "MR_small.dcm", dicom=["scan/MR_small.dcm", "scan/second.dcm"])
    second = pydicom.dcmread(SHIPPED / "MR_small.dcm")
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("1.2.3")
    second.save_as(tmp_path / "scan" / "second.dcm")
    (history,) = [image_set.history for image_set in load(seed)[D].values()]
    assert history[0].metadata is not None
    assert history[0].metadata.tags.number_of_instances == 2


@pytest.mark.parametrize(
    ("names", "members", "path", "message"),
    [
        ((), {"dicom": []}, ".dicom", "Expected `array` of length >= 1"),
        ((), {"dicom": ["nowhere.dcm"]}, ".dicom[0]", "nowhere.dcm: No such file or directory"),
        (("README.txt",), {}, ".dicom[0]", "README.txt: DICOM attributes does not exist"),
        (("CT_small.dcm",), {"metadata": {}}, ".dicom", "dicom is in the place of metadata and frames"),
        (("CT_small.dcm",), {"frames": {"a" * 32: "x"}}, ".dicom", "dicom is in the place of metadata and frames"),
        (
            ("MR_small.dcm", "MR_small_RLE.dcm"),
            {},
            ".dicom[0]",
            "MR_small_RLE.dcm: this instance is in another file, too",
        ),
        (
            ("CT_small.dcm", "MR_small.dcm"),
            {},
            ".dicom[0]",
            "MR_small.dcm: this file is of another patient or study than the first one",
        ),
        ((), {}, ".dicom[0]", "scan: there is no file in this folder"),
        ((), {"dicom": ["a\0b"]}, ".dicom[0]", "a\0b: embedded null byte"),
    ],
)
def test_mistaken_dicom_files_are_refused(
    tmp_path: Path, names: tuple[str, ...], members: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(InvalidError) as raised:
        load_seed(dicom_seed(tmp_path, *names, **members))
    assert (raised.value.path, raised.value.message) == (f"$.datastores[0].imageSets[0]{path}", message)


def test_dicom_files_cannot_be_named_in_a_document_that_is_no_file() -> None:
    with pytest.raises(InvalidError) as raised:
        load_seed(document(generate={"versions": 1}, dicom=["scan.dcm"]))
    assert raised.value.message == "dicom can name a file only in a seed that is a file"


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = dicom_seed(tmp_path, "CT_small.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.setitem(sys.modules, "pydicom.errors", None)
    with pytest.raises(InvalidError) as raised:
        load_seed(seed)
    assert raised.value.message == "CT_small.dcm: pydicom is needed: pip install 'healthimaging-emulator[dicom]'"
