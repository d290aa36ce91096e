"""Changes over a baseline: exact under threads, now or later, and never seen by another account."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import Any

import pytest

from healthimaging_emulator.aws.errors import ResourceNotFoundException
from healthimaging_emulator.clock import Clock
from healthimaging_emulator.errors import ConflictError, InvalidError, LimitExceededError, NotFoundError
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.healthimaging.records import ImageSet, Version
from healthimaging_emulator.healthimaging.store import Store
from healthimaging_emulator.seeds.generate import make_history
from healthimaging_emulator.settings import Settings
from tests.raw import until

DATASTORE, IMAGE_SET, NEW, UNKNOWN = "d" * 32, "a" * 32, "b" * 32, "f" * 32
KEY = DATASTORE, IMAGE_SET
ORIGINAL = ImageSet(datastore_id=DATASTORE, image_set_id=IMAGE_SET, history=make_history(3))
BASELINE = Baseline({DATASTORE: {IMAGE_SET: ORIGINAL}})
NOW = 1700000000.123
ACTIVE: dict[str, Any] = {"image_set_state": "ACTIVE"}


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.freeze(NOW)
    return clock


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(BASELINE, clock, Settings())


def versions(store: Store, key: tuple[str, str] = KEY) -> list[Version]:
    return list(store.current(key).history)


def ids(store: Store) -> list[str]:
    return [version.version_id for version in versions(store)]


# Reading.


def test_an_image_set_that_nobody_changed_is_the_baselines_own(store: Store) -> None:
    assert store.image_set(*KEY) is ORIGINAL
    assert store.snapshot() == BASELINE


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((UNKNOWN, IMAGE_SET), f"Datastore {UNKNOWN} was not found."),
        ((DATASTORE, UNKNOWN), f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
    ],
)
def test_an_unknown_data_store_or_image_set_is_not_found(store: Store, key: tuple[str, str], message: str) -> None:
    for read in (
        lambda: store.image_set(*key),
        lambda: store.current(key),
        lambda: store.edits.append(key, 0, ACTIVE),
        lambda: store.edits.append(key, 1, ACTIVE),
        lambda: store.edits.replace(key, "1", 0, ACTIVE),
    ):
        with pytest.raises(ResourceNotFoundException) as raised:
            read()
        assert raised.value.message == message


# Appending and replacing.


def test_append_numbers_dates_and_adds(store: Store) -> None:
    version = store.edits.append(KEY, 0, {"image_set_state": "LOCKED", "image_set_workflow_status": "UPDATING"})
    assert version == Version(
        version_id="4",
        image_set_state="LOCKED",
        image_set_workflow_status="UPDATING",
        created_at=1680027126.436,
        updated_at=NOW,
    )
    assert versions(store) == [*ORIGINAL.history, version]


def test_append_takes_only_a_number_above_the_last(store: Store) -> None:
    store.edits.append(KEY, 0, ACTIVE | {"version_id": "9"})
    for taken in ("9", "1", "09"):
        with pytest.raises(InvalidError) as raised:
            store.edits.append(KEY, 0, ACTIVE | {"version_id": taken})
        assert raised.value.message == f"invalid version_id '{taken}': expected more than 9"
    store.edits.append(KEY, 0, ACTIVE)
    assert ids(store) == ["1", "2", "3", "9", "10"]


def test_replace_changes_one_version_whole(store: Store) -> None:
    version = store.edits.replace(KEY, "2", 0, ACTIVE | {"message": "new", "updated_at": 5.0})
    assert version
    assert (version.updated_at, version.message, version.image_set_workflow_status) == (5.0, "new", None)
    assert versions(store) == [ORIGINAL.history[0], version, ORIGINAL.history[2]]


def test_replace_of_the_latest_version_keeps_the_others(store: Store) -> None:
    version = store.edits.replace(KEY, "3", 0, ACTIVE)
    assert versions(store) == [*ORIGINAL.history[:2], version]


def test_version_1_gets_no_updated_at_by_default(store: Store) -> None:
    for id in ("1", "2"):
        store.edits.replace(KEY, id, 0, ACTIVE)
    first, second, _ = versions(store)
    assert (first.updated_at, second.updated_at) == (None, NOW)


@pytest.mark.parametrize("version_id", ["4", "0", "02", "x", "", "\u0662", "-1", "9" * 5000])
def test_replace_of_a_version_that_is_not_there_is_not_found(store: Store, version_id: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        store.edits.replace(KEY, version_id, 0, ACTIVE)
    assert raised.value.message == f"image set {IMAGE_SET} has no version {version_id}"
    assert store.image_set(*KEY) is ORIGINAL


def test_replace_wants_a_string_and_keeps_the_number(store: Store) -> None:
    with pytest.raises(InvalidError) as raised:
        store.edits.replace(KEY, 2, 0, ACTIVE)  # type: ignore[arg-type]
    assert raised.value.message == "invalid version_id 2: expected a string of digits"
    with pytest.raises(InvalidError) as raised:
        store.edits.replace(KEY, "2", 0, ACTIVE | {"version_id": "3"})
    assert raised.value.message == "invalid version_id '3': expected 2, or none"
    store.edits.replace(KEY, "2", 0, ACTIVE | {"version_id": "2"})
    assert ids(store) == ["1", "2", "3"]


STATES = "expected one of ACTIVE, DELETED, LOCKED"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"image_set_state": "GONE"}, f"$.imageSetState: Invalid enum value 'GONE': {STATES}"),
        ({"image_set_state": None}, "$.imageSetState: Expected `str`, got `null`"),
        (
            {"image_set_workflow_status": "DONE"},
            "$.ImageSetWorkflowStatus: Invalid enum value 'DONE': expected one of COPIED, COPYING, "
            "COPYING_WITH_READ_ONLY_ACCESS, COPY_FAILED, CREATED, DELETED, DELETING, IMPORTED, IMPORTING, "
            "IMPORT_FAILED, UPDATED, UPDATE_FAILED, UPDATING, UPDATING_FOR_STUDY_CONSISTENCY",
        ),
        ({"message": ""}, "$.message: Expected `str` of length >= 1"),
        ({"message": "é"}, "$.message: Expected `str` matching regex '[A-Za-z0-9_ -:`]+'"),
        ({"message": "a" * 2049}, "$.message: Expected `str` of length <= 2048"),
        ({"version_id": "x"}, "$.versionId: Expected `str` matching regex '[0-9]+'"),
        ({"version_id": "1" * 19}, "$.versionId: Expected `str` of length <= 18"),
        ({"version_id": 4}, "$.versionId: Expected `str`, got `int`"),
        ({"is_primary": 1}, "$.isPrimary: Expected `bool | null`, got `int`"),
        ({"overrides": {"force": True}}, "$.overrides: Object contains unknown field `force` (did you mean forced?)"),
        (
            {"created_at": -0.0001},
            "invalid time -0.0001: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        (
            {"updated_at": 253402300799.9999},
            "invalid time 253402300799.9999: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        (
            {"deleted_at": float("nan")},
            "invalid time nan: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        (
            {"created_at": datetime(2024, 1, 1)},
            "invalid time datetime.datetime(2024, 1, 1, 0, 0): expected a time with an offset from UTC, such as "
            "2023-03-28T18:12:06.436Z",
        ),
        ({"metadata": 5}, "invalid metadata 5: expected an object"),
        ({"metadata": {"Study": {"DICOM": 1}}}, "$.metadata.Study.DICOM: expected an object"),
        ({"imageSetState": "ACTIVE"}, "invalid member 'imageSetState' (did you mean image_set_state?)"),
        ({"pages": 2}, "invalid member 'pages'"),
    ],
    ids=str,
)
def test_members_that_break_the_model_change_nothing(store: Store, members: dict[str, Any], message: str) -> None:
    for after in (0, 60):
        with pytest.raises(InvalidError) as raised:
            store.edits.append(KEY, after, ACTIVE | members)
        is_number_later = after and "version_id" in members
        expected = "version_id cannot be combined with after: the version gets the next number"
        assert str(raised.value) == (expected if is_number_later else message)
    assert store.image_set(*KEY) is ORIGINAL


def test_a_state_is_needed(store: Store) -> None:
    with pytest.raises(InvalidError) as raised:
        store.edits.append(KEY, 0, {})
    assert raised.value.message == "invalid version: Missing required argument 'image_set_state'"


@pytest.mark.parametrize("after", [-1, "soon", None, True, float("nan"), float("inf")])
def test_after_is_a_number_of_seconds(store: Store, after: Any) -> None:
    with pytest.raises(InvalidError) as raised:
        store.edits.append(KEY, after, ACTIVE)
    assert raised.value.message == f"invalid after {after!r}: expected a number of seconds from 0"


# Adding.


def test_add_makes_version_1(store: Store) -> None:
    store.edits.add("e" * 32, NEW, {"created_at": datetime(2024, 1, 1, tzinfo=timezone.utc)})
    assert versions(store, ("e" * 32, NEW)) == [
        Version(
            version_id="1",
            image_set_state="ACTIVE",
            image_set_workflow_status="CREATED",
            created_at=1704067200.0,
        )
    ]
    store.edits.add(DATASTORE, NEW, {})
    assert store.current((DATASTORE, NEW)).latest.created_at == NOW
    assert store.current(KEY) is ORIGINAL


def test_add_of_an_image_set_that_is_there_is_a_conflict(store: Store) -> None:
    store.edits.add(DATASTORE, NEW, {})
    for id in (IMAGE_SET, NEW):
        with pytest.raises(ConflictError) as raised:
            store.edits.add(DATASTORE, id, {})
        assert raised.value.message == f"image set {id} is in data store {DATASTORE} already"


@pytest.mark.parametrize("id", ["", "UPPER", "a" * 33, "a" * 31 + "\n", 5])
def test_add_refuses_bad_ids(store: Store, id: Any) -> None:
    expected = f"{id!r}: expected 32 digits or lower-case letters"
    with pytest.raises(InvalidError) as raised:
        store.edits.add(id, NEW, {})
    assert raised.value.message == f"invalid data store id {expected}"
    with pytest.raises(InvalidError) as raised:
        store.edits.add(DATASTORE, id, {})
    assert raised.value.message == f"invalid image set id {expected}"
    assert store.snapshot() == BASELINE


def test_merge_adds_all_or_none(store: Store) -> None:
    other = ImageSet(datastore_id=DATASTORE, image_set_id=NEW, history=make_history(2))
    with pytest.raises(ConflictError):
        store.edits.merge(Baseline({UNKNOWN: {}, DATASTORE: {NEW: other, IMAGE_SET: other}}))
    assert store.snapshot() == BASELINE
    store.edits.merge(Baseline({UNKNOWN: {}, DATASTORE: {NEW: other}}))
    assert store.snapshot() == {DATASTORE: {IMAGE_SET: ORIGINAL, NEW: other}, UNKNOWN: {}}


# Accounts, and going back.


def test_two_stores_share_the_baseline_and_no_change(store: Store, clock: Clock) -> None:
    other = Store(BASELINE, clock, Settings())
    store.edits.append(KEY, 0, ACTIVE)
    store.edits.add(DATASTORE, NEW, {})
    assert other.image_set(*KEY) is ORIGINAL
    with pytest.raises(ResourceNotFoundException):
        other.image_set(DATASTORE, NEW)


def test_a_reset_drops_all_changes_also_those_that_are_due_later(store: Store, clock: Clock) -> None:
    store.edits.append(KEY, 0, ACTIVE)
    store.edits.append(KEY, 60, ACTIVE)
    store.edits.add(UNKNOWN, NEW, {})
    store.reset()
    clock.advance(100)
    assert store.current(KEY) is ORIGINAL
    assert store.snapshot() == BASELINE


def test_a_reset_to_another_baseline_stays_with_it(store: Store) -> None:
    other = Baseline({DATASTORE: {NEW: ImageSet(datastore_id=DATASTORE, image_set_id=NEW, history=make_history(2))}})
    store.reset(other)
    assert store.snapshot() == other
    store.reset()
    assert store.snapshot() == other


# Later.


def test_a_later_change_appears_at_its_time_and_is_dated_by_it(store: Store, clock: Clock) -> None:
    assert store.edits.append(KEY, 60, ACTIVE) is None
    clock.advance(59.999)
    assert ids(store) == ["1", "2", "3"]
    clock.advance(100)
    assert ids(store) == ["1", "2", "3", "4"]
    assert versions(store)[-1].updated_at == round(NOW + 60, 3)


def test_later_changes_come_in_the_order_of_their_times_and_then_of_the_calls(store: Store, clock: Clock) -> None:
    for after, message in ((20, "third"), (10, "first"), (10, "second")):
        store.edits.append(KEY, after, ACTIVE | {"message": message})
    clock.advance(20)
    assert [version.message for version in versions(store)[3:]] == ["first", "second", "third"]
    assert ids(store)[3:] == ["4", "5", "6"]


def test_a_later_change_may_build_on_another_one_of_the_same_moment(store: Store, clock: Clock) -> None:
    store.edits.append(KEY, 10, {"image_set_state": "LOCKED"})
    assert store.edits.replace(KEY, "4", 10, ACTIVE | {"message": "done"}) is None
    clock.advance(10)
    assert (ids(store), versions(store)[-1].message) == (["1", "2", "3", "4"], "done")


def test_a_later_change_must_find_the_versions_that_there_will_be(store: Store, clock: Clock) -> None:
    store.edits.append(KEY, 10, {"image_set_state": "LOCKED"})
    with pytest.raises(NotFoundError) as raised:
        store.edits.replace(KEY, "4", 9.999, ACTIVE)
    assert raised.value.message == f"image set {IMAGE_SET} has no version 4"
    with pytest.raises(NotFoundError):
        store.edits.replace(KEY, "4", 0, ACTIVE)
    clock.advance(10)
    assert ids(store) == ["1", "2", "3", "4"]


def test_a_change_now_comes_behind_those_that_are_due(store: Store, clock: Clock) -> None:
    store.edits.append(KEY, 10, ACTIVE | {"message": "due"})
    clock.advance(10)
    store.edits.append(KEY, 0, ACTIVE | {"message": "now"})
    assert [(version.version_id, version.message) for version in versions(store)[3:]] == [("4", "due"), ("5", "now")]


def test_a_later_version_gets_the_next_number_there_will_be(store: Store, clock: Clock) -> None:
    store.edits.append(KEY, 10, ACTIVE | {"message": "later"})
    store.edits.append(KEY, 0, ACTIVE | {"version_id": "7"})
    clock.advance(10)
    assert [(version.version_id, version.message) for version in versions(store)[3:]] == [("7", None), ("8", "later")]


def test_a_later_version_appears_once_although_time_passes_between_two_readings_of_the_clock() -> None:
    """The clock runs here. A change that read it twice could carry out once more what came due in between."""
    store = Store(BASELINE, Clock(), Settings())
    for _ in range(300):
        store.edits.append(KEY, 1e-6, ACTIVE)
        store.edits.append(KEY, 0, ACTIVE)
    expected = [str(number) for number in range(1, 604)]
    until(lambda: len(store.current(KEY).history) >= len(expected))
    assert ids(store) == expected


def test_a_later_change_that_meets_another_history_is_left_out_and_logged(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store.edits.append(KEY, 0, ACTIVE | {"version_id": "9" * 17})
    store.edits.append(KEY, 10, ACTIVE)
    store.edits.append(KEY, 0, ACTIVE | {"version_id": "9" * 18})  # behind which there is no number
    clock.advance(10)
    assert ids(store)[3:] == ["9" * 17, "9" * 18]
    record = caplog.records[-1]
    assert record.getMessage() == (
        "a change that was due could not be made: $.versionId: Expected `str` of length <= 18"
    )


def test_a_later_change_that_is_left_out_does_not_count(clock: Clock) -> None:
    store = Store(BASELINE, clock, Settings(max_versions=3))
    store.edits.append(KEY, 10, ACTIVE)
    store.edits.append(KEY, 0, ACTIVE | {"version_id": "9" * 18})
    clock.advance(10)
    assert ids(store)[3:] == ["9" * 18]
    for id in (NEW, "c" * 32):
        store.edits.add(DATASTORE, id, {})
    with pytest.raises(LimitExceededError):
        store.edits.add(DATASTORE, "e" * 32, {})


# Limits.


def test_the_limit_of_versions_counts_those_that_come_later_too(clock: Clock) -> None:
    store = Store(BASELINE, clock, Settings(max_versions=2))
    store.edits.append(KEY, 0, ACTIVE)
    store.edits.append(KEY, 10, ACTIVE)
    for after in (0, 10):
        with pytest.raises(LimitExceededError) as raised:
            store.edits.append(KEY, after, ACTIVE)
        assert raised.value.message == "limit exceeded: 3 versions, but max_versions is 2"
    store.edits.replace(KEY, "4", 0, ACTIVE)  # adds none
    clock.advance(10)
    assert ids(store) == ["1", "2", "3", "4", "5"]
    store.reset()
    store.edits.append(KEY, 0, ACTIVE)


def test_the_limit_of_later_changes_does_not_hold_for_a_change_now(clock: Clock) -> None:
    store = Store(BASELINE, clock, Settings(max_pending=1))
    store.edits.append(KEY, 10, ACTIVE)
    with pytest.raises(LimitExceededError) as raised:
        store.edits.replace(KEY, "1", 10, ACTIVE)
    assert raised.value.message == "limit exceeded: 2 pending, but max_pending is 1"
    store.edits.append(KEY, 0, ACTIVE)
    clock.advance(10)
    store.edits.replace(KEY, "1", 10, ACTIVE)
    assert ids(store) == ["1", "2", "3", "4", "5"]


# Threads.


@pytest.mark.usefixtures("restless_threads")
def test_appending_is_exact_under_threads(store: Store) -> None:
    ready = threading.Barrier(16)

    def work() -> None:
        ready.wait()
        for _ in range(25):
            store.edits.append(KEY, 0, ACTIVE)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.number for version in versions(store)] == list(range(1, 404))


@pytest.mark.usefixtures("restless_threads")
def test_of_all_threads_that_add_an_image_set_one_wins(store: Store) -> None:
    ready = threading.Barrier(16)
    won: list[str] = []

    def work(name: str) -> None:
        ready.wait()
        try:
            store.edits.add(DATASTORE, NEW, {"message": name})
        except ConflictError:
            return
        won.append(name)

    threads = [threading.Thread(target=work, args=[f"thread {number}"]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.message for version in versions(store, (DATASTORE, NEW))] == won
