"""Files of a job, read in its thread or in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pydicom
import pytest

from healthimaging_emulator.healthimaging.imports import reader as module
from healthimaging_emulator.healthimaging.imports.instance import NotImportable, read_instance
from healthimaging_emulator.healthimaging.imports.reader import CHILD_ENDED, FILES_IN_THREAD, FileReader

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
CT = (SHIPPED / "CT_small.dcm").read_bytes()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileReader]:
    """Return a reader that asks its child at once."""
    monkeypatch.setattr(module, "FILES_IN_THREAD", 0)
    with closing(FileReader()) as reader:
        yield reader


def refusal(reader: FileReader, content: bytes) -> str:
    with pytest.raises(NotImportable) as raised:
        reader.read(content)
    return raised.value.message


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle_2frame.dcm", "test-SR.dcm", "rtplan.dcm"])
def test_a_child_reads_as_the_thread_does(reader: FileReader, name: str) -> None:
    content = (SHIPPED / name).read_bytes()
    assert reader.read(content) == read_instance(content)


def test_a_file_that_is_refused_has_the_same_message(reader: FileReader) -> None:
    for content in (b"", b"no DICOM", CT[:-1000]):
        with pytest.raises(NotImportable) as raised:
            read_instance(content)
        assert refusal(reader, content) == raised.value.message


def test_a_child_that_ends_fails_one_file_and_the_next_one_has_another(reader: FileReader) -> None:
    first = reader.read(CT)
    child: Any = reader._child  # nothing else can end it
    child.kill()
    assert refusal(reader, CT) == CHILD_ENDED
    assert reader.read(CT) == first
    assert child.poll() is not None


def test_the_first_files_need_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    original = module._start_child

    def start() -> Any:
        started.append(1)
        return original()

    monkeypatch.setattr(module, "_start_child", start)
    with closing(FileReader()) as reader:
        for number in range(1, FILES_IN_THREAD + 3):
            reader.read(CT)
            assert len(started) == (number > FILES_IN_THREAD)


def test_closing_ends_the_child(reader: FileReader) -> None:
    reader.read(CT)
    child: Any = reader._child
    reader.close()
    reader.close()  # does nothing more
    assert child.poll() is not None


@pytest.mark.parametrize("executable", ["", "/nowhere/python"])
def test_a_child_that_cannot_be_started_is_not_needed(
    monkeypatch: pytest.MonkeyPatch, reader: FileReader, executable: str
) -> None:
    monkeypatch.setattr("sys.executable", executable)  # empty: Python is embedded in another program
    assert reader.read(CT) == read_instance(CT)
