"""The environment variables and the endpoint that point an SDK at a server of the emulator.

A plain ``endpoint_url`` never arrives: the host prefix of an operation turns ``http://127.0.0.1:4580`` into
``http://runtime-127.0.0.1:4580``. With a user part in the URL, botocore puts the prefix there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ..credentials import DEFAULT_REGION, Credentials

DUMMY_CREDENTIALS = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
"""SDKs refuse to sign without any."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")

FOREIGN_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION")
"""Variables of other credentials, which must not mix with those of an account."""


def make_endpoint(url: str) -> str:
    """Return the endpoint for boto3 and the AWS CLI, of any version: ``http://emulator@...``."""
    return url.replace("://", "://emulator@", 1)


def build_variables(url: str, account: str | None = None, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables to add to the ``given`` ones so that SDKs reach a server without a change of code.

    This works with boto3 since 1.37.5, the AWS CLI and aiobotocore; code that uses the SDK for JavaScript must set
    ``disableHostPrefix``. Region and credentials are added only if none are given, except that an ``account`` (12
    digits) always brings its own credentials.
    """
    added = {
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_EC2_METADATA_DISABLED": "true",  # a client without credentials would wait for it
        "NO_PROXY": _no_proxy(given, urlsplit(url).hostname or ""),
    }
    added["no_proxy"] = added["NO_PROXY"]  # curl and Python read this spelling, and prefer it
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION")
    if region or not given.get("AWS_PROFILE"):  # a profile may have its own
        added |= {
            "AWS_REGION": region or DEFAULT_REGION,
            "AWS_DEFAULT_REGION": given.get("AWS_DEFAULT_REGION") or region or DEFAULT_REGION,
        }
    if account:
        added |= {"AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "emulator"}
    elif not given.get("AWS_ACCESS_KEY_ID") and not given.get("AWS_PROFILE"):
        added |= {name.upper(): value for name, value in DUMMY_CREDENTIALS.items()}
    return added


def find_variables_of_emulator(given: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of those ``given`` variables that have the values of ``build_variables``.

    There are none if no endpoint is given. A region or credentials of the user's own stay, unless they are the same.
    """
    url, key = given.get("AWS_ENDPOINT_URL_MEDICAL_IMAGING"), given.get("AWS_ACCESS_KEY_ID", "")
    if url is None:
        return []
    added = build_variables(url, key if re.fullmatch("[0-9]{12}", key) else None, {})
    return [name for name, value in added.items() if given.get(name) == value]


def build_child_environment(
    url: str, account: str | None = None, given: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the whole environment of a child process.

    With an ``account``, or a profile that this machine does not have, it is without other credentials.
    """
    others = FOREIGN_VARIABLES if account or not has_profile(given) else ()
    kept = {name: value for name, value in given.items() if name not in others}
    return kept | build_variables(url, account, kept)


def has_profile(given: Mapping[str, str]) -> bool:
    """Whether the profile that variables name is in the files of this machine, or they name none."""
    name = given.get("AWS_PROFILE")
    config = given.get("AWS_CONFIG_FILE", "~/.aws/config")
    credentials = given.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    return not name or _has_section(config, f"profile {name}") or _has_section(credentials, name) or name == "default"


def _has_section(file: str, name: str) -> bool:
    try:
        text = Path(file).expanduser().read_text(errors="replace")
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return False
    words = r"\s+".join(re.escape(word) for word in name.split())
    return re.search(rf"^\[\s*{words}\s*\]", text, re.MULTILINE) is not None


def signing_variables(credentials: Credentials | None, region: str | None) -> dict[str, str]:
    """Return the variables that make SDKs sign with credentials and for a region, if there are any."""
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
        return "*"  # means all hosts, but only if it stands alone
    return ",".join(dict.fromkeys([*filter(None, hosts), *LOOPBACK, host]))
