"""``serve --save``: write the accounts as seeds at the end, and read them at the next start.

The language of seeds knows no accounts, so each has a seed of its own, which every command can read. The file that is
named is the default account's; those of other accounts are beside it, with the account in their names. Each is written
in full before it takes its place.
"""

from __future__ import annotations

import glob
from pathlib import Path

import click

from ..accounts import FIRST_TEST_ACCOUNT
from ..credentials import DEFAULT_ACCOUNT
from ..emulator import Emulator
from ..errors import LimitExceededError
from ..seeds.loader import Seed
from .options import load
from .output import open_output, write_output


class SavedAccounts:
    """The files of the accounts, and the ``seeds`` that are there already, by their accounts.

    Raises ``ClickException`` if one is no seed, or if no file can be written there.
    """

    def __init__(self, file: str) -> None:
        path = Path(file)
        if path.suffix != ".json":
            raise click.UsageError(f"invalid file {file!r} to save to: expected a name that ends in .json")
        self.path = path.resolve() if path.is_symlink() else path  # a link stays, and its target is replaced
        with open_output(str(self.path)):
            pass
        self.seeds: dict[str, Seed] = {id: load([path]) for id, path in self._find().items()}

    def restore(self, emulator: Emulator) -> None:
        """Let the accounts begin with their seeds. Raises ``UsageError`` if there are too many."""
        try:
            for id, seed in self.seeds.items():
                emulator.account(id).put(seed)
        except LimitExceededError as error:
            raise click.UsageError(str(error)) from None

    def save(self, emulator: Emulator) -> None:
        """Write all accounts but those of tests. What is under way is finished first. Raises ``ClickException``."""
        emulator.account()  # is saved even if nobody has used it
        kept = {account.id: account for account in emulator.accounts if account.id < FIRST_TEST_ACCOUNT}
        for id, account in kept.items():
            account.finish_transitions()
            write_output(account.export_seed(), str(self._name(id)))
        for id, path in self._find().items():
            if id not in kept:
                _remove(path)

    def _name(self, id: str) -> Path:
        return self.path if id == DEFAULT_ACCOUNT else self.path.with_name(f"{self.path.stem}.{id}.json")

    def _find(self) -> dict[str, Path]:
        """Return the files that are there, by their accounts."""
        others = self.path.parent.glob(f"{glob.escape(self.path.stem)}.{'[0-9]' * 12}.json")
        found = {path.stem[-12:]: path for path in sorted(others)}
        return found | ({DEFAULT_ACCOUNT: self.path} if self.path.exists() else {})


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot remove {path}: {error.strerror}") from None
