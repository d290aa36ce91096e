"""Transitions: a write answers LOCKED, and is over when it was seen or when its time has passed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator, Fault
from healthimaging_emulator.healthimaging.operations.update_image_set_metadata import UPDATE_IMAGE_SET_METADATA
from healthimaging_emulator.settings import SettingsOptions
from tests.demo import DATASTORE

from .operations.conftest import FIRST, SECOND, SEED, Service, refusal

RENAMED = {"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}
UPDATING, UPDATED = ("2", "LOCKED", "UPDATING"), ("2", "ACTIVE", "UPDATED")


def service(**settings: Any) -> Service:
    emulator = Emulator.from_seed(SEED, **settings)
    emulator.clock.freeze("2024-01-01T00:00:00Z")
    return Service(emulator)


def test_by_default_one_request_sees_it() -> None:
    ours = service()
    ours.update(RENAMED)
    assert [ours.state() for _ in range(3)] == [UPDATING, UPDATED, UPDATED]


def test_by_default_it_is_over_after_a_second() -> None:
    ours = service()
    ours.update(RENAMED)
    ours.emulator.clock.advance(1)
    assert ours.state() == UPDATED


def test_it_is_over_after_its_seconds_whatever_fractions_of_a_second_were_added() -> None:
    """Sums of floating point numbers differ in their last digits by the time at which the emulator was started."""
    ours = service(transition_reads=None, transition_seconds=0.7)
    for _ in range(100):
        ours.emulator.clock.run()
        ours.emulator.clock.freeze()
        ours.update(RENAMED)
        ours.emulator.clock.advance(0.3)
        assert ours.state() == UPDATING
        ours.emulator.clock.advance(0.4)
        assert ours.state() == UPDATED
        ours.emulator.reset("changes")


@pytest.mark.parametrize("reads", [1, 2, 5])
def test_exactly_so_many_requests_see_it(reads: int) -> None:
    ours = service(transition_reads=reads, transition_seconds=None)
    ours.update(RENAMED)
    assert [ours.state() for _ in range(reads + 1)] == [UPDATING] * reads + [UPDATED]


@pytest.mark.parametrize("settings", [{"transition_reads": 0}, {"transition_seconds": 0}])
def test_zero_ends_it_with_the_answer_of_the_write(settings: SettingsOptions) -> None:
    ours = service(**settings)
    assert ours.update(RENAMED)["imageSetState"] == "LOCKED"
    assert ours.state() == UPDATED


def test_none_switches_both_off_until_it_is_finished() -> None:
    ours = service(transition_reads=None, transition_seconds=None)
    ours.update(RENAMED)
    ours.emulator.clock.advance(10**9)
    assert [ours.state() for _ in range(5)] == [UPDATING] * 5
    assert [str(each) for each in ours.emulator.account().store.transitions] == [f"UpdateImageSetMetadata of {FIRST}"]
    ours.finish()
    assert ours.state() == UPDATED
    assert ours.emulator.account().store.transitions == []


def test_the_date_of_the_end_is_when_it_was_due_or_when_a_request_ended_it() -> None:
    due, read = service(transition_reads=None, transition_seconds=5), service(transition_seconds=None)
    for ours in (due, read):
        ours.update(RENAMED)
        ours.emulator.clock.advance(60)
    read.state()
    assert due.get()["updatedAt"].second == 5
    assert read.get()["updatedAt"].minute == 1


def test_seconds_count_elapsed_time_and_not_dates() -> None:
    ours = service(transition_reads=None, transition_seconds=60)
    ours.update(RENAMED)
    ours.emulator.clock.freeze("2030-01-01T00:00:00Z")
    assert ours.state() == UPDATING
    ours.emulator.clock.freeze("2020-01-01T00:00:00Z")
    ours.emulator.clock.advance(60)
    assert ours.state() == UPDATED


def refused_by_a_fault(ours: Service) -> None:
    ours.emulator.faults.add(Fault.error("ConflictException", times=1))
    refusal(ours.get)


SEEING: dict[str, Callable[[Service], object]] = {
    "GetImageSet": lambda ours: ours.get(),
    "GetImageSet with the latest version": lambda ours: ours.get(versionId="2"),
    "ListImageSetVersions": lambda ours: ours.rows(),
    "GetImageSetMetadata, refused": lambda ours: refusal(ours.metadata),
    "UpdateImageSetMetadata, refused": lambda ours: refusal(ours.update, RENAMED, latest="2"),
    "DeleteImageSet, refused": lambda ours: refusal(
        ours.client.delete_image_set, datastoreId=DATASTORE, imageSetId=FIRST
    ),
}
NOT_SEEING: dict[str, Callable[[Service], object]] = {
    "GetImageSet with an older version": lambda ours: ours.get(versionId="1"),
    "GetImageSetMetadata of an older version": lambda ours: ours.metadata(versionId="1"),
    "another image set": lambda ours: ours.get(SECOND),
    "an invalid request": lambda ours: refusal(ours.get, versionId="x"),
    "the handle of a test": lambda ours: ours.emulator.image_set(DATASTORE, FIRST).versions,
    "another account": lambda ours: ours.emulator.client(aws_access_key_id="111111111111").get_image_set(
        datastoreId=DATASTORE, imageSetId=FIRST
    ),
    "a request that a fault answers": refused_by_a_fault,
}


@pytest.mark.parametrize("request_", SEEING.values(), ids=SEEING)
def test_a_request_that_shows_it_counts(request_: Callable[[Service], object]) -> None:
    ours = service(transition_seconds=None)
    ours.update(RENAMED)
    request_(ours)
    assert ours.state() == UPDATED


@pytest.mark.parametrize("request_", NOT_SEEING.values(), ids=NOT_SEEING)
def test_a_request_that_does_not_show_it_does_not_count(request_: Callable[[Service], object]) -> None:
    ours = service(transition_seconds=None)
    ours.update(RENAMED)
    request_(ours)
    assert [ours.state() for _ in range(2)] == [UPDATING, UPDATED]


def test_only_the_page_with_the_locked_version_counts() -> None:
    ours = service(page_size=1, transition_reads=2, transition_seconds=None)
    ours.update(RENAMED)
    pages = ours.client.get_paginator("list_image_set_versions").paginate(datastoreId=DATASTORE, imageSetId=FIRST)
    assert len(list(pages)) == 2
    assert [ours.state() for _ in range(2)] == [UPDATING, UPDATED]


def test_a_transition_of_two_image_sets_is_seen_once_and_ends_for_both() -> None:
    ours = service(transition_seconds=None)
    ours.update(RENAMED, includeStudyImageSets=True)
    assert ours.state(SECOND) == ("2", "LOCKED", "UPDATING_FOR_STUDY_CONSISTENCY")
    assert [ours.state(id) for id in (FIRST, SECOND)] == [UPDATED] * 2


def copy(ours: Service) -> str:
    information = {"sourceImageSet": {"latestVersionId": "1"}}
    answer = ours.client.copy_image_set(
        datastoreId=DATASTORE, sourceImageSetId=FIRST, copyImageSetInformation=information
    )
    return str(answer["destinationImageSetProperties"]["imageSetId"])


def test_a_copy_ends_for_its_source_and_its_destination_once_one_of_them_was_seen() -> None:
    ours = service(transition_seconds=None)
    copied = copy(ours)
    assert ours.state(copied) == ("1", "LOCKED", "COPYING")
    assert [ours.state(id) for id in (FIRST, copied)] == [("1", "ACTIVE", "COPIED")] * 2


def test_the_metadata_of_the_source_of_a_copy_does_not_count() -> None:
    ours = service(transition_seconds=None)
    copy(ours)
    ours.metadata()
    assert ours.state() == ("1", "LOCKED", "COPYING_WITH_READ_ONLY_ACCESS")


def test_a_deletion_is_seen_once_and_then_over() -> None:
    ours = service(transition_seconds=None)
    ours.client.delete_image_set(datastoreId=DATASTORE, imageSetId=FIRST)
    assert [ours.state() for _ in range(2)] == [("1", "LOCKED", "DELETING"), ("1", "DELETED", "DELETED")]


def test_the_journal_says_what_a_request_saw_and_what_it_ended() -> None:
    ours = service(transition_reads=2, transition_seconds=None)
    ours.update(RENAMED)
    for _ in range(3):
        ours.state()
    seen = [f"UpdateImageSetMetadata of {FIRST}"]
    attempts = [call.attempts[0] for call in ours.emulator.calls]
    assert [attempt.met for attempt in attempts] == [[], seen, seen, []]
    assert [attempt.ended for attempt in attempts] == [[], [], seen, []]
    assert str(attempts[2]) == f"200, saw {seen[0]}, ended {seen[0]}"


def update_in_threads(ours: Service, count: int = 32) -> Counter[str]:
    start, outcomes = threading.Barrier(count), []

    def update() -> None:
        start.wait()
        try:
            ours.update(RENAMED)
            outcomes.append("done")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=update) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


@pytest.mark.usefixtures("restless_threads")
def test_of_32_threads_that_update_version_1_one_wins() -> None:
    ours = service()
    outcomes = update_in_threads(ours)
    assert outcomes == {"done": 1, "ConflictException": 1, "ResourceNotFoundException": 30}
    assert [row["versionId"] for row in ours.rows()] == ["2", "1"]


@pytest.mark.usefixtures("restless_threads")
def test_without_reads_and_with_a_frozen_clock_all_others_meet_the_lock() -> None:
    outcomes = update_in_threads(service(transition_reads=None))
    assert outcomes == {"done": 1, "ConflictException": 31}


@pytest.mark.usefixtures("restless_threads")
@pytest.mark.parametrize("reads", [1, 7])
def test_exactly_so_many_requests_see_it_under_threads(reads: int) -> None:
    ours = service(transition_reads=reads, transition_seconds=None)
    ours.update(RENAMED)
    start, seen = threading.Barrier(32), []

    def read() -> None:
        start.wait()
        seen.append(ours.state())

    threads = [threading.Thread(target=read) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(seen) == {UPDATING: reads, UPDATED: 32 - reads}


# Tests that interfere.


def test_a_reset_in_the_middle_ends_transitions_for_whoever_holds_them() -> None:
    ours = service(transition_seconds=None)
    ours.update(RENAMED)
    store = ours.emulator.account().store
    held = store.transitions
    ours.emulator.reset("changes")
    store.finish(*held)
    assert store.count_reads(held) is None
    assert ours.state() == ("1", "ACTIVE", "CREATED")


@pytest.mark.usefixtures("restless_threads")
def test_updates_reads_resets_and_finishes_at_the_same_time_answer_inside_the_contract() -> None:
    ours = service(transition_seconds=None)
    start, codes = threading.Barrier(6), set()

    def update() -> None:
        start.wait()
        for _ in range(40):
            try:
                ours.update(RENAMED, latest=ours.get()["versionId"])
            except ClientError as error:
                codes.add(error.response["Error"]["Code"])

    def interfere(call: Callable[[], object]) -> None:
        start.wait()
        for _ in range(200):
            call()

    calls = [lambda: ours.emulator.reset("changes"), ours.finish, ours.get]
    threads = [threading.Thread(target=update) for _ in range(3)]
    threads += [threading.Thread(target=interfere, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes <= {"ConflictException", "ResourceNotFoundException"}


def test_a_transition_whose_versions_a_test_has_replaced_is_over() -> None:
    ours = service(transition_reads=2, transition_seconds=None)
    ours.update(RENAMED)
    ours.emulator.image_set(DATASTORE, FIRST).replace("2", image_set_state="ACTIVE")
    assert ours.emulator.account().store.transitions == []


@pytest.mark.usefixtures("restless_threads")
def test_the_dates_of_versions_never_go_back() -> None:
    emulator = Emulator.from_seed(SEED, transition_seconds=None)
    ours = Service(emulator)

    def update() -> None:
        for _ in range(30):
            try:
                ours.update(RENAMED, latest=ours.get()["versionId"])
            except ClientError:
                continue

    threads = [threading.Thread(target=update) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dates = [version.updated_at for version in emulator.image_set(DATASTORE, FIRST).versions if version.updated_at]
    assert dates == sorted(dates, reverse=True)
    assert len(dates) > 3


def test_an_update_that_others_keep_overtaking_comes_to_an_end() -> None:
    ours = service(transition_reads=0)
    sister = ours.emulator.image_set(DATASTORE, SECOND)
    handler = UPDATE_IMAGE_SET_METADATA.handler
    assert handler is not None
    rounds = []

    def overtaken(input: Any, context: Any) -> Any:
        rounds.append(1)
        original = context.store.change

        def change(met: Any) -> Any:
            if len(rounds) < 100:  # a sister is changed after this operation has read it, and before it writes
                threading.Thread(target=lambda: sister.append(image_set_state="ACTIVE", is_primary=True)).start()
            return original(met)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(context.store, "change", change)
            return handler(input, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(UPDATE_IMAGE_SET_METADATA.__dict__, "handler", overtaken)
        ours.update(RENAMED, includeStudyImageSets=True)
    assert len(rounds) <= 6
