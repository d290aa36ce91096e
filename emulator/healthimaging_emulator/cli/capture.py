"""Capture the versions of real image sets as a seed, read through boto3 or from output of the AWS CLI."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field, structs

from ..documents import decode_json
from ..errors import InvalidError
from ..seeds.document import SeedVersion

log = logging.getLogger("healthimaging_emulator.seeds")

Entry = dict[str, Any]

KNOWN = {member.encode_name for member in structs.fields(SeedVersion)}


class Saved(Struct, rename="camel"):
    """Output of ``aws medical-imaging list-image-set-versions``. It has a token if there are more versions."""

    image_set_properties_list: list[Entry]
    next_token: str | None = None
    cli_token: str | None = field(default=None, name="NextToken")


def read_saved(content: bytes) -> list[Entry]:
    """Return the entries that the AWS CLI saved: a whole answer, or its list alone. Raises ``InvalidError``."""
    document: Saved | list[Entry] = decode_json(content, Saved | list[Entry])
    if isinstance(document, list):
        return document
    if document.next_token or document.cli_token:
        log.warning("warning: the list is not complete: it holds a token for more")
    return document.image_set_properties_list


def list_versions(
    datastore_id: str,
    image_set_id: str,
    *,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
    on_entries: Callable[[int], None],
) -> list[Entry]:
    """Return an image set's versions from AWS or another endpoint, page by page.

    ``on_entries`` is called with their number so far. Raises botocore's exceptions, ``ValueError`` for tokens that lead
    in a circle, and ``ImportError`` without boto3.
    """
    import boto3
    from botocore.config import Config

    # With a host prefix, the name of another endpoint would not resolve.
    config = Config(inject_host_prefix=False) if endpoint_url else None
    session = boto3.Session(profile_name=profile, region_name=region)
    client = session.client("medical-imaging", endpoint_url=endpoint_url, config=config)
    pages = client.get_paginator("list_image_set_versions").paginate(datastoreId=datastore_id, imageSetId=image_set_id)
    entries: dict[str, Entry] = {}
    for page in pages:
        for entry in page["imageSetPropertiesList"]:
            id, version_id = entry["imageSetId"], entry["versionId"]
            if id != image_set_id or version_id in entries:
                raise ValueError(f"version {version_id} of {id} was returned twice, or belongs to another image set")
            entries[version_id] = entry
        on_entries(len(entries))
    return list(entries.values())


def make_document(datastore_id: str, entries: list[Entry]) -> dict[str, Any]:
    """Return a seed of entries, and warn of versions that are missing. Raises ``InvalidError``."""
    image_sets: dict[str, list[Entry]] = {}
    unknown = {name for entry in entries for name in entry.keys() - KNOWN}
    for name in sorted(unknown):
        log.warning("warning: the member %s is not known, and left out", name)
    for entry in entries:
        id = entry.get("imageSetId")
        if not isinstance(id, str):
            raise InvalidError("an entry has no imageSetId")
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
    """Warn of missing versions: boto3 and the AWS CLI do not notice an answer that was cut on its way."""
    numbers = {int(id) for id in version_ids if id.isascii() and id.isdigit() and len(id) < 19}
    missing = max(numbers, default=0) - len(numbers - {0})
    if missing:
        log.warning("warning: %s: %d of versions 1 to %d are missing", image_set_id, missing, max(numbers))
