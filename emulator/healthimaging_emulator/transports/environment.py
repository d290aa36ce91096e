"""How an SDK is pointed at a server of the emulator.

A plain ``endpoint_url`` never arrives: the operation's host prefix turns ``http://127.0.0.1:4580`` into
``http://runtime-127.0.0.1:4580``. With a user part in the URL, botocore puts the prefix there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from healthimaging_emulator.aws.credentials import Credentials

REGION = "us-east-1"
CREDENTIALS = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
"""Which mean nothing: SDKs want some."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")

OF_ANOTHER = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION")
"""What belongs to other credentials than those of an account."""


def endpoint(url: str) -> str:
    """Return the endpoint for boto3 and the AWS CLI, of any version: ``http://emulator@...``."""
    return url.replace("://", "://emulator@", 1)


def variables(url: str, account: str | None = None, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what to add to the ``given`` variables so that SDKs reach the server at a URL with no code changed.

    boto3 since 1.37.5, the AWS CLI and aiobotocore do; the SDK for JavaScript needs ``disableHostPrefix`` in its code.
    Region and credentials are added where none are given, and are those of an ``account``, 12 digits, if there is one.
    """
    added = {
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",  # a client without credentials would wait for it
        "NO_PROXY": _no_proxy(given, urlsplit(url).hostname or ""),
    }
    added["no_proxy"] = added["NO_PROXY"]  # which curl and Python read, and prefer
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION")
    if region or not given.get("AWS_PROFILE"):  # a profile may have its own
        added |= {
            "AWS_REGION": region or REGION,
            "AWS_DEFAULT_REGION": given.get("AWS_DEFAULT_REGION") or region or REGION,
        }
    if account:
        added |= {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "emulator"}
    elif not given.get("AWS_ACCESS_KEY_ID") and not given.get("AWS_PROFILE"):
        added |= {name.upper(): value for name, value in CREDENTIALS.items()}
    return added


def child(url: str, account: str | None = None, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the whole environment of a child process; with an ``account``, nothing says that it is another."""
    others = OF_ANOTHER if account else ()
    kept = {name: value for name, value in given.items() if name not in others}
    return kept | variables(url, account, kept)


def signing(credentials: Credentials | None, region: str | None) -> dict[str, str]:
    """Return the variables with which SDKs sign with credentials, and for a region, if there are any."""
    added = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region} if region else {}
    if credentials:
        added["AWS_ACCESS_KEY_ID"] = credentials.access_key_id
        added["AWS_SECRET_ACCESS_KEY"] = credentials.secret_access_key
        if credentials.session_token:
            added["AWS_SESSION_TOKEN"] = credentials.session_token
    return added


def _no_proxy(given: Mapping[str, str], host: str) -> str:
    hosts = re.split(r"[,\s]+", ",".join(given.get(name, "") for name in ("no_proxy", "NO_PROXY")))
    if "*" in hosts:
        return "*"  # which stands for all, but only alone
    return ",".join(dict.fromkeys([*filter(None, hosts), *LOOPBACK, host]))
