"""Captured image sets, and the seed that they make."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from msgspec import Struct, field, structs

from ..documents import convert, decode_many
from ..errors import InvalidError
from ..healthimaging.baseline import Baseline
from ..healthimaging.history import History
from ..healthimaging.metadata import Metadata
from ..healthimaging.records import ImageSet
from .document import SeedVersion
from .loader import load_seed

log = logging.getLogger("healthimaging_emulator.seeds")

Entry = dict[str, Any]

KNOWN = {member.encode_name for member in structs.fields(SeedVersion)}


class Captured(NamedTuple):
    """An image set as it was read.

    ``documents`` has the metadata of each version, None for a version that is being written. ``frames`` has the file of
    each frame, relative to the seed, None for a frame that was not found. Both are empty if they were not asked for.
    """

    image_set_id: str
    entries: list[Entry]
    documents: dict[str, Metadata | None]
    frames: dict[str, str | None]


class Saved(Struct, rename="camel"):
    """Output of ``aws medical-imaging list-image-set-versions``. It has a token if there are more versions."""

    image_set_properties_list: list[Entry]
    next_token: str | None = None
    cli_token: str | None = field(default=None, name="NextToken")


def read_saved(content: bytes, image_set_id: str | None = None) -> list[Captured]:
    """Return the image sets that the AWS CLI saved: answers, one after another, or their lists alone.

    They are in JSON or YAML. ``image_set_id`` is that of the entries that have none. Raises ``InvalidError``.
    """
    image_sets: dict[str, list[Entry]] = {}
    pages = [page for document in decode_many(content) for page in _list_pages(document)]
    last = pages[-1] if pages else None  # an empty input has none
    if isinstance(last, Saved) and (last.next_token or last.cli_token):
        log.warning("warning: the list is not complete: it holds a token for more")
    for page in pages:
        for entry in page.image_set_properties_list if isinstance(page, Saved) else page:
            id = entry.get("imageSetId", image_set_id)
            if not isinstance(id, str):
                raise InvalidError("an entry has no imageSetId: name the image set with --image-set-id")
            image_sets.setdefault(id, []).append(entry)
    return [Captured(id, entries, {}, {}) for id, entries in image_sets.items()]


def _list_pages(document: Any) -> list[Saved | list[Entry]]:
    """Return the pages of a document: one, or a list of them, as the format yaml-stream of the AWS CLI has it."""
    if isinstance(document, dict) and isinstance(document.get("data"), dict):  # as placebo and pill record it
        document = document["data"]
    if isinstance(document, list) and any(
        isinstance(each, dict) and "imageSetPropertiesList" in each for each in document
    ):
        return [convert(each, Saved) for each in document]
    return [convert(document, Saved | list[Entry])]


def build_baseline(datastore_id: str, image_sets: list[Captured]) -> Baseline:
    """Return captured image sets as the state of a seed, and warn of what they lack. Raises ``InvalidError``."""
    unknown = {name for each in image_sets for entry in each.entries for name in entry.keys() - KNOWN}
    for name in sorted(unknown):
        log.warning("warning: the member %s is not known, and left out", name)
    for each in image_sets:
        _warn_of_gaps(each)
    written = [{"imageSetId": each.image_set_id, "versions": _known_members(each)} for each in image_sets]
    baseline = load_seed({"datastores": [{"datastoreId": datastore_id, "imageSets": written}]}).baseline
    for each in image_sets:
        if each.documents:
            _add_documents(baseline[datastore_id], each)
    return baseline


def list_frame_files(image_sets: list[Captured]) -> dict[str, dict[str, str]]:
    """Return the files of the frames that were found, by image set and frame."""
    return {
        each.image_set_id: {frame: file for frame, file in each.frames.items() if file is not None}
        for each in image_sets
    }


def _known_members(captured: Captured) -> list[Entry]:
    return [{name: value for name, value in entry.items() if name in KNOWN} for entry in captured.entries]


def _add_documents(image_sets: dict[str, ImageSet], captured: Captured) -> None:
    image_set = image_sets[captured.image_set_id]
    versions = (
        structs.replace(version, metadata=captured.documents.get(version.version_id)) for version in image_set.history
    )
    image_sets[captured.image_set_id] = structs.replace(image_set, history=History.of(versions))


def _warn_of_gaps(captured: Captured) -> None:
    """Warn of missing documents and frames; loading warns of missing versions, which boto3 and the AWS CLI do not."""
    id = captured.image_set_id
    for version_id, document in captured.documents.items():
        if document is None:
            log.warning("warning: %s: version %s is being written, and has no metadata", id, version_id)
    missing = sum(file is None for file in captured.frames.values())
    if missing:
        log.warning("warning: %s: %d of %d frames were not found", id, missing, len(captured.frames))
