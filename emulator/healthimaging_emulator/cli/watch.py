"""``serve --watch``: load the seed again when its files change.

The files are polled, since that works on every file system and in containers. A change is loaded when two polls in a
row have seen the same, so that a file is not read while it is written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..documents import Stream, find_documents
from ..emulator import Emulator
from ..errors import InvalidError
from ..seeds.loader import Seed
from .options import InvalidDocument, load, summarize

log = logging.getLogger("healthimaging_emulator.seeds")

POLL_SECONDS = 0.5

STOP_SECONDS = 1.0
"""Seconds to wait for a seed that is being loaded at the end."""


class SeedFiles:
    """The files of a seed: documents, faults, and the files of metadata, frames and DICOM that they name."""

    def __init__(self, sources: Sequence[str | Stream], faults: str | Stream | None = None) -> None:
        self._sources, self._faults = sources, faults
        self._named: set[Path] = set()
        self._loaded: dict[Path, object] = {}
        self._seen = self._loaded

    def load(self) -> Seed:
        """Load the seed. Raises ``InvalidDocument``."""
        self._named = set()
        self._loaded = self._seen = self._find_states()  # before reading: what is written meanwhile is a change
        return load(self._sources, self._faults, self._add_named)

    def poll(self, emulator: Emulator) -> None:
        """Load the seed again if its files have changed since it was loaded, but not since the last poll."""
        before, self._seen = self._seen, self._find_states()
        if self._seen != before or self._seen == self._loaded:
            return
        try:
            seed = self.load()
        except InvalidDocument as error:
            log.warning("kept the seed: %s", error.message)
        else:
            emulator.replace_seed(seed)
            log.info("loaded %s from %s", summarize(seed.baseline), ", ".join(map(str, self._sources)))

    def _add_named(self, path: Path) -> None:
        self._named.add(path)
        self._loaded[path] = _read_state(path)

    def _find_states(self) -> dict[Path, object]:
        paths = set(self._named)
        for source in (*self._sources, *([self._faults] if self._faults else [])):
            with suppress(InvalidError):  # which loading reports
                paths |= {Path(name) for name, _, _ in find_documents([source])}
        return {path: _read_state(path) for path in paths}


def _read_state(path: Path) -> object:
    """Return what changes when a file does; None if there is no such file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@contextmanager
def watching(files: SeedFiles, emulator: Emulator) -> Iterator[None]:
    """Poll the files of an emulator's seed in a thread, inside a ``with`` block."""
    is_over = threading.Event()

    def watch() -> None:
        try:
            while not is_over.wait(POLL_SECONDS):
                files.poll(emulator)
        except Exception:
            log.exception("the seed is no longer watched")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(STOP_SECONDS)
