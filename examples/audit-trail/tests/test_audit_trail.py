"""The audit trail shows every version, survives throttling, and notices a history that is not whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import audit_trail
from healthimaging_emulator import Emulator, Fault, Latency, RemoteAccount

DATASTORE = "12345678901234567890123456789012"
SHORT = "ea92b0d8838c72a3f25d00d13616f87e"  # three versions, the last of them failed
LONG = "00000000000000000000000000000137"  # 137 versions: three pages

TRAIL = """\
1 2024-01-01 08:00 CREATED
2 2024-01-02 09:30 UPDATED
3 2024-01-03 10:00 UPDATE_FAILED INVALID_REQUEST:  The update is not valid.
last good version: 2
"""


def history(image_set_id: str) -> list[audit_trail.Version]:
    return audit_trail.history(audit_trail.make_client(), DATASTORE, image_set_id)


def last_good() -> str | None:
    good = audit_trail.last_good(history(SHORT))
    return str(good["versionId"]) if good else None


@pytest.mark.usefixtures("healthimaging")
def test_the_trail_has_a_line_for_each_version(capsys: pytest.CaptureFixture[str]) -> None:
    audit_trail.main(DATASTORE, SHORT)
    assert capsys.readouterr().out == TRAIL


def test_an_update_under_way_is_not_good_until_it_ends(healthimaging: Emulator) -> None:
    healthimaging.clock.freeze()
    image_set = healthimaging.image_set(DATASTORE, SHORT)
    image_set.append(image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    image_set.replace("4", after=30, image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
    assert last_good() == "2"
    healthimaging.clock.advance(30)
    assert last_good() == "4"


@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", page=2, times=4)])
def test_it_survives_throttling(healthimaging: Emulator) -> None:
    assert len(history(LONG)) == 137
    second = healthimaging.calls[1]
    assert [attempt.status for attempt in second.attempts] == [429, 429, 429, 429, 200]
    assert sum(attempt.pause or 0 for attempt in second.attempts) > 0  # it backed off, although no test waited


@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", page=2)])
def test_it_gives_up_after_five_attempts(healthimaging: Emulator) -> None:
    with pytest.raises(audit_trail.make_client().exceptions.ThrottlingException):
        history(LONG)
    assert len(healthimaging.calls[-1].attempts) == 5


@pytest.mark.parametrize(
    "fault",
    [
        Fault.corrupt("truncate", page=2),
        Fault.corrupt("html", page=2),
        Fault.corrupt("missing-member", page=2),
        Fault.connection("cut", page=2),
        Fault.pagination("drop-token", page=2),
        Fault.pagination("empty-page", page=2),
        Fault.pagination("skip-item", page=2),
        Fault.pagination("duplicate-item", page=2),
        Fault.pagination("cycle", page=3),
    ],
    ids=str,
)
def test_it_notices_faults_that_boto3_does_not(healthimaging: Emulator, fault: Fault) -> None:
    healthimaging.faults.add(fault)
    with pytest.raises(audit_trail.IncompleteHistoryError):
        history(LONG)


@pytest.mark.usefixtures("healthimaging")
def test_a_revert_shows_in_the_trail() -> None:
    client = audit_trail.make_client()
    client.update_image_set_metadata(
        datastoreId=DATASTORE,
        imageSetId=SHORT,
        latestVersionId="3",
        updateImageSetMetadataUpdates={"revertToVersionId": "1"},
    )
    assert last_good() == "2"  # this call sees version 4 LOCKED
    assert last_good() == "4"


@pytest.mark.healthimaging(faults=[Fault.corrupt("unknown-member", latency=Latency(0.01))])
def test_the_program(healthimaging_server: RemoteAccount) -> None:
    program = Path(audit_trail.__file__)
    finished = subprocess.run([sys.executable, program, DATASTORE, SHORT], capture_output=True, text=True, check=True)
    assert finished.stdout == TRAIL
    assert [call.outcome for call in healthimaging_server.calls] == ["Success"]
