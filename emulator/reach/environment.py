"""How an SDK is pointed at a server of the emulator.

A plain ``endpoint_url`` never arrives: the operation's host prefix turns ``http://127.0.0.1:4580`` into
``http://runtime-127.0.0.1:4580``. With a user part in the URL, botocore puts the prefix there.
"""

from __future__ import annotations


def endpoint(url: str) -> str:
    """Return the endpoint for boto3 and the AWS CLI, of any version: ``http://emulator@...``."""
    return url.replace("://", "://emulator@", 1)


def variables(url: str) -> dict[str, str]:
    """Return the variables under which boto3, the AWS CLI and aiobotocore reach the server with no code changed."""
    return {"AWS_ENDPOINT_URL_MEDICAL_IMAGING": url, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
