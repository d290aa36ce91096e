"""Changes over a baseline: exact under threads, and never seen by another account."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import Any

import pytest

from healthimaging_emulator.aws.errors import ResourceNotFoundException
from healthimaging_emulator.healthimaging.store import Store
from healthimaging_emulator.seeds.generate import history

DATASTORE, IMAGE_SET, NEW = "d" * 32, "a" * 32, "b" * 32
BASELINE = {DATASTORE: {IMAGE_SET: history(IMAGE_SET, 3)}}


@pytest.fixture
def store() -> Store:
    return Store(BASELINE, lambda: 1700000000.123)


def append(store: Store, **members: Any) -> object:
    return store.append(DATASTORE, IMAGE_SET, **({"image_set_state": "ACTIVE"} | members))


def test_append_numbers_dates_and_adds(store: Store) -> None:
    version = store.append(DATASTORE, IMAGE_SET, image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    assert version
    assert (version.version_id, version.image_set_id) == ("4", IMAGE_SET)
    assert (version.created_at, version.updated_at) == (1680027126.436, 1700000000.123)
    assert store.history(DATASTORE, IMAGE_SET) == (*BASELINE[DATASTORE][IMAGE_SET], version)


def test_append_takes_a_number_above_the_last_only(store: Store) -> None:
    append(store, version_id="9")
    for taken in ("9", "1"):
        with pytest.raises(ValueError, match="does not follow 9"):
            append(store, version_id=taken)


def test_replace_changes_one_version_whole(store: Store) -> None:
    version = store.replace(DATASTORE, IMAGE_SET, "2", image_set_state="ACTIVE", message="new", updated_at=5.0)
    assert version
    assert (version.updated_at, version.image_set_workflow_status) == (5.0, None)
    assert store.history(DATASTORE, IMAGE_SET)[1] is version
    assert [each.version_id for each in store.history(DATASTORE, IMAGE_SET)] == ["1", "2", "3"]


def test_version_1_gets_no_updated_at(store: Store) -> None:
    for id in ("1", "2"):
        store.replace(DATASTORE, IMAGE_SET, id, image_set_state="ACTIVE")
    first, second, _ = store.history(DATASTORE, IMAGE_SET)
    assert (first.updated_at, second.updated_at) == (None, 1700000000.123)


def test_replace_of_a_version_that_is_not_there(store: Store) -> None:
    with pytest.raises(LookupError, match="no version 4"):
        store.replace(DATASTORE, IMAGE_SET, "4", image_set_state="ACTIVE")


def test_add_makes_version_1(store: Store) -> None:
    store.add("e" * 32, NEW, created_at=datetime(2024, 1, 1, tzinfo=timezone.utc))
    (version,) = store.history("e" * 32, NEW)
    assert (version.version_id, version.image_set_workflow_status, version.created_at) == ("1", "CREATED", 1704067200.0)


def test_add_of_an_image_set_that_is_there(store: Store) -> None:
    store.add(DATASTORE, NEW)
    for id in (IMAGE_SET, NEW):
        with pytest.raises(ValueError, match="is in data store"):
            store.add(DATASTORE, id)


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"image_set_state": "GONE"}, "Invalid enum value 'GONE'"),
        ({"image_set_workflow_status": "DONE"}, "Invalid enum value 'DONE'"),
        ({"message": ""}, "length >= 1"),
        ({"message": "é"}, "matching regex"),
        ({"message": "a" * 2049}, "length <= 2048"),
        ({"version_id": "x"}, "matching regex"),
        ({"version_id": "1" * 19}, "length <= 18"),
        ({"created_at": -0.0001}, "1970 to 9999"),
        ({"updated_at": 253402300799.9999}, "1970 to 9999"),
        ({"deleted_at": float("nan")}, "1970 to 9999"),
        ({"created_at": datetime(2024, 1, 1)}, "offset from UTC"),
    ],
)
def test_members_that_break_the_model_change_nothing(store: Store, members: dict[str, object], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        append(store, **members)
    assert store.history(DATASTORE, IMAGE_SET) is BASELINE[DATASTORE][IMAGE_SET]


def test_an_unknown_member(store: Store) -> None:
    with pytest.raises(TypeError, match="imageSetState"):
        append(store, imageSetState="ACTIVE")


@pytest.mark.parametrize("id", ["", "UPPER", "a" * 33])
def test_add_refuses_bad_ids(store: Store, id: str) -> None:
    with pytest.raises(ValueError, match="regex"):
        store.add(id, NEW)
    with pytest.raises(ValueError, match="regex"):
        store.add(DATASTORE, id)
    with pytest.raises(ResourceNotFoundException):
        store.history(DATASTORE, id)


def test_two_stores_share_the_baseline_and_no_change(store: Store) -> None:
    other = Store(BASELINE, lambda: 0)
    append(store)
    store.add(DATASTORE, NEW)
    assert other.history(DATASTORE, IMAGE_SET) is BASELINE[DATASTORE][IMAGE_SET]
    with pytest.raises(ResourceNotFoundException):
        other.history(DATASTORE, NEW)


@pytest.mark.usefixtures("restless_threads")
def test_appending_is_exact_under_threads(store: Store) -> None:
    ready = threading.Barrier(16)

    def work() -> None:
        ready.wait()
        for _ in range(25):
            append(store)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.number for version in store.history(DATASTORE, IMAGE_SET)] == list(range(1, 404))
