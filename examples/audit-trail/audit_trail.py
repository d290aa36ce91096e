"""Print the audit trail of an image set: what happened to it, and the last version that is good.

Usage: python audit_trail.py DATASTORE_ID IMAGE_SET_ID
"""

from __future__ import annotations

import sys
from typing import Any

import boto3
from botocore.config import Config

Version = dict[str, Any]


class IncompleteHistoryError(Exception):
    """Some versions did not arrive, or arrived twice."""


def make_client() -> Any:
    """Make a client that tries five times before it gives up."""
    return boto3.client("medical-imaging", config=Config(retries={"mode": "standard", "total_max_attempts": 5}))


def history(client: Any, datastore_id: str, image_set_id: str) -> list[Version]:
    """Return all versions, newest first. Raises ``IncompleteHistoryError``.

    boto3 takes an answer that was cut on its way for an empty page, and follows tokens that lead in a circle; so look
    whether the version ids run down to 1, one by one.
    """
    versions: list[Version] = []
    paginator = client.get_paginator("list_image_set_versions")
    for page in paginator.paginate(datastoreId=datastore_id, imageSetId=image_set_id):
        for version in page.get("imageSetPropertiesList", []):
            if versions and int(version["versionId"]) != int(versions[-1]["versionId"]) - 1:
                raise IncompleteHistoryError(f"{version['versionId']} follows {versions[-1]['versionId']}")
            versions.append(version)
    if not versions or versions[-1]["versionId"] != "1":
        raise IncompleteHistoryError(f"the history ends after {len(versions)} versions")
    return versions


def is_good(version: Version) -> bool:
    """Say whether a version is there to be used, and not the record of something that failed."""
    return version["imageSetState"] == "ACTIVE" and "message" not in version


def last_good(versions: list[Version]) -> Version | None:
    """Return the newest version that is good."""
    return next(filter(is_good, versions), None)


def line(version: Version) -> str:
    """Return one line of the trail."""
    time = version.get("updatedAt") or version["createdAt"]
    status = version.get("ImageSetWorkflowStatus") or version["imageSetState"]
    return " ".join([version["versionId"], f"{time:%Y-%m-%d %H:%M}", status, version.get("message", "")]).rstrip()


def main(datastore_id: str, image_set_id: str) -> None:
    """Print the trail, oldest version first."""
    versions = history(make_client(), datastore_id, image_set_id)
    for version in reversed(versions):
        print(line(version))
    good = last_good(versions)
    print(f"last good version: {good['versionId'] if good else 'none'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
