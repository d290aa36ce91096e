"""Write a seed to standard output, or to a file that appears only when it is complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

output_option = click.option(
    "--output",
    default="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="A file.  [default: standard output]",
)


class Output:
    """A seed file to be written, with a folder for files beside it. Both stay in a temporary folder until then."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._staged = folder / path.name
        self.files = folder / name_files(path).name

    def write(self, document: bytes) -> None:
        """Write the seed and put everything into its place."""
        with self._staged.open("wb") as file:
            file.write(_format(document))
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine could leave an empty file in the place of the old one
        if self._path.exists():
            self._staged.chmod(stat.S_IMODE(self._path.stat().st_mode))
        if self.files.exists():
            self.files.rename(name_files(self._path))
        self._staged.replace(self._path)


class Stream:
    """Standard output, a device or a pipe, beside which there can be no files."""

    files = None

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, document: bytes) -> None:
        """Write the seed."""
        with click.open_file(self._name, "wb") as stream:
            stream.write(_format(document))
            stream.flush()


def name_files(path: Path) -> Path:
    """Return the folder for files that belong to a seed."""
    return path.with_name(f"{path.stem}-files")


def is_replaceable(name: str) -> bool:
    """Whether an output is a file that another can replace, or is not there yet."""
    path = Path(name)
    return name != "-" and not path.is_symlink() and (path.is_file() or not path.exists())


@contextmanager
def open_output(name: str) -> Iterator[Output | Stream]:
    """Yield an output. If it cannot be written, the reason is reported in one line."""
    from tempfile import TemporaryDirectory  # which is slow to import, and a server rarely writes

    path = Path(name)
    try:
        if is_replaceable(name):
            with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
                yield Output(path, Path(folder))
        else:
            yield Stream(name)
    except OSError as error:
        raise click.ClickException(f"cannot write {name}: {error.strerror or error}") from None


def write_output(document: bytes, name: str) -> None:
    """Write a seed."""
    with open_output(name) as output:
        output.write(document)


def _format(document: bytes) -> bytes:
    return msgspec.json.format(document, indent=2) + b"\n"
