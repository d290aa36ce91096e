"""Seeds: documents in the wire's own spelling, and the baseline that a store begins with."""

from __future__ import annotations

import logging
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct, field

from healthimaging_emulator.clock import Clock
from healthimaging_emulator.faults.engine import Faults, RuleError
from healthimaging_emulator.faults.fault import Rule
from healthimaging_emulator.healthimaging.shapes import (
    DatastoreId,
    ImageSetExternalVersionId,
    ImageSetId,
    ImageSetProperties,
    ImageSetState,
    ImageSetWorkflowStatus,
    Message,
    Overrides,
    prepare,
    timestamp,
)
from healthimaging_emulator.healthimaging.store import Baseline, History
from healthimaging_emulator.seeds import generate
from healthimaging_emulator.seeds.reader import SeedError, documents
from healthimaging_emulator.settings import Limits

log = logging.getLogger("emulator.seeds")

Time = float | Annotated[datetime, Meta(tz=True)]

_SEEN = {
    "ACTIVE": {"CREATED", "COPIED", "COPY_FAILED", "UPDATED", "UPDATE_FAILED", "IMPORTED", "IMPORT_FAILED"},
    "LOCKED": {
        "COPYING",
        "COPYING_WITH_READ_ONLY_ACCESS",
        "UPDATING",
        "UPDATING_FOR_STUDY_CONSISTENCY",
        "DELETING",
        "IMPORTING",
    },
    "DELETED": {"DELETED"},
}
"""Which status goes with which state: AWS's event documentation; those of imports and studies by analogy."""


class _Document(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class Generate(_Document, frozen=True, kw_only=True):
    """A history to be made instead of written; see ``generate.history``."""

    versions: Annotated[int, Meta(ge=1, le=10_000_000)]
    failed: Annotated[int, Meta(ge=0)] = 0
    seed: int = 0
    created_at: Time = generate.DEFAULT_CREATED_AT


class VersionMembers(_Document, frozen=True, kw_only=True, gc=False):
    """``ImageSetProperties`` as people write them, apart from the ids: times also in ISO 8601."""

    image_set_state: ImageSetState
    image_set_workflow_status: ImageSetWorkflowStatus | None = field(default=None, name="ImageSetWorkflowStatus")
    created_at: Time | None = None
    updated_at: Time | None = None
    deleted_at: Time | None = None
    message: Message | None = None
    overrides: Overrides | None = None
    is_primary: bool | None = None


class SeedVersion(VersionMembers, frozen=True, kw_only=True, gc=False):
    """A version of a seed; the id of its image set, which stands above it, may be left out."""

    image_set_id: ImageSetId | None = None
    version_id: ImageSetExternalVersionId


class SeedImageSet(_Document, frozen=True, kw_only=True):
    """An image set: its versions in any order, or the numbers to make them from."""

    image_set_id: ImageSetId
    versions: Annotated[list[SeedVersion], Meta(min_length=1)] | None = None
    generate: Generate | None = None


class SeedDatastore(_Document, frozen=True, kw_only=True):
    """A data store; it may have no image sets."""

    datastore_id: DatastoreId
    image_sets: list[SeedImageSet] = []


class SeedDocument(_Document, frozen=True, kw_only=True):
    """A whole document: data stores, and fault rules."""

    datastores: list[SeedDatastore] = []
    faults: list[Rule] = []


prepare(SeedDocument)


class Seed(NamedTuple):
    """What every account begins with."""

    baseline: Baseline
    faults: tuple[Rule, ...] = ()


def load(*sources: str | Path | Mapping[str, Any], faults: str | Path | None = None) -> Seed:
    """Read seeds and merge them in order: JSON or YAML files, folders of such files, or documents.

    ``faults`` is a file with a list of further fault rules, or a folder of them. What the service never shows, but the
    model allows, is logged as a warning. Raises ``SeedError``.
    """
    seed = build((name, read(SeedDocument)) for name, read in documents(sources))
    if faults is None:
        return seed
    armed, rules = _faults(seed.faults), list(seed.faults)
    for name, read in documents([faults]):
        added = read(list[Rule])
        _check(armed, name, added, "$")
        rules += added
    return seed._replace(faults=tuple(rules))


def build(named: Iterable[tuple[str, SeedDocument]]) -> Seed:
    """Merge documents, each under the name of where it comes from. Raises ``SeedError``."""
    baseline: dict[str, dict[str, History]] = {}
    origins: dict[tuple[str, str], str] = {}
    rules: list[Rule] = []
    faults = _faults()
    for name, document in named:
        _merge(name, document, baseline, origins)
        _check(faults, name, document.faults, "$.faults")
        rules += document.faults
    return Seed(baseline, tuple(rules))


def size(document: SeedDocument) -> int:
    """Count the data stores and the versions of a document, also those that are yet to be generated."""
    image_sets = [image_set for datastore in document.datastores for image_set in datastore.image_sets]
    generated = sum(image_set.generate.versions for image_set in image_sets if image_set.generate)
    written = sum(len(image_set.versions or ()) for image_set in image_sets)
    return len(document.datastores) + written + generated


def _faults(rules: Sequence[Rule] = ()) -> Faults:
    """Return rules to try others against; who starts an emulator may give it as many as they like."""
    return Faults(Clock(), rules, Limits(faults=sys.maxsize))


def _check(faults: Faults, source: str, rules: list[Rule], path: str) -> None:
    """Try whether rules could be armed. Raises ``SeedError``."""
    try:
        faults.add(*rules)
    except RuleError as error:
        raise SeedError(error.message, error.path.replace("$", path, 1), source) from None


def fixture(name: str) -> Path:
    """Return the file of a seed that ships: inside the package when installed, beside it in a checkout."""
    package, checkout = Path(__file__).parents[1], Path(__file__).parents[3]
    inside, beside = (folder / "fixtures" / f"{name}.json" for folder in (package, checkout))
    return inside if inside.exists() else beside


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a seed, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(SeedDocument)


def dump(histories: Baseline, faults: Sequence[Rule] = ()) -> bytes:
    """Write histories and fault rules as a seed in JSON."""
    datastores = [
        {
            "datastoreId": datastore_id,
            "imageSets": [{"imageSetId": id, "versions": history[::-1]} for id, history in image_sets.items()],
        }
        for datastore_id, image_sets in histories.items()
    ]
    document = {"datastores": datastores} | ({"faults": faults} if faults else {})
    return msgspec.json.encode(document)


def _merge(
    source: str, seed: SeedDocument, baseline: dict[str, dict[str, History]], origins: dict[tuple[str, str], str]
) -> None:
    """Add a document's image sets to the baseline; ``origins`` says which document an image set came from."""
    seen = set()
    for i, datastore in enumerate(seed.datastores):
        id, path = datastore.datastore_id, f"$.datastores[{i}]"
        if id in seen:
            raise SeedError(f"data store {id} stands twice in this document", f"{path}.datastoreId", source)
        seen.add(id)
        image_sets = baseline.setdefault(id, {})
        for j, image_set in enumerate(datastore.image_sets):
            image_set_path = f"{path}.imageSets[{j}]"
            origin = origins.setdefault((id, image_set.image_set_id), source)
            if image_set.image_set_id in image_sets:
                rule = f"image set {image_set.image_set_id} is in {origin} already"
                raise SeedError(rule, f"{image_set_path}.imageSetId", source)
            image_sets[image_set.image_set_id] = _history(image_set, image_set_path, source)


def _history(image_set: SeedImageSet, path: str, source: str) -> History:
    if (image_set.versions is None) == (image_set.generate is None):
        raise SeedError("an image set has either versions or generate", path, source)
    if image_set.generate is not None:
        return _generated(image_set.image_set_id, image_set.generate, f"{path}.generate", source)
    versions: list[ImageSetProperties] = []
    for index, written in enumerate(image_set.versions or ()):
        try:
            versions.append(_version(written, image_set.image_set_id, versions[0] if versions else None))
        except SeedError as error:
            raise SeedError(error.rule, f"{path}.versions[{index}]{error.path}", source) from None
    for index, doubt in _doubts(versions):
        log.warning("warning: %s: %s.versions[%d]: %s", source, path, index, doubt)
    numbers = [version.number for version in versions]
    if all(map(operator.gt, numbers, numbers[1:])):  # as the service lists them
        return tuple(reversed(versions))
    order = sorted(range(len(versions)), key=numbers.__getitem__)
    for before, after in pairwise(order):
        if numbers[before] == numbers[after]:
            raise SeedError(f"version {versions[before].version_id} stands twice", f"{path}.versions", source)
    return tuple([versions[index] for index in order])


def _generated(image_set_id: str, numbers: Generate, path: str, source: str) -> History:
    try:
        created_at = timestamp(numbers.created_at)
        timestamp(created_at + generate.LONGEST_SPAN)
        return generate.history(
            image_set_id, numbers.versions, failed=numbers.failed, seed=numbers.seed, created_at=created_at
        )
    except ValueError as error:
        raise SeedError(str(error), path, source) from None


def _version(written: SeedVersion, image_set_id: str, first: ImageSetProperties | None) -> ImageSetProperties:
    if written.image_set_id is not None and written.image_set_id != image_set_id:
        raise SeedError(f"{written.image_set_id} is not the id of the image set", ".imageSetId")
    created_at = written.created_at
    if first is not None and created_at == first.created_at:
        created_at = first.created_at  # one object for all: it is the same on every version, and there may be a million
    elif created_at is not None:
        created_at = _time(created_at, "createdAt")
    return ImageSetProperties(
        image_set_id=image_set_id,
        version_id=written.version_id,
        image_set_state=written.image_set_state,
        image_set_workflow_status=written.image_set_workflow_status,
        created_at=created_at,
        updated_at=None if written.updated_at is None else _time(written.updated_at, "updatedAt"),
        deleted_at=None if written.deleted_at is None else _time(written.deleted_at, "deletedAt"),
        message=written.message,
        overrides=written.overrides,
        is_primary=written.is_primary,
    )


def _time(time: float | datetime, member: str) -> float:
    try:
        return timestamp(time)
    except ValueError as error:
        raise SeedError(str(error), f".{member}") from None


def _doubts(versions: list[ImageSetProperties]) -> Iterator[tuple[int, str]]:
    """Say what AWS's sample and event documentation never show."""
    created_at = versions[0].created_at
    for index, version in enumerate(versions):
        state, status = version.image_set_state, version.image_set_workflow_status
        if status is not None and status not in _SEEN[state]:
            yield index, f"the service was never seen to show {state} with {status}"
        if version.message is not None and not (status or "").endswith("FAILED"):
            yield index, "only a failed version has a message"
        if version.created_at != created_at:
            yield index, "createdAt is the same on all versions of an image set"
        if version.updated_at is not None and version.number == 1:
            yield index, "version 1 has no updatedAt"
