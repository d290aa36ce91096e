"""The program that asks AWS, run against the emulator itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

from .__main__ import emulator
from .questions import QUESTIONS, answer_all


@pytest.mark.newest_boto3
def test_the_emulator_answers_as_it_is_meant_to() -> None:
    with emulator() as account:
        account.prepare()
        answers = {question.text: answer for question, answer in answer_all(account)}
        account.clean_up()
        assert account.datastore_status() in ("DELETING", "DELETED")
        assert "Contents" not in account.s3.list_objects_v2(Bucket=account.bucket)
    assert answers == {each.text: each.expected for each in QUESTIONS}


def test_aws_is_not_asked_without_a_bucket_and_a_role() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.live"],
        env={"HEALTHIMAGING_LIVE": "1", "PATH": "/usr/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (1, "set HEALTHIMAGING_LIVE_BUCKET, too\n")
