"""``seed``: check, make and fetch seeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Server
from tests.cli.conftest import run
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE


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


@pytest.mark.parametrize("command", [("seed", "check"), ("serve", "--port", "0")])
def test_no_text_of_a_seed_controls_the_terminal(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(r'{"\u001b[2J\u009b": 1}')
    result = run(*command, str(tmp_path / "seed.json"))
    assert "unknown field `?[2J?`" in result.stderr
    assert result.stderr.replace("\n", "").isprintable()


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
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("nowhere/seed.json", "cannot write nowhere/seed.json: No such file or directory"),
        ("/dev/full", "cannot write /dev/full: No space left on device"),
        (".", "Invalid value for '--output': File '.' is a directory."),
    ],
)
def test_an_output_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("seed", "generate", "--output", output)
    assert (result.exit_code > 0, result.stderr.splitlines()[-1]) == (True, f"Error: {message}")


def test_an_output_that_is_there_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text("old")
    seed.chmod(0o600)
    assert run("seed", "generate", "--output", str(seed)).exit_code == 0
    assert load_seed(seed).baseline
    assert (seed.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (0o600, [seed])


def test_an_output_that_is_a_link_is_written_where_it_leads(tmp_path: Path) -> None:
    link, seed = tmp_path / "link.json", tmp_path / "seed.json"
    link.symlink_to(seed)
    assert run("seed", "generate", "--output", str(link)).exit_code == 0
    assert load_seed(seed).baseline
    assert link.is_symlink()


def test_schema_prints_the_json_schema() -> None:
    assert json.loads(run("seed", "schema").stdout)["$schema"].endswith("2020-12/schema")


# Exporting.


def test_export_writes_the_present_state(server: Server, emulator: Emulator, tmp_path: Path) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    emulator.image_set(DATASTORE, SAMPLE, account="111111111111").replace("4", image_set_state="LOCKED")
    output = tmp_path / "seed.json"
    assert run("seed", "export", "--url", server.url, "--output", str(output)).exit_code == 0
    assert len(load_seed(output).baseline[DATASTORE][SAMPLE].history) == 5
    result = run("seed", "export", "--url", server.url, "--account", "111111111111")
    assert load_seed(json.loads(result.stdout)).baseline[DATASTORE][SAMPLE].latest.image_set_state == "LOCKED"


def test_load_replaces_the_whole_state_or_adds_to_it(server: Server, emulator: Emulator, tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(ONE_IMAGE_SET)
    emulator.image_set(DATASTORE, MANY).remove()
    before = len(list(emulator.datastore(DATASTORE).image_sets))
    assert run("seed", "load", str(seed), "--add", "--url", server.url).exit_code == 0
    assert len(list(emulator.datastore(DATASTORE).image_sets)) == before + 1
    conflict = run("seed", "load", str(seed), "--add", "--url", server.url)
    told = f"Error: image set {'a' * 32} is in data store {DATASTORE} already\n"
    assert (conflict.exit_code, conflict.stderr) == (1, told)
    assert run("seed", "load", "-", "--url", server.url, input=seed.read_bytes()).exit_code == 0
    emulator.reset()
    assert [each.image_set_id for each in emulator.datastore(DATASTORE).image_sets] == ["a" * 32]


ONE_IMAGE_SET = f"""
datastores:
  - datastoreId: "{DATASTORE}"
    imageSets: [{{imageSetId: {"a" * 32}, generate: {{versions: 1}}}}]
"""


def test_load_refuses_a_mistake_and_changes_nothing(server: Server, emulator: Emulator, tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"datastores": [{"datastoreId": "x"}]}')
    refused = run("seed", "load", str(seed), "--url", server.url)
    mistake = f"{seed}: $.datastores[0].datastoreId: Expected `str` matching regex '[0-9a-z]{{32}}'"
    assert (refused.exit_code, refused.stderr) == (2, f"Error: {mistake}\n")
    assert emulator.image_set(DATASTORE, SAMPLE).state == "ACTIVE"


SEED = f"datastores: [{{datastoreId: '{DATASTORE}'}}]".encode()


def test_check_reads_standard_input() -> None:
    result = run("seed", "check", "-", input=SEED)
    assert (result.exit_code, result.stdout) == (0, "ok: 1 data store, 0 image sets, 0 versions\n")
    result = run("seed", "check", "-", input=SEED.replace(b"datastores", b"datastore"))
    assert (result.exit_code, result.stderr) == (
        2,
        "standard input: $: Object contains unknown field `datastore` (did you mean datastores?)\nError: 1 mistake\n",
    )


def test_commands_read_pipes_and_standard_input() -> None:
    generate = f"{sys.executable} -m healthimaging_emulator seed generate --versions 3"
    check = f"{sys.executable} -m healthimaging_emulator seed check"
    listing = f"{sys.executable} -m healthimaging_emulator exec --seed - true"
    script = f"{check} <({generate}); {generate} | {check} -; {generate} | {listing} && echo served"
    finished = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout == "ok: 1 data store, 1 image set, 3 versions\n" * 2 + "served\n"


def test_a_closed_standard_input_is_one_line() -> None:
    command = f"{sys.executable} -m healthimaging_emulator seed check - <&-"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 1
    assert finished.stderr == "Error: cannot read -: standard input is closed\n"
