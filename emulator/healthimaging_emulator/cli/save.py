"""``serve --save``: write the accounts as seeds at the end, and read them at the next start.

The language of seeds knows no accounts, so each has a seed of its own, which every command can read. The file that is
named is the default account's; those of other accounts are beside it, with the account in their names. Each is written
in full before it takes its place. A lock keeps other processes from the same files. A file that is neither read at the
start nor written at the end is left alone.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from ..accounts import FIRST_TEST_ACCOUNT, Account
from ..credentials import DEFAULT_ACCOUNT
from ..emulator import Emulator
from ..errors import LimitExceededError
from ..seeds.loader import Seed
from .options import load
from .output import is_replaceable, open_output, write_output
from .process import locked

log = logging.getLogger("healthimaging_emulator.seeds")


@contextmanager
def open_saved(file: str) -> Iterator[SavedAccounts]:
    """Yield the accounts that are saved in a file, and keep other processes from it meanwhile.

    Raises ``ClickException`` if another process has it, if it cannot be written, or if what is there is no seed.
    """
    if Path(file).suffix != ".json":
        raise click.UsageError(f"invalid file {file!r} to save to: expected a name that ends in .json")
    path = _follow(Path(file))
    with ExitStack() as stack:
        with open_output(str(path)):
            try:
                stack.enter_context(locked(path.with_name(f".{path.name}.lock")))
            except BlockingIOError:
                raise click.ClickException(f"cannot save to {path}: another emulator saves to it") from None
        yield SavedAccounts(path)


class SavedAccounts:
    """The files of the accounts, and the ``seeds`` that are there already, by their accounts.

    Raises ``ClickException`` if one is no seed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seeds: dict[str, Seed] = {id: _load(path) for id, path in self._find().items()}

    def restore(self, emulator: Emulator) -> None:
        """Let the accounts begin with their seeds. Raises ``UsageError`` if there are too many."""
        try:
            for id, seed in self.seeds.items():
                emulator.account(id).put(seed, is_added=False)
        except LimitExceededError as error:
            raise click.UsageError(str(error)) from None

    def save(self, emulator: Emulator) -> list[str]:
        """Write all accounts but those of tests, and return the reasons why some could not be written.

        Operations under way are finished first. The files of accounts that were restored and are there no more are
        removed.
        """
        emulator.account()  # is saved even if nobody has used it
        kept = {account.id: account for account in emulator.accounts if account.id < FIRST_TEST_ACCOUNT}
        saved = 0
        reasons: list[str] = []
        for account in kept.values():
            with _failing_alone(reasons):
                self._write(account)
                saved += 1
        for id in self.seeds.keys() - kept.keys():
            with _failing_alone(reasons):
                _remove(self._name(id))
        if saved:
            log.info("saved %d account%s to %s", saved, "" if saved == 1 else "s", self.path)
        return reasons

    def _write(self, account: Account) -> None:
        path = _follow(self._name(account.id))
        _require_file(path)
        account.finish_transitions()
        write_output(account.export_seed(), str(path))

    def _name(self, id: str) -> Path:
        return self.path if id == DEFAULT_ACCOUNT else self.path.with_name(f"{self.path.stem}.{id}.json")

    def _find(self) -> dict[str, Path]:
        """Return the files that are there, by their accounts."""
        others = self.path.parent.glob(f"{glob.escape(self.path.stem)}.{'[0-9]' * 12}.json")
        ids = [DEFAULT_ACCOUNT, *(path.stem[-12:] for path in sorted(others))]
        paths = {id: _follow(self._name(id)) for id in ids if id < FIRST_TEST_ACCOUNT}
        return {id: path for id, path in paths.items() if os.path.lexists(path)}


def _follow(path: Path) -> Path:
    """Return the target of a link, which stays when its target is replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _require_file(path: Path) -> None:
    if not is_replaceable(str(path)):
        raise click.ClickException(f"cannot save to {path}: expected a file")


def _load(path: Path) -> Seed:
    _require_file(path)
    return load([path])


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot remove {path}: {error.strerror}") from None


@contextmanager
def _failing_alone(reasons: list[str]) -> Iterator[None]:
    """Note the reason why an account could not be saved, so that the others can."""
    try:
        yield
    except click.ClickException as error:
        reasons.append(error.message)
