"""Generated histories: reproducible, and of versions that the service could return."""

from __future__ import annotations

import pytest

from healthimaging_emulator import InvalidError
from healthimaging_emulator.healthimaging.metadata import Metadata
from healthimaging_emulator.seeds.generate import LONGEST_SPAN, make_history


def test_the_same_numbers_give_the_same_history() -> None:
    assert make_history(200, failed=20, seed=7) == make_history(200, failed=20, seed=7)
    assert make_history(200, failed=20, seed=7) != make_history(200, failed=20, seed=8)


def test_the_same_numbers_give_the_same_history_in_every_python() -> None:
    newest = make_history(137, failed=5, seed=7)[-1]
    assert (newest.updated_at, newest.image_set_workflow_status) == (1680268196.497, "UPDATED")


@pytest.mark.parametrize(("versions", "failed"), [(1, 0), (2, 0), (2, 1), (137, 5), (137, 136), (1000, 500)])
def test_versions_are_numbered_dated_and_failed_as_the_service_does(versions: int, failed: int) -> None:
    made = make_history(versions, failed=failed, seed=versions, created_at=1.5)
    assert [version.number for version in made] == list(range(1, versions + 1))
    assert {(version.created_at, version.image_set_state) for version in made} == {(1.5, "ACTIVE")}
    first, *later = made
    assert (first.updated_at, first.message, first.image_set_workflow_status) == (None, None, "CREATED")
    times = [1.5, *(version.updated_at or 0 for version in later)]
    assert times == sorted(set(times))
    assert times[-1] < 1.5 + LONGEST_SPAN
    assert sum(version.message is not None for version in later) == failed
    for version in later:
        failing = version.image_set_workflow_status in ("COPY_FAILED", "UPDATE_FAILED")
        assert failing == (version.message is not None)
        assert failing or version.image_set_workflow_status == "UPDATED"


def test_a_long_history_spans_a_year_at_most() -> None:
    last = make_history(50_000, created_at=0.0)[-1]
    assert 0 < (last.updated_at or 0) < LONGEST_SPAN


def test_version_1_never_fails() -> None:
    with pytest.raises(InvalidError) as raised:
        make_history(5, failed=5)
    assert str(raised.value) == "failed must be less than versions, since version 1 never fails"


def test_all_versions_have_the_metadata() -> None:
    metadata = Metadata({"Study": {}}, "d" * 32, "a" * 32)
    assert all(version.metadata is metadata for version in make_history(9, failed=2, metadata=metadata))
