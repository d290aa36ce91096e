"""``seed capture`` with ``--metadata`` and ``--frames``: the documents of all versions, and the frames they name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec import structs

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.faults.fault import Match
from tests.cli.conftest import run
from tests.demo import DATASTORE
from tests.healthimaging.documents import INSTANCE, SERIES, document
from tests.raw import HANG_SECONDS

EDITED, SAME, BARE, WRITTEN, OTHER = (letter * 32 for letter in "abcde")
FIRST_FRAME, SECOND_FRAME, LOST_FRAME = (digit * 32 for digit in "123")
PROGRAM = [sys.executable, "-m", "healthimaging_emulator"]
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PROTECTED = "warning: metadata and frames may hold protected health information; keep this seed safe"
HEAD = {"SchemaVersion": "1.1", "DatastoreID": DATASTORE}


def with_frames(*frames: str, **patient: str) -> dict[str, Any]:
    content = document(**patient)
    content["Study"]["Series"][SERIES]["Instances"][INSTANCE]["ImageFrames"] = [{"ID": frame} for frame in frames]
    return content


def version(number: int, **members: Any) -> dict[str, Any]:
    changed = {"updatedAt": 1680027126.5 + number} if number > 1 else {}
    return {"versionId": str(number), "imageSetState": "ACTIVE", "createdAt": 1680027126.436} | changed | members


UPDATED = {"ImageSetWorkflowStatus": "UPDATED"}
ONE_FRAME = with_frames(FIRST_FRAME, "no id")
TWO_FRAMES = with_frames(FIRST_FRAME, SECOND_FRAME, LOST_FRAME, PatientName="TEST^TWO")
IMAGE_SETS = [
    {
        "imageSetId": EDITED,
        "versions": [
            version(1, metadata=ONE_FRAME, isPrimary=False),
            version(2, metadata=ONE_FRAME, isPrimary=False, message="failed", ImageSetWorkflowStatus="UPDATE_FAILED"),
            version(3, metadata=TWO_FRAMES, isPrimary=True, overrides={"forced": True}, **UPDATED),
        ],
        "frames": {FIRST_FRAME: {"base64": "Zmlyc3Q="}, SECOND_FRAME: {"base64": ""}},
    },
    {"imageSetId": SAME, "versions": [version(1), version(2, **UPDATED)], "metadata": document(PatientID="P-2")},
    {"imageSetId": BARE, "versions": [version(1)]},
    {
        "imageSetId": WRITTEN,
        "versions": [
            version(1, metadata=document(PatientID="P-3")),
            version(2, imageSetState="LOCKED", ImageSetWorkflowStatus="UPDATING"),
        ],
    },
    {
        "imageSetId": OTHER,
        "versions": [version(1, metadata=ONE_FRAME)],
        "frames": {FIRST_FRAME: {"base64": "b3RoZXI="}},
    },
]
SEED = {"datastores": [{"datastoreId": DATASTORE, "imageSets": IMAGE_SETS}]}


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def emulator() -> Emulator:
    return Emulator.from_seed(SEED)


def capture(emulator: Emulator, *arguments: str) -> Any:
    with emulator.patch():
        return run("seed", "capture", "--datastore-id", DATASTORE, *arguments)


def captured(emulator: Emulator, *arguments: str) -> dict[str, Any]:
    """Return the image sets of a captured seed by their ids."""
    result = capture(emulator, *arguments)
    assert result.exit_code == 0, result.stderr
    (datastore,) = json.loads(result.stdout)["datastores"]
    return {image_set["imageSetId"]: image_set for image_set in datastore["imageSets"]}


def answers(emulator: Emulator) -> dict[Any, Any]:
    """Return what a client reads: versions, documents and frames of all image sets, and searches."""
    client = emulator.client()
    found: dict[Any, Any] = {}
    for id in (EDITED, SAME, BARE, WRITTEN, OTHER):
        ids = {"datastoreId": DATASTORE, "imageSetId": id}
        found[id] = client.list_image_set_versions(**ids)["imageSetPropertiesList"]
        for number in (entry["versionId"] for entry in found[id]):
            found[id, number] = read(client.get_image_set_metadata, **ids, versionId=number)
        for frame in (FIRST_FRAME, SECOND_FRAME, LOST_FRAME):
            found[id, frame] = read(client.get_image_frame, **ids, imageFrameInformation={"imageFrameId": frame})
    for value in ({"DICOMPatientId": "P-1"}, {"DICOMPatientId": "P-3"}, {"isPrimary": True}):
        found[str(value)] = search(client, {"filters": [{"operator": "EQUAL", "values": [value]}]})
    return found | {"all": search(client, {})}


def read(method: Any, **arguments: Any) -> Any:
    """Return content type and bytes of a document or a frame, or the error."""
    try:
        answer = method(**arguments)
    except ClientError as error:
        return error.response["Error"]
    (blob,) = (value.read() for value in answer.values() if hasattr(value, "read"))
    return answer["contentType"], blob


def search(client: Any, criteria: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.search_image_sets(datastoreId=DATASTORE, searchCriteria=criteria)
    return [summary | {"lastAccessedAt": None} for summary in answer["imageSetsMetadataSummaries"]]


@pytest.mark.newest_boto3
def test_a_captured_data_store_gives_the_same_answers(emulator: Emulator, tmp_path: Path) -> None:
    output = tmp_path / "seed.json"
    with emulator.serve() as server:
        arguments = ("--endpoint-url", server.url, "--frames", "--output", str(output))
        finished = subprocess.run(
            [*PROGRAM, "seed", "capture", "--datastore-id", DATASTORE, *arguments],
            env=os.environ | CREDENTIALS,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=True,
        )
    assert finished.stderr.splitlines() == [
        PROTECTED,
        f"warning: {EDITED}: 1 of 3 frames were not found",
        f"warning: {WRITTEN}: version 2 is being written, and has no metadata",
        "captured 1 data store, 5 image sets, 9 versions",
    ]
    expected = answers(emulator)
    assert len(expected) == 5 + 9 + 15 + 4
    assert expected[EDITED, FIRST_FRAME] == ("image/jph", b"first")
    assert answers(Emulator.from_seed(output)) == expected


@pytest.mark.newest_boto3
def test_a_capture_of_a_captured_seed_is_the_same_seed(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(json.dumps(SEED))
    seeds = [tmp_path / "seed.json"]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        inner = [*PROGRAM, "seed", "capture", "--datastore-id", DATASTORE, "--frames", "--output"]
        command = [*PROGRAM, "exec", "--seed", str(seeds[-1]), "--", *inner, str(tmp_path / name / "seed.json")]
        subprocess.run(command, env=os.environ | CREDENTIALS, timeout=HANG_SECONDS, check=True)
        seeds.append(tmp_path / name / "seed.json")
    assert seeds[1].read_bytes() == seeds[2].read_bytes()
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two")


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# Metadata.


def test_a_document_that_all_versions_have_is_written_once(emulator: Emulator) -> None:
    image_set = captured(emulator, "--metadata")[SAME]
    assert image_set["metadata"] == HEAD | {"ImageSetID": SAME} | document(PatientID="P-2")
    assert ["metadata" in each for each in image_set["versions"]] == [False, False]


def test_documents_that_differ_are_written_with_their_versions(emulator: Emulator) -> None:
    image_set = captured(emulator, "--metadata", "--image-set-id", EDITED)[EDITED]
    head = HEAD | {"ImageSetID": EDITED}
    assert image_set["metadata"] == head | ONE_FRAME  # of most versions
    assert [each.get("metadata") for each in image_set["versions"]] == [head | TWO_FRAMES, None, None]
    assert image_set.keys() == {"imageSetId", "metadata", "versions"}


def test_a_version_that_is_being_written_has_no_document(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    latest, first = captured(emulator, "--metadata", "--image-set-id", WRITTEN)[WRITTEN]["versions"]
    assert ("metadata" in latest, first["metadata"]["Patient"]["DICOM"]["PatientID"]) == (False, "P-3")
    assert caplog.messages == [f"warning: {WRITTEN}: version 2 is being written, and has no metadata"]


@pytest.mark.parametrize("option", ["--metadata", "--frames"])
def test_the_warning_comes_before_anything_is_read(emulator: Emulator, tmp_path: Path, option: str) -> None:
    emulator.faults.add(Fault.error("AccessDeniedException", "No."))
    result = capture(emulator, option, "--output", str(tmp_path / "seed.json"))
    warned, failed = result.stderr.splitlines()
    assert (result.exit_code, warned, list(tmp_path.iterdir())) == (1, PROTECTED, [])
    assert failed.startswith("Error: An error occurred (AccessDeniedException)")


def test_versions_alone_need_no_warning(emulator: Emulator) -> None:
    result = capture(emulator)
    assert result.stderr == "captured 1 data store, 5 image sets, 9 versions\n"
    assert {call.operation for call in emulator.calls} == {"SearchImageSets", "ListImageSetVersions"}


NOT_GZIP = "the answer is not gzip, or was truncated"
CUT = "Compressed file ended before the end-of-stream marker was reached"


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Fault.corrupt("html"), 1, f"{NOT_GZIP}: Not a gzipped file (b'<h')"),
        (Fault.corrupt("truncate"), 1, f"{NOT_GZIP}: {CUT}"),
        (Fault.corrupt("empty"), 2, "$: Input data was truncated"),
        (Fault.respond({"base64": "W10="}), 2, "$: Expected `object`, got `array`"),
        (Fault.respond({"document": {"Study": 1}}), 2, "$.Study: expected an object"),
    ],
)
def test_metadata_that_cannot_be_read_is_named(emulator: Emulator, fault: Fault, code: int, message: str) -> None:
    emulator.faults.add(structs.replace(fault, match=Match(operation="GetImageSetMetadata")))
    result = capture(emulator, "--metadata", "--image-set-id", BARE)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"{PROTECTED}\nError: metadata of version 1 of {BARE}: {message}\n"


# Frames.


def test_frames_are_files_beside_the_seed(emulator: Emulator, tmp_path: Path) -> None:
    output = tmp_path / "my-seed.json"
    assert capture(emulator, "--frames", "--output", str(output)).exit_code == 0
    files = {
        f"my-seed-files/{EDITED}/{FIRST_FRAME}": b"first",
        f"my-seed-files/{EDITED}/{SECOND_FRAME}": b"",
        f"my-seed-files/{OTHER}/{FIRST_FRAME}": b"other",
    }
    assert content_of(tmp_path) == files | {"my-seed.json": output.read_bytes()}
    image_sets = json.loads(output.read_bytes())["datastores"][0]["imageSets"]
    assert {file for each in image_sets for file in each.get("frames", {}).values()} == files.keys()


def test_there_is_no_folder_if_there_are_no_frames(emulator: Emulator, tmp_path: Path) -> None:
    assert capture(emulator, "--frames", "--image-set-id", BARE, "--output", str(tmp_path / "seed.json")).exit_code == 0
    assert list(content_of(tmp_path)) == ["seed.json"]


def test_the_frames_of_an_image_set_that_is_deleted_meanwhile_are_left_out(
    emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for operation, skip in (("GetImageFrame", 1), ("GetImageSetMetadata", 3)):
        emulator.faults.add(
            Fault.error("ResourceNotFoundException", operation=operation, image_set_id=EDITED, skip=skip)
        )
    assert capture(emulator, "--frames", "--output", str(tmp_path / "seed.json")).exit_code == 0
    assert caplog.messages[0] == f"warning: {EDITED} was deleted while it was captured, and is left out"
    assert content_of(tmp_path).keys() == {"seed.json", f"seed-files/{OTHER}/{FIRST_FRAME}"}


def test_nothing_is_written_if_a_frame_cannot_be_read(emulator: Emulator, tmp_path: Path) -> None:
    emulator.faults.add(Fault.error("AccessDeniedException", operation="GetImageFrame", image_frame_id=SECOND_FRAME))
    result = capture(emulator, "--frames", "--output", str(tmp_path / "seed.json"))
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])


def test_frames_are_not_written_over_others(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "seed-files").mkdir()
    result = capture(emulator, "--frames", "--output", str(tmp_path / "seed.json"))
    assert (result.exit_code, list(emulator.calls)) == (2, [])
    assert result.stderr.splitlines()[-1] == (
        f"Error: {tmp_path / 'seed-files'} is there already: remove it, or choose another --output"
    )


NO_FILE = "--frames needs an --output that is a file, since the frames become files beside it"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--frames",), NO_FILE),
        (("--frames", "--output", "/dev/null"), NO_FILE),
        (
            ("--frames", "--input", "-"),
            "--metadata and --frames cannot be combined with --input, which has versions only",
        ),
        (
            ("--metadata", "--input", "-"),
            "--metadata and --frames cannot be combined with --input, which has versions only",
        ),
    ],
)
def test_options_that_do_not_go_together(emulator: Emulator, arguments: tuple[str, ...], message: str) -> None:
    result = capture(emulator, *arguments)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {message}")
