"""``seed``: check, make and fetch seeds."""

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
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Server
from tests.cli.conftest import run
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE

IDS = ["--datastore-id", DATASTORE]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "emulator")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def test_check_counts_the_contents(tmp_path: Path) -> None:
    result = run("seed", "check", str(DEMO))
    assert (result.exit_code, result.stdout) == (0, "ok: 2 data stores, 28 image sets, 277 versions\n")
    one = tmp_path / "one.yaml"
    one.write_text(f"datastores: [{{datastoreId: '{DATASTORE}'}}]")
    assert run("seed", "check", str(one)).stdout == "ok: 1 data store, 0 image sets, 0 versions\n"


def test_check_warns_of_combinations_that_aws_never_returned(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(
        DEMO.read_text().replace(
            '"ACTIVE", "ImageSetWorkflowStatus": "COPIED"', '"LOCKED", "ImageSetWorkflowStatus": "COPIED"', 1
        )
    )
    finished = subprocess.run(
        [sys.executable, "-m", "healthimaging_emulator", "seed", "check", str(seed)],
        capture_output=True,
        text=True,
        check=True,
    )
    path = "$.datastores[0].imageSets[0].versions[3]"
    assert finished.stderr == f"warning: {seed}: {path}: the service was never seen to return LOCKED with COPIED\n"
    assert finished.stdout.startswith("ok: ")


def test_check_reports_all_mistakes_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("folder/a.json").write_text('{"datastores": [{"datastoreId": "x"},\n{"datastoreId": "y"}]}')
    Path("folder/b.yaml").write_text("datastores:\n- }")
    Path("c.yaml").write_text("datastores:\n- datastoreId:\n    z")
    result = run("seed", "check", "folder", "nowhere.yaml", "c.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    rule = "datastoreId: Expected `str` matching regex '[0-9a-z]{32}'"
    assert result.stderr.splitlines() == [
        f"folder/a.json:1: $.datastores[0].{rule}",
        f"folder/a.json:2: $.datastores[1].{rule}",
        "folder/b.yaml:2: $: while parsing a block node did not find expected node content in line 2, column 3",
        "nowhere.yaml: No such file or directory",
        f"c.yaml:2: $.datastores[0].{rule}",
        "Error: 5 mistakes",
    ]


def test_check_describes_the_first_100_mistakes(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text("faults:\n" + "- {skip: -1}\n" * 1234)
    result = run("seed", "check", str(seed))
    lines = result.stderr.splitlines()
    assert lines[0] == f"{seed}:2: $.faults[0].skip: Expected `int` >= 0"
    assert lines[99] == f"{seed}:101: $.faults[99].skip: Expected `int` >= 0"
    assert (result.exit_code, lines[100:]) == (2, ["and 1,134 more", "Error: 1,234 mistakes"])


def test_check_reports_the_reason_of_the_loader_if_it_finds_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("faults: [{latency: {seconds: 1}}]")  # which gets the id fault-1
    (tmp_path / "b.yaml").write_text("faults: [{id: fault-1, latency: {seconds: 1}}]")
    result = run("seed", "check", str(tmp_path))
    mistake = f"{tmp_path / 'b.yaml'}: $.faults[0].id: there is a fault fault-1 already"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{mistake}\nError: 1 mistake\n")


@pytest.mark.parametrize("created_at", ["1704067200", "2024-01-01T00:00:00Z"])
def test_generate_writes_a_seed(tmp_path: Path, created_at: str) -> None:
    seed = tmp_path / "seed.json"
    numbers = ["--versions", "12", "--failed", "3", "--seed", "4", "--created-at", created_at]
    assert run("seed", "generate", *numbers, "--image-set-id", MANY, "--output", str(seed)).exit_code == 0
    history = load_seed(seed).baseline[DATASTORE][MANY].history
    assert (len(history), sum(version.message is not None for version in history)) == (12, 3)
    assert history[0].created_at == 1704067200.0
    assert run("seed", "generate", *numbers, "--image-set-id", MANY).stdout == seed.read_text()


@pytest.mark.parametrize(
    ("arguments", "path", "message"),
    [
        (("--versions", "0"), ".generate.versions", "Expected `int` >= 1"),
        (("--failed", "137"), ".generate", "failed must be less than versions, since version 1 never fails"),
        (
            ("--created-at", "x"),
            ".generate.createdAt",
            "Invalid RFC3339 encoded datetime: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds",
        ),
        (("--image-set-id", "X"), ".imageSetId", "Expected `str` matching regex '[0-9a-z]{32}'"),
    ],
)
def test_generate_refuses_numbers_and_ids_that_no_seed_may_have(
    arguments: tuple[str, ...], path: str, message: str
) -> None:
    result = run("seed", "generate", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: document: $.datastores[0].imageSets[0]{path}: {message}\n"


def test_generate_writes_image_sets_with_metadata(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    numbers = ["--image-sets", "12", "--patients", "3", "--versions", "2", "--datastore-id", "d" * 32]
    assert run("seed", "generate", *numbers, "--output", str(seed)).exit_code == 0
    image_sets = load_seed(seed).baseline["d" * 32]
    assert len(image_sets) == 12
    documents = [image_set.latest.metadata for image_set in image_sets.values()]
    assert len({document.tags.patient_id for document in documents if document}) == 3
    assert {len(image_set.history) for image_set in image_sets.values()} == {1, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image-sets", "1", "--failed", "1"), "--failed is for one history: leave out --image-sets"),
        (("--patients", "1"), "--patients needs --image-sets"),
        (("--image-sets", "0"), "document: $.datastores[0].generate.imageSets: Expected `int` >= 1"),
    ],
)
def test_generate_refuses_numbers_that_do_not_go_together(arguments: tuple[str, ...], message: str) -> None:
    result = run("seed", "generate", *arguments)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {message}")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    generate = [
        sys.executable,
        "-m",
        "healthimaging_emulator",
        "seed",
        "generate",
        "--versions",
        "2000",
        "--output",
        "seed.json",
    ]
    command = ["bash", "-c", 'ulimit -f 1; exec "$@"', "bash", *generate]  # no file may be larger than 1 KiB
    unmeasured = {
        name: value for name, value in os.environ.items() if not name.startswith("COV")
    }  # it writes files too
    finished = subprocess.run(command, cwd=tmp_path, env=unmeasured, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (1, "Error: cannot write seed.json: File too large\n")


def test_schema_prints_the_json_schema() -> None:
    assert json.loads(run("seed", "schema").stdout)["$schema"].endswith("2020-12/schema")


# Capturing.


def capture(server: Server, *arguments: str) -> Any:
    return run("seed", "capture", *IDS, "--endpoint-url", server.url, *arguments)


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
    assert warned == f"warning: {MANY}: 37 of versions 1 to 137 are missing"
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


def test_capture_shows_progress_on_a_terminal(server: Server) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "healthimaging_emulator", "seed", "capture", *IDS, "--endpoint-url", server.url]
    with subprocess.Popen([*command, "--image-set-id", MANY], stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        process.communicate(timeout=60)
    shown = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    progress = "".join(f"\r{MANY}: {count} versions" for count in (50, 100, 137))
    assert shown == f"{progress}\ncaptured 1 data store, 1 image set, 137 versions\n"


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


NOT_COMPLETE = "the list is not complete: it holds a token for more"


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ({"imageSetPropertiesList": [entry(1)], "NextToken": "x"}, NOT_COMPLETE),
        ({"imageSetPropertiesList": [entry(1)], "nextToken": "x"}, NOT_COMPLETE),
        ([entry(1, laterMember=1)], "the member laterMember is not known, and left out"),
        ([entry(4), entry(1)], f"{SAMPLE}: 2 of versions 1 to 4 are missing"),
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
        ([{"versionId": "1"}], 2, "an entry has no imageSetId"),
        (
            [entry(1, imageSetState="NEW")],
            2,
            "document: $.datastores[0].imageSets[0].versions[0].imageSetState: "
            "Invalid enum value 'NEW': expected one of ACTIVE, DELETED, LOCKED",
        ),
        ([], 1, "no versions were found"),
    ],
)
def test_capture_refuses_input_that_is_no_answer(content: Any, code: int, error: str) -> None:
    result = from_input(content)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"Error: {error}\n")


def test_capture_needs_an_image_set_or_an_input() -> None:
    result = run("seed", "capture", *IDS)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "Error: give an --image-set-id, or an --input")


# Exporting.


def test_export_writes_the_present_state(server: Server, emulator: Emulator, tmp_path: Path) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    emulator.image_set(DATASTORE, SAMPLE, account="111111111111").replace("4", image_set_state="LOCKED")
    output = tmp_path / "seed.json"
    assert run("seed", "export", server.url, "--output", str(output)).exit_code == 0
    assert len(load_seed(output).baseline[DATASTORE][SAMPLE].history) == 5
    result = run("seed", "export", server.url, "--account", "111111111111")
    assert load_seed(json.loads(result.stdout)).baseline[DATASTORE][SAMPLE].latest.image_set_state == "LOCKED"


def test_export_sends_the_control_token() -> None:
    with Emulator.from_seed(DEMO, control_token="sesame").serve() as server:
        assert run("seed", "export", server.url, "--control-token", "sesame").exit_code == 0
        refused = run("seed", "export", server.url)
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: the header x-emulator-token is missing or wrong; give it with --control-token\n",
    )


def test_export_from_where_there_is_no_emulator_is_one_line() -> None:
    assert run("seed", "export", "http://127.0.0.1:1").stderr == (
        "Error: cannot reach http://127.0.0.1:1: Connection refused\n"
    )
    refused = run("seed", "export", "127.0.0.1:1")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: invalid url '127.0.0.1:1': expected the URL of an emulator, such as http://127.0.0.1:4580\n",
    )
