"""Every program prints the same behind ``exec``, after ``env``, and in this process, whatever the pace of writes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from healthimaging_emulator import Emulator
from tests.cli.conftest import Address, serving
from tests.clients.conftest import program
from tests.raw import HANG_SECONDS

from . import change_primary, pipeline, viewer

FOLDER = Path(__file__).parent
SEED = FOLDER / "seed.yaml"
DATASTORE, HEAD = "hospital".ljust(32, "0"), "head".ljust(32, "0")
ONLY_READS = ("--transition-seconds", "none")
"""A write is over when requests have seen it, and never by time."""

EMULATOR = [sys.executable, "-m", "healthimaging_emulator"]


def command_of(name: str, *arguments: str) -> tuple[list[str], Path]:
    """Return the command that runs a program, and its working directory."""
    if name.endswith(".mjs"):
        return ["node", str(FOLDER / name), *arguments], program("javascript").folder
    return [sys.executable, str(FOLDER / name), *arguments], FOLDER


def run(command: list[str], folder: Path, **variables: str) -> str:
    finished = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def behind_exec(name: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """Run a program as ``healthimaging-emulator exec`` does."""
    command, folder = command_of(name, *arguments)
    return run([*EMULATOR, "exec", "--seed", str(SEED), *ONLY_READS, *options, "--", *command], folder)


def after_env(name: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """Run a program in a shell that has evaluated ``healthimaging-emulator env``, beside a running emulator."""
    command, folder = command_of(name, *arguments)
    with serving("--seed", str(SEED), *ONLY_READS, *options) as (_, banner):
        env = shlex.join([*EMULATOR, "env", "--port", str(Address(banner).port)])
        return run(["bash", "-ec", f'eval "$({env})"; {shlex.join(command)}'], folder)


WAYS = [behind_exec, after_env]
Way = Callable[..., str]

VIEWED = r"""found P-1
found P-2
version 5 ACTIVE COPIED
application/json TEST^ONE Chest
image/jph b'\x00\x00\x00\x0cjP  \r\n\x87\nframe 1'
image/jph b'\x00\x00\x00\x0cjP  \r\n\x87\nframe 2'
image/jpeg b'\xff\xd8\xff\xe0frame 3'
ResourceNotFoundException ImageFrame lost0000000000000000000000000000 of ImageSet chest000000000000000000000000000 was not found.
page of ('5', 1700000005.5) ('4', 1700000004.5)
page of ('3', 1700000003.5) ('2', 1700000002.5)
page of ('1', None)
"""  # noqa: E501  (a message of the service)


@pytest.mark.parametrize("way", WAYS)
def test_the_viewer(way: Way) -> None:
    assert way("viewer.py", DATASTORE, "P-1") == VIEWED


def test_the_viewers_signature_is_valid() -> None:
    options = ("--require-signature", "--credential", "111111111111:secret", "--region", "eu-west-1")
    assert behind_exec("viewer.py", DATASTORE, "P-1", options=options) == VIEWED


def test_the_viewer_in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator.from_seed(SEED).serve() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        viewer.main(DATASTORE, "P-1")
    assert capsys.readouterr().out == VIEWED


PACES: dict[int, str] = {
    0: """\
write: 2 LOCKED UPDATING
write: 3 LOCKED UPDATING
read: TEST^B
refused: Requested version(s) of ImageSet(s) is not the latest.
poll: 3 ACTIVE UPDATED
write: 4 LOCKED UPDATING
poll: 4 ACTIVE UPDATED
write: 5 LOCKED UPDATING
read: TEST^TWO
delete: DELETING
delete: done already, ResourceNotFoundException
""",
    1: """\
write: 2 LOCKED UPDATING
refused: ImageSet head0000000000000000000000000000 is LOCKED.
poll: 2 ACTIVE UPDATED
write: 3 LOCKED UPDATING
refused: 409 Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.
read: TEST^B
refused: Requested version(s) of ImageSet(s) is not the latest.
poll: 3 ACTIVE UPDATED
write: 4 LOCKED UPDATING
poll: 4 LOCKED UPDATING
poll: 4 ACTIVE UPDATED
write: 5 LOCKED UPDATING
refused: 409 Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.
read: TEST^TWO
delete: DELETING
delete: done already, ConflictException
""",
    2: """\
write: 2 LOCKED UPDATING
refused: ImageSet head0000000000000000000000000000 is LOCKED.
poll: 2 LOCKED UPDATING
poll: 2 ACTIVE UPDATED
write: 3 LOCKED UPDATING
refused: 409 Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.
refused: 409 Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.
read: TEST^B
refused: Requested version(s) of ImageSet(s) is not the latest.
poll: 3 ACTIVE UPDATED
write: 4 LOCKED UPDATING
poll: 4 LOCKED UPDATING
poll: 4 LOCKED UPDATING
poll: 4 ACTIVE UPDATED
write: 5 LOCKED UPDATING
refused: 409 Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.
refused: 409 Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.
read: TEST^TWO
delete: DELETING
delete: done already, ConflictException
""",
}
"""For each number of requests that see a write before it is over, the lines that the pipeline prints."""


@pytest.mark.newest_boto3
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reads", PACES)
def test_the_pipeline(way: Way, reads: int) -> None:
    assert way("pipeline.py", DATASTORE, HEAD, options=("--transition-reads", str(reads))) == PACES[reads]


@pytest.mark.parametrize("reads", PACES)
def test_the_pipeline_in_this_process(capsys: pytest.CaptureFixture[str], reads: int) -> None:
    with Emulator.from_seed(SEED, transition_reads=reads, transition_seconds=None).patch():
        pipeline.main(DATASTORE, HEAD)
    assert capsys.readouterr().out == PACES[reads]


CHANGED = """\
copy of the original: 1 COPYING
  original 1: ACTIVE COPIED, primary
  draft 1: ACTIVE COPIED, not primary
  found: original, draft
  primary: original
update of the draft: 2 UPDATING
  original 1: ACTIVE COPIED, primary
  draft 2: ACTIVE UPDATED, not primary
  found: original, draft
  primary: original
deletion of the original: DELETING
  original 1: DELETED DELETED, primary
  draft 2: ACTIVE UPDATED, not primary
  found: draft
  primary: none
copy of the draft: 1 COPYING
  original 1: DELETED DELETED, primary
  draft 2: ACTIVE COPIED, not primary
  successor 1: ACTIVE COPIED, primary
  found: draft, successor
  primary: successor
deletion of the draft: DELETING
  original 1: DELETED DELETED, primary
  draft 2: DELETED DELETED, not primary
  successor 1: ACTIVE COPIED, primary
  found: successor
  primary: successor
study of the successor: 1.2.840.99999.20
"""


@pytest.mark.newest_boto3
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["change_primary.py", "change_primary.mjs"])
def test_the_change_of_a_primary_image_set(way: Way, name: str) -> None:
    assert way(name, DATASTORE, "P-2") == CHANGED


@pytest.mark.newest_boto3
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_the_change_of_a_primary_image_set_in_this_process(capsys: pytest.CaptureFixture[str], reads: int) -> None:
    with Emulator.from_seed(SEED, transition_reads=reads, transition_seconds=None).patch():
        change_primary.main(DATASTORE, "P-2")
    assert capsys.readouterr().out == CHANGED
