"""A real image set's versions, read through boto3 or from what the AWS CLI saved, as a seed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field

from healthimaging_emulator.healthimaging.shapes import members
from healthimaging_emulator.seeds.loader import SeedVersion
from healthimaging_emulator.seeds.reader import SeedError, decode

log = logging.getLogger("emulator.seeds")

Entry = dict[str, Any]

KNOWN = {member.encode_name for member in members(SeedVersion)}


class Saved(Struct, rename="camel"):
    """What ``aws medical-imaging list-image-set-versions`` prints; with a token, if it was told to stop early."""

    image_set_properties_list: list[Entry]
    next_token: str | None = None
    cli_token: str | None = field(default=None, name="NextToken")


def saved(content: bytes) -> list[Entry]:
    """Read the entries of what the AWS CLI saved: a whole answer, or its list alone. Raises ``SeedError``."""
    document: Saved | list[Entry] = decode(content, Saved | list[Entry])
    if isinstance(document, list):
        return document
    if document.next_token or document.cli_token:
        log.warning("warning: the list goes on: a token for more stands in it")
    return document.image_set_properties_list


def listed(
    datastore_id: str,
    image_set_id: str,
    *,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
    on_entries: Callable[[int], None],
) -> list[Entry]:
    """Read an image set's versions from AWS, or from where ``endpoint_url`` says, page by page.

    ``on_entries`` is told how many there are so far. Raises botocore's exceptions, ``ValueError`` for tokens that lead
    in a circle, and ``ImportError`` without boto3.
    """
    import boto3
    from botocore.config import Config

    # A host prefix in front of somebody's own endpoint leads nowhere.
    config = Config(inject_host_prefix=False) if endpoint_url else None
    session = boto3.Session(profile_name=profile, region_name=region)
    client = session.client("medical-imaging", endpoint_url=endpoint_url, config=config)
    pages = client.get_paginator("list_image_set_versions").paginate(datastoreId=datastore_id, imageSetId=image_set_id)
    entries: dict[str, Entry] = {}
    for page in pages:
        for entry in page["imageSetPropertiesList"]:
            id, version_id = entry["imageSetId"], entry["versionId"]
            if id != image_set_id or version_id in entries:
                raise ValueError(f"version {version_id} of {id} came twice, or was not asked for")
            entries[version_id] = entry
        on_entries(len(entries))
    return list(entries.values())


def document(datastore_id: str, entries: list[Entry]) -> dict[str, Any]:
    """Return a seed of entries, and warn of what they leave out. Raises ``SeedError``."""
    image_sets: dict[str, list[Entry]] = {}
    unknown = {name for entry in entries for name in entry.keys() - KNOWN}
    for name in sorted(unknown):
        log.warning("warning: %s is not known here, and left out", name)
    for entry in entries:
        id = entry.get("imageSetId")
        if not isinstance(id, str):
            raise SeedError("an entry has no imageSetId")
        image_sets.setdefault(id, []).append({name: value for name, value in entry.items() if name in KNOWN})
    for image_set_id, versions in image_sets.items():
        _warn_of_gaps(image_set_id, {str(version.get("versionId")) for version in versions})
    return {
        "datastores": [
            {
                "datastoreId": datastore_id,
                "imageSets": [{"imageSetId": id, "versions": versions} for id, versions in image_sets.items()],
            }
        ]
    }


def _warn_of_gaps(image_set_id: str, version_ids: set[str]) -> None:
    """Notice an answer that was cut on its way, which boto3 and the AWS CLI do not."""
    numbers = {int(id) for id in version_ids if id.isascii() and id.isdigit() and len(id) < 19}
    missing = max(numbers, default=0) - len(numbers - {0})
    if missing:
        log.warning("warning: %s: %d of versions 1 to %d are missing", image_set_id, missing, max(numbers))
