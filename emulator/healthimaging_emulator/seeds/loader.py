"""Load seeds: from documents to the baseline that every account begins with."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..clock import Clock
from ..documents import Source, find_documents
from ..errors import EmulatorError, InvalidError
from ..faults.engine import Faults
from ..faults.fault import Fault
from ..healthimaging.baseline import Baseline
from ..healthimaging.records import Datastore, ImageSet
from ..settings import Settings
from .build import OnRead, Place, build_datastore, build_image_set, build_import, read_start
from .document import GenerateImageSets, SeedDatastore, SeedDocument
from .generate_image_sets import make_image_sets

Origins = dict[tuple[str, str], str]
"""Documents by the data store and the id of each image set that they have."""


class Seed(NamedTuple):
    """The initial state of every account."""

    baseline: Baseline
    faults: tuple[Fault, ...] = ()


def load_seed(*sources: Source, faults: Source | None = None, on_read: OnRead | None = None) -> Seed:
    """Read seeds and merge them in order: JSON or YAML files, folders of such files, streams, or documents.

    ``faults`` is a file with a list of further faults, or a folder of them. ``on_read`` is called with each file of
    metadata or of a frame that a seed names, before it is read. Combinations that AWS has never been seen to return are
    logged as warnings. Raises ``InvalidError``.
    """
    seed = build_seed(((name, path, read(SeedDocument)) for name, path, read in find_documents(sources)), on_read)
    if faults is None:
        return seed
    engine, added = _unlimited_faults(seed.faults), list(seed.faults)
    for name, _, read in find_documents([faults]):
        more = read(list[Fault])
        _check_faults(engine, name, more, "$")
        added += more
    return seed._replace(faults=tuple(added))


def build_seed(named: Iterable[tuple[str, Path | None, SeedDocument]], on_read: OnRead | None = None) -> Seed:
    """Merge documents, each with its name and its file; see ``load_seed``. Raises ``InvalidError``."""
    merger = _Merger(on_read)
    for name, path, document in named:
        merger.add(name, path, document)
    return Seed(merger.baseline, tuple(merger.faults))


def find_fixture(name: str) -> Path:
    """Return a bundled seed, or the folder of buckets: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside, beside = (folder / "fixtures" / name for folder in (package, package.parents[1]))
    return inside if inside.exists() else beside


def count_document(document: SeedDocument) -> int:
    """Count data stores, versions and files of imports in a document, also those that are yet to be generated."""
    image_sets = [image_set for datastore in document.datastores for image_set in datastore.image_sets]
    generated = sum(image_set.generate.versions for image_set in image_sets if image_set.generate)
    written = sum(len(image_set.versions or ()) for image_set in image_sets)
    numbers = [each.generate for each in document.datastores if each.generate]
    made = sum(each.image_sets * max(each.versions, each.instances) for each in numbers)
    imported = sum(each.generate.image_sets * each.generate.instances for each in document.imports if each.generate)
    imported += sum(len(each.image_sets) + len(each.failed_files) for each in document.imports)
    return len(document.datastores) + written + generated + made + imported


class _Merger:
    """Merges documents into one baseline, and remembers where each image set came from."""

    def __init__(self, on_read: OnRead | None) -> None:
        self.baseline = Baseline()
        self.faults: list[Fault] = []
        self._engine = _unlimited_faults()
        self._origins: Origins = {}
        self._imports: dict[str, str] = {}
        self._on_read = on_read

    def add(self, source: str, file: Path | None, document: SeedDocument) -> None:
        """Add a document. Raises ``InvalidError``."""
        ids: set[str] = set()
        for i, datastore in enumerate(document.datastores):
            id, path = datastore.datastore_id, f"$.datastores[{i}]"
            add_datastore_id(ids, id, path, source)
            image_sets = self._add_datastore(datastore, path, source)
            for j, image_set in enumerate(datastore.image_sets):
                place = Place(source, file, f"{path}.imageSets[{j}]", id, image_set.image_set_id, self._on_read)
                add_origin(self._origins, place)
                image_sets[image_set.image_set_id] = build_image_set(image_set, place)
            if datastore.generate is not None:
                self._generate(datastore.generate, Place(source, file, f"{path}.generate", id, ""))
        for i, each in enumerate(document.imports):
            place = Place(source, file, f"$.imports[{i}]", "", "", self._on_read)
            add_import(self._imports, each.input_s3_uri, place)
            self.baseline.imports.append(build_import(each, place))
        _check_faults(self._engine, source, document.faults, "$.faults")
        self.faults += document.faults

    def _add_datastore(self, datastore: SeedDatastore, path: str, source: str) -> dict[str, ImageSet]:
        """Add a data store, or the image sets of one that another document has described."""
        record = build_datastore(datastore, Place(source, None, path, datastore.datastore_id, ""))
        if is_described(record, self.baseline.datastore(record.datastore_id)):
            raise InvalidError(DESCRIBED_TWICE, path=path, source=source)
        undescribed = Datastore(datastore_id=record.datastore_id)
        is_known = record == undescribed and record.datastore_id in self.baseline
        return self.baseline[record.datastore_id] if is_known else self.baseline.add_datastore(record)

    def _generate(self, numbers: GenerateImageSets, place: Place) -> None:
        image_sets = self.baseline[place.datastore_id]
        for image_set in make_image_sets(numbers, place.datastore_id, read_start(numbers, place)):
            if image_set.image_set_id in image_sets:
                raise place.error("these image sets are there already: give another seed")
            image_sets[image_set.image_set_id] = image_set


DESCRIBED_TWICE = "another document describes this data store"


def is_described(record: Datastore, known: Datastore | None) -> bool:
    """Whether a data store that a document describes is described by another one already."""
    undescribed = Datastore(datastore_id=record.datastore_id)
    return record != undescribed and known not in (None, undescribed)


def _unlimited_faults(faults: Sequence[Fault] = ()) -> Faults:
    """Return an engine that checks the faults of a seed. It has no limit, since a seed may have any number."""
    return Faults(Clock(), faults, Settings(max_faults=sys.maxsize))


def _check_faults(engine: Faults, source: str, faults: list[Fault], path: str) -> None:
    try:
        engine.add(*faults)
    except EmulatorError as error:
        raise InvalidError(error.message, path=error.path.replace("$", path, 1), source=source) from None


def add_datastore_id(ids: set[str], id: str, path: str, source: str) -> None:
    """Add to the data stores of one document. Raises ``InvalidError`` for one that is there already."""
    if id in ids:
        raise InvalidError(
            f"data store {id} is given twice in this document", path=f"{path}.datastoreId", source=source
        )
    ids.add(id)


def add_import(origins: dict[str, str], uri: str, place: Place) -> None:
    """Add to the imports of all documents. Raises ``InvalidError`` for one of the same input location."""
    if uri.rstrip("/") in origins:
        raise place.error(f"an import of {uri} is in {origins[uri.rstrip('/')]} already", ".inputS3Uri")
    origins[uri.rstrip("/")] = place.source


def add_origin(origins: Origins, place: Place) -> None:
    """Add to the image sets of all documents. Raises ``InvalidError`` for one that is there already."""
    origin = origins.get((place.datastore_id, place.image_set_id))
    if origin is not None:
        raise place.error(f"image set {place.image_set_id} is in {origin} already", ".imageSetId")
    origins[place.datastore_id, place.image_set_id] = place.source
