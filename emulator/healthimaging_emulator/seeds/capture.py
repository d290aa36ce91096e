"""Read image sets of the service, or of an emulator, through boto3.

Each image set of a data store is read by one thread of a small pool. The threads share the client, which allows it. An
error or Ctrl-C sets ``_is_over``, which ends each of them before its next request or retry.
"""

from __future__ import annotations

import gzip
import io
import logging
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import msgspec

from ..documents import decode_json
from ..errors import InvalidError, invalid
from ..healthimaging.metadata import Metadata
from ..healthimaging.shapes.identifiers import ImageFrameId, ImageSetId
from .captured import Captured, Entry

log = logging.getLogger("healthimaging_emulator.seeds")

THREADS = 8

LARGEST = 256 * 1024 * 1024
"""Bytes of a metadata document; AWS takes 50 MiB (quotas of the developer guide)."""

Show = Callable[[str], None]
"""Shows how far the capture is."""

MAX_ATTEMPTS = 10
"""Attempts of a request, unless the user has set another number for AWS SDKs."""


def connect(*, profile: str | None, region: str | None, endpoint_url: str | None) -> Any:
    """Return a client of boto3. Raises botocore's exceptions, and ``ImportError`` without boto3."""
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    session = Session(profile=profile)
    attempts = session.get_config_variable("max_attempts") or MAX_ATTEMPTS
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    if endpoint_url:  # with a host prefix, its name would not resolve
        config = config.merge(Config(inject_host_prefix=False))
    own = boto3.Session(region_name=region, botocore_session=session)
    return own.client("medical-imaging", endpoint_url=endpoint_url, config=config)


class Reader:
    """Reads image sets of one data store.

    With ``has_metadata``, it reads the metadata of all versions. With ``frames_folder`` too, it writes the frames that
    the metadata names into that folder.
    """

    def __init__(
        self, client: Any, datastore_id: str, *, has_metadata: bool = False, frames_folder: Path | None = None
    ) -> None:
        self._client = client
        self._datastore_id = datastore_id
        self._has_metadata = has_metadata
        self._frames_folder = frames_folder
        self._is_over = Event()
        client.meta.events.register("request-created.medical-imaging", self._stop_if_over)

    def find_image_sets(self, limit: int) -> list[str]:
        """Return the ids of at most ``limit`` image sets, the last updated first. Raises as ``read``."""
        found: dict[str, None] = {}
        with _explain_mistakes("a page of image sets"):
            for page in self._client.get_paginator("search_image_sets").paginate(datastoreId=self._datastore_id):
                ids = dict.fromkeys(each["imageSetId"] for each in page["imageSetsMetadataSummaries"])
                if ids and ids.keys() <= found.keys():
                    raise ValueError("the pages of image sets lead in a circle")
                found |= ids
                if len(found) >= limit:
                    break
        return list(found)[:limit]

    def read_all(self, ids: list[str], show: Show) -> list[Captured]:
        """Read image sets, several at a time, and leave out those that do not exist any more. Raises as ``read``."""
        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(self._read_existing, id) for id in ids]
            try:
                for count, future in enumerate(as_completed(futures), start=1):
                    future.result()
                    show(f"{count:,} of {len(ids):,} image sets")
            except BaseException:
                self._is_over.set()
                pool.shutdown(cancel_futures=True)
                raise
        for id, future in zip(ids, futures, strict=True):
            if future.result() is None:
                log.warning("warning: %s was deleted while it was captured, and is left out", id)
        return [captured for future in futures if (captured := future.result())]

    def read(self, id: str, show: Show = lambda _: None) -> Captured:
        """Read an image set.

        Raises botocore's exceptions, and ``ValueError`` for an answer that is not valid or a frame that cannot be
        written.
        """
        if not _is_valid(id, ImageSetId):  # it becomes a path
            raise invalid("imageSetId", id, "32 lower-case letters and digits")
        entries = self._list_versions(id, show)
        documents = self._read_documents(id, entries) if self._has_metadata else {}
        frames = self._read_frames(id, documents, self._frames_folder) if self._frames_folder else {}
        return Captured(id, entries, documents, frames)

    def _read_existing(self, id: str) -> Captured | None:
        try:
            return self.read(id)
        except self._client.exceptions.ResourceNotFoundException:
            if self._frames_folder:
                shutil.rmtree(self._frames_folder / id, ignore_errors=True)
            return None

    def _list_versions(self, id: str, show: Show) -> list[Entry]:
        pages = self._client.get_paginator("list_image_set_versions")
        entries: dict[str, Entry] = {}
        with _explain_mistakes("a page of versions"):
            for page in pages.paginate(datastoreId=self._datastore_id, imageSetId=id):
                for entry in page["imageSetPropertiesList"]:
                    _add_version(entries, entry, id)
                show(f"{id}: {len(entries):,} versions")
        if not entries:
            raise ValueError(f"no versions of {id} were found")
        return list(entries.values())

    def _read_documents(self, id: str, entries: list[Entry]) -> dict[str, Metadata | None]:
        """Read the metadata of all versions; equal documents of consecutive ones are one object."""
        documents: dict[str, Metadata | None] = {}
        before = None
        for version_id in (entry["versionId"] for entry in entries):
            document = self._read_document(id, version_id)
            before = before if document == before else document
            documents[version_id] = before
        return documents

    def _read_document(self, id: str, version_id: str) -> Metadata | None:
        """Read the metadata of a version, None if it is being written."""
        try:
            answer = self._client.get_image_set_metadata(
                datastoreId=self._datastore_id, imageSetId=id, versionId=version_id
            )
        except self._client.exceptions.ConflictException:
            return None
        return self._unpack(answer["imageSetMetadataBlob"].read(), id, f"metadata of version {version_id} of {id}")

    def _unpack(self, blob: bytes, id: str, source: str) -> Metadata:
        try:
            with gzip.open(io.BytesIO(blob)) as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise InvalidError(f"the document is too large: expected at most {LARGEST} bytes")
            return Metadata(decode_json(content, dict[str, Any]), self._datastore_id, id)
        except InvalidError as error:
            raise InvalidError(error.message, path=error.path, source=source) from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{source}: the answer is not gzip, or was truncated: {error}") from None

    def _read_frames(self, id: str, documents: dict[str, Metadata | None], folder: Path) -> dict[str, str | None]:
        """Write the frames that documents name into a folder, and return their paths from the seed."""
        named = {
            frame: version_id for version_id, document in documents.items() if document for frame in document.frames
        }
        frames = {frame: self._read_frame(id, frame, folder) for frame in named if _is_valid(frame, ImageFrameId)}
        missing = next((frame for frame, file in frames.items() if file is None), None)
        if missing:
            self._read_document(id, named[missing])  # raises an error if the image set was deleted meanwhile
        return frames

    def _read_frame(self, id: str, frame: str, folder: Path) -> str | None:
        """Write a frame into a folder, and return its path from the seed; None if it was not found."""
        try:
            answer = self._client.get_image_frame(
                datastoreId=self._datastore_id, imageSetId=id, imageFrameInformation={"imageFrameId": frame}
            )
        except self._client.exceptions.ResourceNotFoundException:
            return None
        _save(answer["imageFrameBlob"], folder / id / frame)
        return f"{folder.name}/{id}/{frame}"

    def _stop_if_over(self, **_: Any) -> None:
        if self._is_over.is_set():
            raise CancelledError


def _add_version(entries: dict[str, Entry], entry: Entry, image_set_id: str) -> None:
    id, version_id = entry["imageSetId"], entry["versionId"]
    if id != image_set_id or version_id in entries:
        raise ValueError(f"version {version_id} of {id} was returned twice, or belongs to another image set")
    entries[version_id] = entry


def _save(blob: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            shutil.copyfileobj(blob, file)
    except OSError as error:
        raise ValueError(f"cannot write the frame {path.name}: {error.strerror}") from None


def _is_valid(id: str, type: Any) -> bool:
    try:
        msgspec.convert(id, type)
    except msgspec.ValidationError:
        return False
    return True


@contextmanager
def _explain_mistakes(expected: str) -> Iterator[None]:
    """Raise ``ValueError`` for an answer that has not the shape of the service's."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, OverflowError) as error:  # also of boto3
        raise ValueError(f"an answer is not {expected}, or was truncated: {error!r}") from None
