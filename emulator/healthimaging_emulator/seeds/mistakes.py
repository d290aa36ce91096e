"""Find all mistakes in seeds, where loading stops at the first one.

A document is read without its type. The values that do not fit their types are mistakes; whatever fits around them is
built with the loader's functions, part by part. This is slow: it is for seeds that could not be loaded.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..documents import Reader, Source, find_documents
from ..errors import EmulatorError, InvalidError
from ..faults.check import check_fault
from ..faults.fault import Fault
from ..healthimaging.history import History
from ..healthimaging.records import Datastore, Version
from ..healthimaging.shapes.identifiers import DatastoreId, ImageSetId
from .build import (
    Place,
    build_datastore,
    build_history,
    build_import,
    build_imported,
    build_version,
    find_repeated,
    find_unnamed_frames,
    read_frame,
    read_metadata,
    read_shared,
    read_start,
)
from .document import (
    Document,
    FrameContent,
    GenerateImageSets,
    SeedDatastore,
    SeedDocument,
    SeedImageSet,
    SeedImport,
    SeedImportedImageSet,
    SeedVersion,
)
from .loader import DESCRIBED_TWICE, Origins, add_datastore_id, add_import, add_origin, is_described
from .misfits import Misfit, find_misfits

T = TypeVar("T")

MOST_DESCRIBED = 100
"""Mistakes that are described; further ones are only counted."""


def find_mistakes(*sources: Source) -> tuple[list[str], int]:
    """Return a line for each mistake in files and folders, for the first ones if there are many, and their number.

    Nothing is logged: loading a seed has logged its warnings.
    """
    lines: list[str] = []
    count = 0
    ids = _GivenIds({}, set(), {}, {})
    logging.disable(logging.WARNING)
    try:
        for source in sources:
            try:
                for name, _, read in find_documents([source]):
                    search = _Search(name, ids)
                    lines += search.run(read)
                    count += search.count
            except InvalidError as error:
                lines.append(str(error))
                count += 1
    finally:
        logging.disable(logging.NOTSET)
    return lines[:MOST_DESCRIBED], count


class _GivenIds(NamedTuple):
    """Ids that all documents have given so far."""

    image_sets: Origins
    faults: set[str]
    imports: dict[str, str]
    datastores: dict[str, Datastore]


class _Search:
    """The search of one document."""

    def __init__(self, name: str, ids: _GivenIds) -> None:
        self.count = 0
        self._name, self._file, self._ids = name, Path(name), ids
        self._strict = self._file.suffix == ".json"  # in YAML every scalar is a text
        self._described: list[EmulatorError] = []
        self._image_set_ids: dict[str, str] = {}

    def run(self, read: Reader) -> list[str]:
        """Return a line for each mistake, in the order of the file."""
        try:
            document = read(SeedDocument | Any)
        except InvalidError as error:
            self.count = 1
            line = _find_failure(self._file, error.message)
            return [str(InvalidError(error.message, path=error.path, source=self._at(line)))]
        for misfit in find_misfits(document, SeedDocument, "$", strict=self._strict):
            self._add(misfit)
        self._check_document(document)
        return self._write()

    def _add(self, *mistakes: EmulatorError | Misfit) -> None:
        for mistake in mistakes:
            self.count += 1
            if self.count <= MOST_DESCRIBED:
                self._described.append(mistake.explain() if isinstance(mistake, Misfit) else mistake)

    @contextmanager
    def _adding(self) -> Iterator[None]:
        try:
            yield
        except EmulatorError as error:
            self._add(error)

    def _write(self) -> list[str]:
        lines = _find_lines(self._file, {path for each in self._described for path in _ancestors(each.path)})
        written = []
        for each in self._described:
            line, id = _find_nearest(each.path, lines), _find_nearest(each.path, self._image_set_ids)
            message = f"{each.message} (image set {id})" if id and id not in each.message else each.message
            written.append((line or 0, str(InvalidError(message, path=each.path, source=self._at(line)))))
        return [text for _, text in sorted(written, key=itemgetter(0))]

    def _at(self, line: int | None) -> str:
        return f"{self._name}:{line}" if line else self._name

    # Rules.

    def _fit(self, value: Any, type: Any) -> Any:
        """Return a value as a type, or None if it does not fit."""
        try:
            return msgspec.convert(value, type, strict=self._strict)
        except msgspec.ValidationError:
            return None

    def _check_document(self, document: Any) -> None:
        seen: set[str] = set()
        for inside, datastore in _items(document, "datastores"):
            path, id = f"${inside}", self._fit(_member(datastore, "datastoreId"), DatastoreId)
            if id is not None:
                with self._adding():
                    add_datastore_id(seen, id, path, self._name)
            self._check_datastore(datastore, Place(self._name, self._file, path, id or "", ""))
            for within, image_set in _items(datastore, "imageSets"):
                self._check_image_set(image_set, path + within, id)
        for inside, each in _items(document, "imports"):
            self._check_import(each, Place(self._name, self._file, f"${inside}", "", ""))
        for inside, fault in _items(document, "faults"):
            self._check_fault(self._fit(fault, Fault), f"${inside}")

    def _check_datastore(self, given: Any, place: Place) -> None:
        """Check the properties of a data store, and the numbers of the image sets to generate."""
        if not isinstance(given, dict):
            return
        properties = {name: value for name, value in given.items() if name not in ("imageSets", "generate")}
        written = self._fit(properties, SeedDatastore)
        with self._adding():
            if written is not None:
                record = build_datastore(written, place)
                if is_described(record, self._ids.datastores.get(record.datastore_id)):
                    raise place.error(DESCRIBED_TWICE)
                self._ids.datastores[record.datastore_id] = record
        numbers = self._fit(given.get("generate"), GenerateImageSets | None)
        with self._adding():
            if numbers is not None:
                read_start(numbers, place._replace(path=f"{place.path}.generate"))

    def _check_import(self, given: Any, place: Place) -> None:
        """Check the outcome of an import. If it cannot be built, check its image sets one by one."""
        written = self._fit(given, SeedImport)
        with self._adding():
            if written is not None:
                add_import(self._ids.imports, written.input_s3_uri, place)
        count, whole = self.count, None
        try:
            if written is not None:
                build_import(written, place)
                return
        except InvalidError as error:
            whole = error
        for inside, each in _items(given, "imageSets"):
            self._check_imported(each, place._replace(path=place.path + inside))
        if whole is not None and self.count == count:
            self._add(whole)

    def _check_imported(self, given: Any, place: Place) -> None:
        image_set = self._fit(given, SeedImportedImageSet)
        with self._adding():
            if image_set is not None:
                build_imported(image_set, place, "")

    def _check_fault(self, fault: Fault | None, path: str) -> None:
        if fault is not None:
            with self._adding():
                check_fault(fault, path)
            if fault.id in self._ids.faults:
                self._add(InvalidError(f"there is a fault {fault.id} already", path=f"{path}.id"))
            elif fault.id is not None:
                self._ids.faults.add(fault.id)

    def _check_image_set(self, given: Any, path: str, datastore_id: str | None) -> None:
        id = self._fit(_member(given, "imageSetId"), ImageSetId)
        place = Place(self._name, self._file, path, datastore_id or "", id or "")
        if id is not None:
            self._image_set_ids[path] = id
            if datastore_id is not None:
                with self._adding():
                    add_origin(self._ids.image_sets, place)
        image_set = self._fit(given, SeedImageSet)
        history = self._check_history(given, image_set, place)
        for inside, each in _items(given, "frames"):
            frame = self._fit(each, str | FrameContent)
            if frame is not None:
                with self._adding():
                    read_frame(frame, place, inside)
        if image_set is not None and history is not None:
            self._add(*find_unnamed_frames(image_set.frames, history, place))

    def _check_history(self, given: Any, image_set: SeedImageSet | None, place: Place) -> History[Version] | None:
        """Build a history. If that fails, check its parts."""
        count, whole = self.count, None
        if image_set is not None:
            try:
                return build_history(image_set, place, read_shared(image_set, place)[0])
            except InvalidError as error:
                whole = error
        self._check_metadata(given, place, "")
        parts = [self._check_version(each, place, inside) for inside, each in _items(given, "versions")]
        versions = [version for version in parts if version is not None]
        self._add(*find_repeated(versions, place))
        if whole is not None and self.count == count:
            self._add(whole)
        return None

    def _check_version(self, given: Any, place: Place, inside: str) -> Version | None:
        self._check_metadata(given, place, inside)
        written = self._fit(given, SeedVersion)
        if written is None:
            return None
        try:
            return build_version(written, place.image_set_id or written.image_set_id, None, None)
        except InvalidError as error:
            self._add(place.error(error.message, inside + error.path))
            return None

    def _check_metadata(self, given: Any, place: Place, inside: str) -> None:
        with self._adding():
            read_metadata(self._fit(_member(given, "metadata"), Document | None), place, f"{inside}.metadata")


def _member(whole: Any, name: str) -> Any:
    return whole.get(name) if isinstance(whole, dict) else None


def _items(whole: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a member that is a list or an object, each with its path inside the whole."""
    member = _member(whole, name)
    if isinstance(member, list):
        yield from ((f".{name}[{index}]", item) for index, item in enumerate(member))
    elif isinstance(member, dict):
        yield from ((f".{name}.{key}", item) for key, item in member.items())


# Lines.


def _ancestors(path: str) -> Iterator[str]:
    """Yield a path, and then each path that it leads through, up to the document."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["))]


def _find_nearest(path: str, known: Mapping[str, T]) -> T | None:
    """Return what is known of a path, or of the nearest one around it."""
    return next((known[each] for each in _ancestors(path) if each in known), None)


def _find_lines(file: Path, paths: set[str]) -> dict[str, int]:
    """Return the lines on which the values at some paths begin; none if a file is JSON that is not also YAML."""
    import yaml

    lines: dict[str, int] = {}

    def visit(node: Any, path: str, line: int) -> None:
        if path in paths:
            lines[path] = line + 1
        inside = takewhile(lambda event: not isinstance(event, yaml.CollectionEndEvent), events)
        if isinstance(node, yaml.SequenceStartEvent):
            for index, item in enumerate(inside):
                visit(item, f"{path}[{index}]", item.start_mark.line)
        elif isinstance(node, yaml.MappingStartEvent):
            for key in inside:
                visit(next(events), f"{path}.{key.value}", key.start_mark.line)

    with suppress(yaml.YAMLError, RecursionError, OSError):
        parsed = yaml.parse(file.read_bytes(), getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        kinds = (yaml.NodeEvent, yaml.CollectionEndEvent)
        events: Iterator[Any] = (event for event in parsed if isinstance(event, kinds))
        for root in events:  # none if the file is empty
            visit(root, "$", root.start_mark.line)
        return lines
    return {}


def _find_failure(file: Path, message: str) -> int | None:
    """Return the line on which a file cannot be read, from the message of its parser."""
    if found := re.search(r"\(byte (\d+)\)$", message):
        return file.read_bytes().count(b"\n", 0, int(found[1])) + 1
    numbers = re.findall(r"\bline (\d+), column", message)
    return int(numbers[-1]) if numbers else None
