"""Names of AWS's resources."""

from __future__ import annotations


def make_arn(service: str, region: str, account: str, resource: str) -> str:
    """Return the Amazon Resource Name of a resource. China and GovCloud have partitions of their own."""
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"
