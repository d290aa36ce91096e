"""``serve --save``: what the accounts hold is there again after a stop and a start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator, Fault, LimitExceededError, RemoteAccount
from healthimaging_emulator.cli.save import open_saved
from tests.cli.conftest import Address, run, serving
from tests.conftest import DEMO
from tests.demo import CHEST_CT, DATASTORE, HEAD_MR, MANY, OTHER_DATASTORE, SAMPLE
from tests.raw import HANG_SECONDS

DEFAULT, A, B = "000000000000", "111111111111", "222222222222"
TEST = "900000000001"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def remote(banner: list[str], id: str = DEFAULT) -> RemoteAccount:
    return RemoteAccount(f"http://127.0.0.1:{Address(banner).port}", id)


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(HANG_SECONDS)


def save(emulator: Emulator, file: str = "state.json") -> list[str]:
    with open_saved(file) as saved:
        return saved.save(emulator)


def restored(seed: dict[str, Any], **settings: Any) -> Emulator:
    emulator = Emulator.from_seed(seed, **settings)
    with open_saved("state.json") as saved:
        saved.restore(emulator)
    return emulator


def test_accounts_go_on_after_a_stop_by_either_signal() -> None:
    with serving("--save", "state.json") as (process, banner):
        remote(banner).image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
        remote(banner).faults.add(Fault.error("ThrottlingException", id="busy", times=5))
        remote(banner, A).image_set(DATASTORE, MANY).remove()
        assert stop(process, signal.SIGINT) == 0
        assert process.stderr
        assert process.stderr.readlines()[-1].endswith(" saved 2 accounts to state.json\n")
    assert sorted(os.listdir()) == ["state.111111111111.json", "state.json"]
    assert run("seed", "check", "state.json").stdout == "ok: 2 data stores, 28 image sets, 278 versions\n"
    with serving("--save", "state.json") as (process, banner):
        assert banner[1] == "with 2 data stores, 28 image sets, 278 versions from state.json\n"
        assert len(remote(banner).image_set(DATASTORE, SAMPLE).versions) == 5
        assert [each.id for each in remote(banner).faults] == ["busy"]
        left = {each.image_set_id for each in remote(banner, A).datastore(DATASTORE).image_sets}
        assert (SAMPLE in left, MANY in left) == (True, False)
        assert len(remote(banner, B).image_set(DATASTORE, SAMPLE).versions) == 4
        remote(banner, A).forget()
        assert stop(process, signal.SIGTERM) == 0
    assert sorted(os.listdir()) == ["state.222222222222.json", "state.json"]


def test_a_state_that_cannot_be_written_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with serving("--save", "folder/state.json") as (process, _):
        shutil.rmtree(tmp_path / "folder")
        assert stop(process) == 1
        assert process.stderr
        assert process.stderr.read() == "Error: cannot write folder/state.json: No such file or directory\n"


def test_a_full_disk_leaves_the_state_of_the_stop_before(tmp_path: Path) -> None:
    before = '{"datastores": []}'
    (tmp_path / "state.json").write_text(before)
    serve = [sys.executable, "-m", "healthimaging_emulator", "serve", "--port", "0", "--save", "state.json"]
    command = ["bash", "-c", 'ulimit -f 10; exec "$@"', "bash", *serve]  # no file may be larger than 10 KiB
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with subprocess.Popen(
        command, env=unmeasured, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        banner = [process.stdout.readline()]
        remote(banner).put_seed(DEMO)
        assert stop(process) == 1
        assert process.stderr.readlines()[-1] == "Error: cannot write state.json: File too large\n"
    assert (os.listdir(), (tmp_path / "state.json").read_text()) == (["state.json"], before)


def test_a_mistake_in_a_state_stops_the_start_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / f"state.{A}.json").write_text("{")
    result = run("serve", "--port", "0", "--save", "state.json")
    assert (result.exit_code, result.stderr) == (2, f"Error: state.{A}.json: $: Input data was truncated\n")
    assert (tmp_path / f"state.{A}.json").read_text() == "{"


@pytest.mark.parametrize(
    ("file", "code", "message"),
    [
        ("nowhere/state.json", 1, "cannot write nowhere/state.json: No such file or directory"),
        ("state.yaml", 2, "invalid file 'state.yaml' to save to: expected a name that ends in .json"),
    ],
)
def test_a_file_that_cannot_be_is_refused_at_the_start(file: str, code: int, message: str) -> None:
    result = run("serve", "--port", "0", "--save", file)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (code, f"Error: {message}")


def test_a_pipe_is_refused_at_the_start(tmp_path: Path) -> None:
    for name, file in (("state.json", "state.json"), ("other.json", f"other.{A}.json")):
        os.mkfifo(tmp_path / file)
        result = run("serve", "--port", "0", "--save", name)
        assert (result.exit_code, result.stderr) == (1, f"Error: cannot save to {file}: expected a file\n")


def test_watch_is_refused() -> None:
    result = run("serve", "--port", "0", "--save", "state.json", "--watch")
    told = "Error: --save cannot be used with --watch, which would discard what was restored"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, told)


def test_another_process_cannot_save_to_the_same_file_until_the_first_one_ends() -> None:
    with serving("--save", "state.json") as (process, _):
        result = run("serve", "--port", "0", "--save", "state.json")
        told = "Error: cannot save to state.json: another emulator saves to it\n"
        assert (result.exit_code, result.stderr) == (1, told)
        process.kill()
        process.wait(HANG_SECONDS)
    assert os.listdir() == [".state.json.lock"]
    with serving("--save", "state.json") as (process, _):
        assert stop(process) == 0
    assert os.listdir() == ["state.json"]


def test_too_many_accounts_are_refused_at_the_start(tmp_path: Path) -> None:
    for id in (A, B):
        (tmp_path / f"state.{id}.json").write_text("{}")
    result = run("serve", "--port", "0", "--save", "state.json", "--max-accounts", "2")
    told = "Error: limit exceeded: 3 accounts, but max_accounts is 2"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, told)


# In this process.


def test_an_operation_under_way_is_finished(emulator: Emulator) -> None:
    client = emulator.client()
    client.delete_image_set(datastoreId=OTHER_DATASTORE, imageSetId=HEAD_MR)
    assert save(emulator) == []
    with open_saved("state.json") as accounts:
        saved = accounts.seeds[DEFAULT].baseline[OTHER_DATASTORE][HEAD_MR]
    assert (saved.latest.image_set_state, saved.latest.image_set_workflow_status) == ("DELETED", "DELETED")


def test_metadata_and_frames_are_kept_and_a_reset_returns_to_them(emulator: Emulator) -> None:
    before = emulator.account().export_seed()
    save(emulator)
    other = restored({})
    other.image_set(OTHER_DATASTORE, CHEST_CT).remove()
    other.reset()
    assert json.loads(other.account().export_seed()) == json.loads(before)


def test_accounts_of_tests_are_not_saved(emulator: Emulator) -> None:
    emulator.account(TEST)
    save(emulator)
    assert os.listdir() == ["state.json"]


def test_a_link_stays_and_its_target_is_replaced(emulator: Emulator, tmp_path: Path) -> None:
    link, target = tmp_path / "state.json", tmp_path / "target.json"
    target.write_text("{}")
    link.symlink_to("target.json")
    with target.open() as before:
        save(emulator)
        assert link.is_symlink()
        assert "datastores" in json.loads(target.read_text())
        assert before.read() == "{}"  # another file has taken its place


def test_the_link_of_another_account_stays_too(emulator: Emulator, tmp_path: Path) -> None:
    link, target = tmp_path / f"state.{A}.json", tmp_path / "target.json"
    target.write_text("{}")
    link.symlink_to("target.json")
    emulator.account(A)
    with target.open() as before:
        assert save(emulator) == []
        assert link.is_symlink()
        assert "datastores" in json.loads(target.read_text())
        assert before.read() == "{}"


def test_a_link_without_a_target_gets_one(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / f"state.{A}.json").symlink_to("target.json")
    emulator.account(A)
    assert save(emulator) == []
    assert "datastores" in json.loads((tmp_path / "target.json").read_text())


@pytest.mark.parametrize("file", ["state.json", f"state.{A}.json"])
def test_a_link_to_itself_is_refused(file: str, tmp_path: Path) -> None:
    (tmp_path / file).symlink_to(file)
    result = run("serve", "--port", "0", "--save", "state.json")
    told = f"Error: cannot save to {tmp_path / file}: expected a file\n"
    assert (result.exit_code, result.stderr) == (1, told)


def test_files_of_other_names_are_left_alone(emulator: Emulator, tmp_path: Path) -> None:
    others = [f"state.{'1' * 13}.json", f"state.{A}.yaml", f"state.{A}.json", f"x[s]tate.{A}.json"]
    others += [f"[s]tate.{id}.json" for id in (DEFAULT, "900000000000", TEST)]
    for name in others:
        (tmp_path / name).write_text("{")
    save(emulator, "[s]tate.json")
    assert sorted(os.listdir()) == sorted([*others, "[s]tate.json"])


def test_the_file_of_an_account_that_was_not_restored_is_left_alone(emulator: Emulator, tmp_path: Path) -> None:
    with open_saved("state.json") as saved:
        (tmp_path / f"state.{A}.json").write_text("{")
        assert saved.save(emulator) == []
    assert (tmp_path / f"state.{A}.json").read_text() == "{"


def test_each_account_fails_alone(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / f"state.{A}.json").write_text("{}")
    emulator.account(B)
    with open_saved("state.json") as saved:
        for name in ("state.json", f"state.{A}.json"):
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).mkdir()
        assert saved.save(emulator) == [
            "cannot save to state.json: expected a file",
            f"cannot remove state.{A}.json: Is a directory",
        ]
    assert "datastores" in json.loads((tmp_path / f"state.{B}.json").read_text())


def test_a_state_above_the_limits_can_be_changed_as_an_initial_seed_can(emulator: Emulator) -> None:
    emulator.faults.add(Fault.latency(0), Fault.latency(0))
    save(emulator)
    other = restored({}, max_versions=1, max_faults=1)
    for _ in range(2):
        other.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
        other.faults.add(Fault.latency(0))
        with pytest.raises(LimitExceededError):
            other.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
        with pytest.raises(LimitExceededError):
            other.faults.add(Fault.latency(0))
        other.reset()
