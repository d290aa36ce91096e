"""``serve --watch``: a seed is loaded again when its files change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.cli.watch import SeedFiles, watching
from tests.cli.conftest import ask, serving
from tests.conftest import DEMO
from tests.demo import DATASTORE, SAMPLE, path
from tests.raw import HANG_SECONDS, until

OTHER = "111111111111"


def seed(versions: int, **members: Any) -> dict[str, Any]:
    image_set = {
        "imageSetId": SAMPLE,
        "versions": [{"versionId": str(n + 1), "imageSetState": "ACTIVE"} for n in range(versions)],
    }
    return {"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set | members]}]}


def save(name: str, content: Any) -> None:
    """Write a file and put it in its place, as editors do: its state differs, however fast that is."""
    Path("new").write_text(content if isinstance(content, str) else json.dumps(content))
    os.replace("new", name)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "healthimaging_emulator")


class Watched:
    """An emulator whose files are polled by a test."""

    def __init__(self, *sources: str, faults: str | None = None) -> None:
        self.files = SeedFiles(sources, faults)
        self.emulator = Emulator(self.files.load())

    def poll(self, times: int = 2) -> None:
        """Poll: the second time, what has not changed since the first one is loaded."""
        for _ in range(times):
            self.files.poll(self.emulator)

    def count(self, account: str = OTHER, image_set: str = SAMPLE) -> int:
        return len(self.emulator.image_set(DATASTORE, image_set, account=account).versions)


def loaded(versions: int, source: str = "seed.json") -> str:
    return f"loaded 1 data store, 1 image set, {versions} versions from {source}"


def test_a_changed_seed_is_that_of_all_accounts(caplog: pytest.LogCaptureFixture) -> None:
    save("seed.json", seed(2))
    watched = Watched("seed.json")
    watched.emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    watched.poll()
    assert (watched.count("000000000000"), caplog.messages) == (3, [])
    save("seed.json", seed(4))
    watched.poll()
    assert (watched.count("000000000000"), watched.count(OTHER)) == (4, 4)
    watched.emulator.reset()
    assert watched.count("000000000000") == 4
    watched.poll()
    assert caplog.messages == [loaded(4)]


def test_a_file_that_is_still_written_waits_for_the_next_poll(caplog: pytest.LogCaptureFixture) -> None:
    save("seed.json", seed(2))
    watched = Watched("seed.json")
    text = json.dumps(seed(4))
    for end in (50, 100, 150, len(text)):
        Path("seed.json").write_text(text[:end])
        watched.poll(1)
    assert (watched.count(), caplog.messages) == (2, [])
    watched.poll(1)
    assert (watched.count(), caplog.messages) == (4, [loaded(4)])


def test_what_is_written_while_the_seed_loads_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    save("seed.json", seed(2))
    read_bytes = Path.read_bytes

    def read_and_change(self: Path) -> bytes:
        content = read_bytes(self)
        save("seed.json", seed(4))
        return content

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_and_change)
        watched = Watched("seed.json")
    assert watched.count() == 2
    watched.poll()
    assert watched.count() == 4


MISTAKES: list[tuple[Callable[[], object], str]] = [
    (lambda: save("seed.json", "{"), "seed.json: $: Input data was truncated"),
    (
        lambda: save("seed.json", {"x": 1}),
        "seed.json: $: Object contains unknown field `x`: expected one of datastores, imports, faults",
    ),
    (lambda: os.remove("seed.json"), "seed.json: No such file or directory"),
    (
        lambda: save("seed.json", seed(1, metadata="study.json")),
        "seed.json: $.datastores[0].imageSets[0].metadata: study.json: No such file or directory",
    ),
]


@pytest.mark.parametrize(("change", "mistake"), MISTAKES, ids=[mistake for _, mistake in MISTAKES])
def test_the_seed_is_kept_if_it_cannot_be_loaded(
    caplog: pytest.LogCaptureFixture, change: Callable[[], object], mistake: str
) -> None:
    save("seed.json", seed(2))
    watched = Watched("seed.json")
    watched.emulator.image_set(DATASTORE, SAMPLE, account=OTHER).append(image_set_state="LOCKED")
    change()
    watched.poll(5)
    assert (watched.count(OTHER), watched.count("222222222222")) == (3, 2)
    assert caplog.messages == [f"kept the seed: {mistake}"]
    save("seed.json", seed(4))
    watched.poll()
    assert (watched.count(OTHER), caplog.messages[1:]) == (4, [loaded(4)])


def test_files_of_a_folder_come_and_go(caplog: pytest.LogCaptureFixture) -> None:
    Path("seeds").mkdir()
    save("seeds/a.json", seed(2))
    watched = Watched("seeds")
    save("seeds/notes.txt", "no seed")
    watched.poll()
    save("seeds/b.json", {"datastores": [{"datastoreId": "b" * 32}]})
    watched.poll()
    os.remove("seeds/b.json")
    watched.poll()
    os.remove("seeds/a.json")
    watched.poll()
    save("seeds/notes.txt", "still no seed")
    watched.poll()
    save("seeds/c.yaml", json.dumps(seed(4)))
    watched.poll()
    assert caplog.messages == [
        "loaded 2 data stores, 1 image set, 2 versions from seeds",
        loaded(2, "seeds"),
        "kept the seed: seeds: no file here has a name that ends in .json, .yaml or .yml",
        loaded(4, "seeds"),
    ]


def test_files_that_the_seed_names_are_watched(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "healthimaging_emulator")
    frame = "f" * 32
    study = {"Study": {"Series": {"1": {"Instances": {"2": {"ImageFrames": [{"ID": frame}]}}}}}}
    Path("inside").mkdir()
    save("inside/study.json", study)
    Path("frame.bin").write_bytes(b"1")
    save("seed.json", seed(2, metadata="inside/study.json", frames={frame: "frame.bin"}))
    watched = Watched("seed.json")
    Path("frame.bin").write_bytes(b"22")
    watched.poll()
    assert watched.emulator.seed.baseline[DATASTORE][SAMPLE].frames == {frame: b"22"}
    os.remove("inside/study.json")
    watched.poll(5)
    save("inside/study.json", study)
    watched.poll()
    save("seed.json", seed(2))
    watched.poll()
    save("inside/study.json", {})  # which the seed names no longer
    watched.poll()
    missing = "inside/study.json: No such file or directory"
    assert caplog.messages == [
        loaded(2),
        f"kept the seed: seed.json: $.datastores[0].imageSets[0].metadata: {missing}",
        loaded(2),
        loaded(2),
    ]


def test_a_named_file_that_appears_is_a_change(caplog: pytest.LogCaptureFixture) -> None:
    save("seed.json", seed(2))
    watched = Watched("seed.json")
    save("seed.json", seed(4, metadata="study.json"))
    watched.poll()
    save("study.json", {})
    watched.poll()
    assert caplog.messages[1:] == [loaded(4)]


def test_faults_are_watched_also_with_the_demo(caplog: pytest.LogCaptureFixture) -> None:
    save("faults.json", [{"id": "a", "latency": {"seconds": 0}}])
    watched = Watched(str(DEMO), faults="faults.json")
    assert [fault.id for fault in watched.emulator.faults] == ["a"]
    save("faults.json", [{"id": "b", "latency": {"seconds": 0}}])
    watched.poll()
    assert [fault.id for fault in watched.emulator.faults] == ["b"]
    save("faults.json", [{}])
    watched.poll()
    assert [fault.id for fault in watched.emulator.faults] == ["b"]
    effects = "error, rateLimit, pagination, corrupt, connection, workflow, respond, latency"
    assert caplog.messages == [
        f"loaded 2 data stores, 28 image sets, 277 versions from {DEMO}",
        f"kept the seed: faults.json: $[0]: a fault needs an effect: {effects}",
    ]


# The thread.


def test_the_thread_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthimaging_emulator.cli.watch.STOP_SECONDS", HANG_SECONDS)
    save("seed.json", seed(2))
    watched = Watched("seed.json")
    before = {*threading.enumerate()}
    with watching(watched.files, watched.emulator):
        (thread,) = [each for each in {*threading.enumerate()} - before if each.name.endswith("(watch)")]
    assert not thread.is_alive()


def test_an_unexpected_error_is_logged_and_ends_the_watch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("seed.json", seed(2))
    watched = Watched("seed.json")
    monkeypatch.setattr(watched.files, "poll", lambda _: 1 / 0)
    with watching(watched.files, watched.emulator):
        until(lambda: caplog.records)
    assert caplog.messages == ["the seed is no longer watched"]


# As a program.


def read_line(process: subprocess.Popen[str]) -> str:
    """Return the next line of the log behind its time; a hang fails instead of waiting for ever."""
    assert process.stderr
    log, descriptor = bytearray(), process.stderr.fileno()
    os.set_blocking(descriptor, False)

    def has_line() -> bool:
        with suppress(BlockingIOError):
            log.extend(os.read(descriptor, 1))
        return log.endswith(b"\n")

    until(has_line)
    os.set_blocking(descriptor, True)
    return log.decode().partition(" ")[2]


def stop(process: subprocess.Popen[str]) -> list[str]:
    """Stop the program, and return the rest of its log."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(HANG_SECONDS) == 0
    assert process.stderr
    return process.stderr.readlines()


def test_serve_loads_a_seed_that_changes() -> None:
    save("seed.json", seed(2))
    with serving("--seed", "seed.json", "--watch") as (process, banner):
        save("seed.json", seed(4))
        assert read_line(process) == f"{loaded(4)}\n"
        assert len(ask(banner, path(SAMPLE)).json["imageSetPropertiesList"]) == 4
        save("seed.json", "{")
        assert read_line(process).startswith("000000000000 ListImageSetVersions ")
        assert read_line(process) == "kept the seed: seed.json: $: Input data was truncated\n"
        assert stop(process) == []


def test_watch_is_also_a_variable_and_watches_the_faults_of_the_demo() -> None:
    save("faults.json", [])
    with serving("--faults", "faults.json", HEALTHIMAGING_EMULATOR_WATCH="true") as (process, banner):
        save("faults.json", [{"error": {"code": "ThrottlingException"}}])
        assert read_line(process) == f"loaded 2 data stores, 28 image sets, 277 versions from {DEMO}\n"
        assert ask(banner).status == 429
