"""Ask the emulator, or AWS itself, and print the answers beside those that the emulator is meant to give.

AWS is asked only with HEALTHIMAGING_LIVE=1, and the names of a bucket and of a role in HEALTHIMAGING_LIVE_BUCKET and
HEALTHIMAGING_LIVE_ROLE. HealthImaging must be allowed to use the role, and the role to read and write the bucket.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import click

from healthimaging_emulator import Emulator

from .account import Account
from .questions import Question, answer_all

BUCKET, ROLE = "HEALTHIMAGING_LIVE_BUCKET", "HEALTHIMAGING_LIVE_ROLE"
SECONDS_BETWEEN_LOOKS = 5.0
COST = """\
This asks AWS. It makes two data stores and some image sets of two small files, and deletes all of them at the end;
it takes about ten minutes, and costs less than one US dollar."""


@contextmanager
def aws() -> Iterator[Account]:
    """Ask AWS. Raises ``SystemExit`` without a bucket and a role."""
    for name in (BUCKET, ROLE):
        if name not in os.environ:
            raise SystemExit(f"set {name}, too")
    click.echo(COST, err=True)
    yield Account(
        boto3.client("medical-imaging"), boto3.client("s3"), os.environ[BUCKET], os.environ[ROLE], SECONDS_BETWEEN_LOOKS
    )


@contextmanager
def emulator() -> Iterator[Account]:
    """Ask an emulator in this process, with moto's S3."""
    from moto import mock_aws

    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="live")
        client = Emulator.from_seed({}, s3=s3, transition_seconds=None).client()
        yield Account(client, s3, "live", "arn:aws:iam::123456789012:role/any", 0.0)


def main() -> int:
    """Print a table, and return how many answers are not the emulator's."""
    is_live = os.environ.get("HEALTHIMAGING_LIVE") == "1"
    with aws() if is_live else emulator() as account:
        try:
            account.prepare()
            answers = list(answer_all(account))
        finally:
            account.clean_up()
    asked = "AWS" if is_live else "the emulator"
    click.echo(f"| question | answer of {asked} | as the emulator answers |\n| --- | --- | --- |")
    for question, answer in answers:
        click.echo(f"| {question.text} | {answer} | {_compare(question, answer)} |")
    return sum(answer != question.expected for question, answer in answers)


def _compare(question: Question, answer: str) -> str:
    return "yes" if answer == question.expected else f"no: {question.expected}"


if __name__ == "__main__":
    sys.exit(min(main(), 1))
