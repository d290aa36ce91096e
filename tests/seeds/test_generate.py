"""Generated histories: reproducible, and such as the service would show."""

from __future__ import annotations

import pytest

from healthimaging_emulator.seeds.generate import LONGEST_SPAN, history

ID = "a" * 32


def test_the_same_numbers_give_the_same_history() -> None:
    assert history(ID, 200, failed=20, seed=7) == history(ID, 200, failed=20, seed=7)
    assert history(ID, 200, failed=20, seed=7) != history(ID, 200, failed=20, seed=8)


def test_the_numbers_mean_the_same_in_every_python() -> None:
    newest = history(ID, 137, failed=5, seed=7)[-1]
    assert (newest.updated_at, newest.image_set_workflow_status) == (1680268196.497, "UPDATED")


@pytest.mark.parametrize(("versions", "failed"), [(1, 0), (2, 0), (2, 1), (137, 5), (137, 136), (1000, 500)])
def test_a_history_keeps_to_the_rules(versions: int, failed: int) -> None:
    made = history(ID, versions, failed=failed, seed=versions, created_at=1.5)
    assert [version.number for version in made] == list(range(1, versions + 1))
    assert {(version.created_at, version.image_set_id, version.image_set_state) for version in made} == {
        (1.5, ID, "ACTIVE")
    }
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
    last = history(ID, 50_000, created_at=0.0)[-1]
    assert 0 < (last.updated_at or 0) < LONGEST_SPAN


def test_version_1_never_fails() -> None:
    with pytest.raises(ValueError, match="failed must be less than versions"):
        history(ID, 5, failed=5)
