"""Objects of S3 in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.objects import FolderObjects, ObjectError


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    (folder / "demo" / "a").mkdir(parents=True)
    (folder / "demo" / "a" / "b.dcm").write_bytes(b"shipped")
    return folder


def test_a_bucket_that_the_folder_does_not_have_is_read_from_the_shipped_ones(tmp_path: Path, shipped: Path) -> None:
    objects = FolderObjects(tmp_path / "s3", shipped)
    assert list(objects.list_keys("demo", "a/")) == ["a/b.dcm"]
    assert objects.read("demo", "a/b.dcm") == b"shipped"


def test_nothing_is_written_to_a_shipped_bucket_and_one_of_its_own_hides_it(tmp_path: Path, shipped: Path) -> None:
    objects = FolderObjects(tmp_path / "s3", shipped)
    objects.write("demo", "a/c.dcm", b"own")
    assert (tmp_path / "s3" / "demo" / "a" / "c.dcm").read_bytes() == b"own"
    assert list(objects.list_keys("demo", "")) == ["a/c.dcm"]
    assert [path.name for path in shipped.rglob("*") if path.is_file()] == ["b.dcm"]


@pytest.mark.parametrize("has_shipped", [False, True])
def test_a_bucket_that_is_nowhere_is_an_error(tmp_path: Path, shipped: Path, has_shipped: bool) -> None:
    objects = FolderObjects(tmp_path / "s3", shipped if has_shipped else None)
    with pytest.raises(ObjectError, match=r"there is no bucket other in .*/s3$"):
        list(objects.list_keys("other", ""))


@pytest.mark.parametrize("key", ["../demo/a/b.dcm", "a/../../x", "\0"])
def test_a_key_must_lie_inside_its_bucket(tmp_path: Path, shipped: Path, key: str) -> None:
    objects = FolderObjects(tmp_path / "s3", shipped)
    with pytest.raises(ObjectError, match="is not inside bucket"):
        objects.read("other", key)
    with pytest.raises(ObjectError, match="is not inside bucket"):
        objects.write("other", key, b"")


def test_any_object_store_can_be_the_setting(tmp_path: Path) -> None:
    objects = FolderObjects(tmp_path)
    assert Emulator.from_seed({}, s3=objects).settings.s3 is objects
