"""Amazon Resource Names."""

from __future__ import annotations

import pytest

from healthimaging_emulator.aws.arn import make_arn

PARTITIONS = {
    "us-east-1": "aws",
    "eu-central-1": "aws",
    "us-gov-west-1": "aws-us-gov",
    "us-west-2": "aws",
    "cn-north-1": "aws-cn",
    "ap-cn-1": "aws",
}


@pytest.mark.parametrize("region", PARTITIONS)
def test_the_partition_is_that_of_the_region(region: str) -> None:
    arn = make_arn("medical-imaging", region, "111122223333", "datastore/a")
    assert arn == f"arn:{PARTITIONS[region]}:medical-imaging:{region}:111122223333:datastore/a"
