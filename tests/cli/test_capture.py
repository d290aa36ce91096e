"""``seed capture``: the versions of image sets, read through boto3 or from saved output."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Server
from tests.cli.conftest import run
from tests.conftest import DEMO
from tests.demo import DATASTORE, FIFTY, MANY, ONE, SAMPLE, UNKNOWN

IDS = ["--datastore-id", DATASTORE]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "emulator")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def capture(server: Server, *arguments: str) -> Any:
    return run("seed", "capture", *IDS, "--endpoint-url", server.url, *arguments)


def captured(result: Any) -> Baseline:
    assert result.exit_code == 0, result.stderr
    return load_seed(json.loads(result.stdout)).baseline


# Image sets by their ids.


def test_capture_reads_every_page_through_boto3(server: Server, emulator: Emulator, tmp_path: Path) -> None:
    output = tmp_path / "seed.json"
    result = capture(server, "--image-set-id", MANY, "--image-set-id", SAMPLE, "--output", str(output))
    assert (result.exit_code, result.stderr) == (0, "captured 1 data store, 2 image sets, 141 versions\n")
    captured, demo = load_seed(output).baseline, load_seed(DEMO).baseline
    assert captured == {DATASTORE: {id: demo[DATASTORE][id] for id in (MANY, SAMPLE)}}
    assert [call.page for call in emulator.calls] == [1, 2, 3, 1]


def test_capture_is_for_the_credentials_that_there_are(
    server: Server, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111111111111")
    assert capture(server, "--image-set-id", SAMPLE).exit_code == 0
    assert len(emulator.account("111111111111").calls) == 1


def test_capture_warns_of_a_page_that_was_lost(server: Server, emulator: Emulator) -> None:
    emulator.faults.add(Fault.pagination("drop-token", page=2))
    script = [sys.executable, "-m", "healthimaging_emulator", "seed", "capture", *IDS, "--endpoint-url", server.url]
    finished = subprocess.run([*script, "--image-set-id", MANY], capture_output=True, text=True, check=True)
    warned, captured = finished.stderr.splitlines()
    missing = f"37 of versions 1 to 137 are missing (image set {MANY})"
    assert warned == f"warning: document: $.datastores[0].imageSets[0].versions[0]: {missing}"
    assert captured == "captured 1 data store, 1 image set, 100 versions"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(
            Fault.error("AccessDeniedException", "No."),
            "An error occurred (AccessDeniedException) when calling the ListImageSetVersions operation "
            "(reached max retries: 0): No.",
            marks=pytest.mark.newest_boto3,  # which counts the retries
        ),
        (
            Fault.corrupt("truncate"),
            "an answer is not a page of versions, or was truncated: KeyError('imageSetPropertiesList')",
        ),
        (
            Fault.pagination("cycle", page=3),
            f"version 87 of {MANY} was returned twice, or belongs to another image set",
        ),
        (
            Fault.connection("reset"),
            "Connection was closed before we received a valid response from endpoint URL: "
            f'"{{url}}/datastore/{DATASTORE}/imageSet/{MANY}/listImageSetVersions".',
        ),
    ],
)
def test_capture_says_in_one_line_why_it_failed(
    server: Server, emulator: Emulator, tmp_path: Path, fault: Fault, message: str
) -> None:
    emulator.faults.add(fault)
    output = tmp_path / "seed.json"
    result = capture(server, "--image-set-id", MANY, "--output", str(output))
    assert (result.exit_code, output.exists()) == (1, False)
    assert result.stderr == f"Error: {message.replace('{url}', server.url)}\n"


def test_capture_of_a_profile_that_is_not_there_is_one_line(server: Server) -> None:
    result = capture(server, "--image-set-id", MANY, "--profile", "there-is-none")
    assert (result.exit_code, result.stderr) == (1, "Error: The config profile (there-is-none) could not be found\n")


def on_a_terminal(server: Server, *arguments: str) -> str:
    """Return the standard error of a capture, as a terminal gets it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "healthimaging_emulator", "seed", "capture", *IDS, "--endpoint-url", server.url]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        process.communicate(timeout=60)
    shown = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    return shown


def test_capture_shows_progress_on_a_terminal(server: Server) -> None:
    progress = "".join(f"\r{MANY}: {count} versions" for count in (50, 100, 137))
    assert on_a_terminal(server, "--image-set-id", MANY) == (
        f"{progress}\ncaptured 1 data store, 1 image set, 137 versions\n"
    )


def test_capture_refuses_an_id_that_no_image_set_can_have(server: Server, emulator: Emulator) -> None:
    result = capture(server, "--image-set-id", "../x")
    message = "invalid imageSetId '../x': expected 32 lower-case letters and digits"
    assert (result.exit_code, result.stderr, list(emulator.calls)) == (2, f"Error: {message}\n", [])


def test_capture_repeats_throttled_requests_up_to_ten_times(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    emulator.faults.add(Fault.error("ThrottlingException", times=9))
    with emulator.patch(backoff=False):
        assert captured(run("seed", "capture", *IDS, "--image-set-id", SAMPLE))
    assert len(emulator.calls[0].attempts) == 10


# A whole data store.


@pytest.fixture
def small_pages() -> Emulator:
    return Emulator.from_seed(DEMO, page_size=5)


@pytest.mark.newest_boto3
def test_capture_reads_a_whole_data_store_page_by_page(small_pages: Emulator) -> None:
    with small_pages.serve() as server:
        result = capture(server)
    assert result.stderr == "captured 1 data store, 18 image sets, 261 versions\n"
    demo = load_seed(DEMO).baseline[DATASTORE]
    there = {id: image_set for id, image_set in demo.items() if image_set.latest.image_set_state != "DELETED"}
    assert captured(result) == {DATASTORE: there}
    assert [call.page for call in small_pages.calls if call.operation == "SearchImageSets"] == [1, 2, 3, 4]


def test_capture_of_too_many_image_sets_takes_those_updated_last(small_pages: Emulator) -> None:
    with small_pages.serve() as server:
        every = list(captured(capture(server))[DATASTORE])
        small_pages.reset("calls")
        result = capture(server, "--max-image-sets", "6")
    assert list(captured(result)[DATASTORE]) == every[:6]
    assert result.stderr.splitlines() == [
        "warning: there are more than 6 image sets: only those updated last are captured; see --max-image-sets",
        "captured 1 data store, 6 image sets, 244 versions",
    ]
    assert [call.page for call in small_pages.calls if call.operation == "SearchImageSets"] == [1, 2]


def test_capture_of_as_many_image_sets_as_there_may_be_is_whole(server: Server) -> None:
    assert capture(server, "--max-image-sets", "18").stderr == "captured 1 data store, 18 image sets, 261 versions\n"


def test_capture_of_an_empty_data_store_is_a_seed() -> None:
    with Emulator.from_seed({"datastores": [{"datastoreId": DATASTORE}]}).serve() as server:
        result = capture(server)
    assert (captured(result), result.stderr) == (
        {DATASTORE: {}},
        "captured 1 data store, 0 image sets, 0 versions\n",
    )


def test_capture_leaves_out_an_image_set_that_is_deleted_meanwhile(
    server: Server, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for id in (MANY, SAMPLE):
        emulator.faults.add(Fault.error("ResourceNotFoundException", operation="ListImageSetVersions", image_set_id=id))
    result = capture(server)
    assert len(captured(result)[DATASTORE].keys() - {MANY, SAMPLE}) == 16
    gone = [f"warning: {id} was deleted while it was captured, and is left out" for id in (MANY, SAMPLE)]
    assert sorted(caplog.messages) == gone


def test_an_image_set_that_was_asked_for_must_be_there(server: Server) -> None:
    result = capture(server, "--image-set-id", SAMPLE, "--image-set-id", UNKNOWN)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f": ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}.\n")


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Fault.pagination("cycle", page=3, times=1), 1, "the pages of image sets lead in a circle"),
        (
            Fault.corrupt("truncate", page=2),
            1,
            "an answer is not a page of image sets, or was truncated: KeyError('imageSetsMetadataSummaries')",
        ),
        (
            Fault.respond({"imageSetsMetadataSummaries": [{"imageSetId": "../x"}]}, operation="SearchImageSets"),
            2,
            "invalid imageSetId '../x': expected 32 lower-case letters and digits",
        ),
        (
            Fault.pagination("empty-page", operation="ListImageSetVersions", image_set_id=ONE),
            1,
            f"no versions of {ONE} were found",
        ),
    ],
)
def test_capture_of_a_data_store_says_in_one_line_why_it_failed(
    small_pages: Emulator, tmp_path: Path, fault: Fault, code: int, message: str
) -> None:
    small_pages.faults.add(fault)
    with small_pages.serve() as server:
        result = capture(server, "--output", str(tmp_path / "seed.json"))
    assert (result.exit_code, result.stderr, list(tmp_path.iterdir())) == (code, f"Error: {message}\n", [])


def test_an_error_ends_the_other_threads(server: Server, emulator: Emulator) -> None:
    emulator.faults.add(
        Fault.error("AccessDeniedException", operation="ListImageSetVersions", image_set_id=FIFTY),
        Fault.latency(0.5, operation="GetImageSetMetadata"),
    )
    result = capture(server, "--metadata")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(emulator.calls) < 137


def test_capture_shows_how_many_image_sets_are_read(server: Server) -> None:
    shown = on_a_terminal(server)
    progress = "".join(f"\r{count} of 18 image sets" for count in range(1, 19))
    assert shown == f"{progress}\ncaptured 1 data store, 18 image sets, 261 versions\n"


# Saved output.


def entry(version: int, **members: Any) -> dict[str, Any]:
    return {"imageSetId": SAMPLE, "versionId": str(version), "imageSetState": "ACTIVE"} | members


def from_input(content: Any, *arguments: str) -> Any:
    return run("seed", "capture", *IDS, "--input", "-", *arguments, input=json.dumps(content).encode())


def test_capture_reads_output_of_the_aws_cli() -> None:
    created = "2023-03-28T18:12:06.436000+00:00"  # as version 2 of the CLI prints it; version 1 prints numbers
    saved = {
        "imageSetPropertiesList": [
            entry(2, createdAt=created, updatedAt=1680027455.944, ImageSetWorkflowStatus="UPDATED"),
            entry(1, createdAt=1680027126.436, ImageSetWorkflowStatus="CREATED"),
        ]
    }
    result = from_input(saved)
    assert (result.exit_code, result.stderr) == (0, "captured 1 data store, 1 image set, 2 versions\n")
    first, second = load_seed(json.loads(result.stdout)).baseline[DATASTORE][SAMPLE].history
    assert (first.created_at, second.created_at, second.updated_at) == (1680027126.436, 1680027126.436, 1680027455.944)


def test_capture_reads_a_list_alone_and_picks_the_image_sets() -> None:
    entries = [entry(1), entry(1, imageSetId=MANY)]
    assert from_input(entries).stderr == "captured 1 data store, 2 image sets, 2 versions\n"
    result = from_input(entries, "--image-set-id", MANY)
    assert list(load_seed(json.loads(result.stdout)).baseline[DATASTORE]) == [MANY]


MISSING = f"2 of versions 1 to 4 are missing (image set {SAMPLE})"
NOT_COMPLETE = "the list is not complete: it holds a token for more"


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ({"imageSetPropertiesList": [entry(1)], "NextToken": "x"}, NOT_COMPLETE),
        ({"imageSetPropertiesList": [entry(1)], "nextToken": "x"}, NOT_COMPLETE),
        ([entry(1, laterMember=1)], "the member laterMember is not known, and left out"),
        ([entry(4), entry(1)], f"document: $.datastores[0].imageSets[0].versions[0]: {MISSING}"),
    ],
)
def test_capture_warns_and_goes_on(content: Any, warning: str, caplog: pytest.LogCaptureFixture) -> None:
    result = from_input(content)
    assert (result.exit_code, caplog.messages) == (0, [f"warning: {warning}"])
    assert load_seed(json.loads(result.stdout)).baseline


@pytest.mark.parametrize(
    ("content", "code", "error"),
    [
        ("text", 2, "$: Expected `object | array`, got `str`"),
        ({}, 2, "$: Object missing required field `imageSetPropertiesList`"),
        ([{"versionId": "1"}], 2, "an entry has no imageSetId: name the image set with --image-set-id"),
        (
            [entry(1, imageSetState="NEW")],
            2,
            "document: $.datastores[0].imageSets[0].versions[0].imageSetState: "
            "Invalid enum value 'NEW': expected one of ACTIVE, DELETED, LOCKED",
        ),
        ([1], 2, "$[0]: Expected `object`, got `int`"),
        ([], 1, "no versions were found"),
    ],
)
def test_capture_refuses_input_that_is_no_answer(content: Any, code: int, error: str) -> None:
    result = from_input(content)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"Error: {error}\n")


PAGES = [{"imageSetPropertiesList": [entry(2), entry(1)], "nextToken": "x"}, {"imageSetPropertiesList": [entry(3)]}]
RAW = json.dumps({"imageSetPropertiesList": [entry(1, createdAt="2023-03-28T18:12:06.436000+00:00")]})
YAML = f"""\
imageSetPropertiesList:
- ImageSetWorkflowStatus: CREATED
  createdAt: '2023-03-28T18:12:06.436000+00:00'
  imageSetId: {SAMPLE}
  imageSetState: ACTIVE
  versionId: '1'
"""
FORMS = {
    "JSON": (RAW, 1),
    "JSON with a byte order mark": ("\ufeff" + RAW, 1),
    "pages": ("".join(map(json.dumps, PAGES)), 3),
    "pages on lines": ("\n".join(map(json.dumps, PAGES)) + "\n", 3),
    "YAML": (YAML, 1),
    "YAML documents": ("---\n" + YAML + "---\n" + YAML.replace("'1'", "'2'"), 2),
    "a stream of YAML": ("".join(f"- {json.dumps(page)}\n" for page in PAGES), 3),
    "a recording of placebo": (json.dumps({"status_code": 200, "data": PAGES[1]}), 1),
}


@pytest.mark.parametrize(("saved", "versions"), FORMS.values(), ids=FORMS)
def test_capture_reads_the_forms_that_people_have(saved: str, versions: int) -> None:
    result = run("seed", "capture", *IDS, "--input", "-", input=saved.encode())
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        0,
        f"captured 1 data store, 1 image set, {versions} version{'' if versions == 1 else 's'}",
    )


@pytest.mark.parametrize(
    "saved",
    [
        f"IMAGESETPROPERTIESLIST\tCREATED\t1680027126.436\t{SAMPLE}\tACTIVE\t1\n",
        "-----------------\n|  ListImageSetVersions  |\n+----------------+\n",
    ],
)
def test_capture_says_which_output_it_wants(saved: str) -> None:
    result = run("seed", "capture", *IDS, "--input", "-", input=saved.encode())
    advice = "expected JSON or YAML, as from the AWS CLI with --output json"
    assert (result.exit_code, result.stderr) == (2, f"Error: $: {advice}\n")


@pytest.mark.parametrize("saved", ["", " \n", "---\n"])
def test_capture_of_an_empty_input_finds_no_versions(saved: str) -> None:
    result = run("seed", "capture", *IDS, "--input", "-", input=saved.encode())
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "Error: no versions were found\n")


def test_an_id_on_the_command_line_is_that_of_entries_without_one() -> None:
    entries = [{"versionId": str(number), "imageSetState": "ACTIVE"} for number in (2, 1)]
    result = from_input(entries, "--image-set-id", SAMPLE)
    assert result.stderr == "captured 1 data store, 1 image set, 2 versions\n"


def test_a_page_that_is_cut_is_refused() -> None:
    result = run("seed", "capture", *IDS, "--input", "-", input=json.dumps(PAGES[0]).encode() + b'{"imageSet')
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: $: JSON is malformed: ")
