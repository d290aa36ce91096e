"""Errors that the emulator raises to Python code that uses it: one base class, and one class per kind.

The control API answers each kind with a status of its own. Any other exception is a bug, in Python and over HTTP.
Errors that clients of the service receive are in ``aws/errors.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class EmulatorError(Exception):
    """Base of all errors. ``path`` leads to the mistake inside a document, ``source`` says which document."""

    def __init__(self, message: str, *, path: str = "", source: str = "") -> None:
        self.message, self.path, self.source = message, path, source
        super().__init__(message)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.message) if part)


class InvalidError(EmulatorError, ValueError):
    """A value, a setting or a document breaks a rule."""


class NotFoundError(EmulatorError, LookupError):
    """There is nothing of that name."""


class ConflictError(EmulatorError, ValueError):
    """Something of that name exists already."""


class LimitExceededError(EmulatorError, ValueError):
    """A limit of the settings would be exceeded."""

    @property
    def detail(self) -> str:
        """The wanted number and the limit."""
        return self.message.removeprefix("limit exceeded: ")


class NotOpenError(NotFoundError):
    """A test account is used before its test has opened it, or after its test has ended."""


class ForbiddenError(EmulatorError):
    """The control API does not serve this caller."""


class UnreachableError(EmulatorError, OSError):
    """There is no emulator where one should be."""


def invalid(name: str, value: Any, expected: str, *, path: str = "", source: str = "") -> InvalidError:
    """Return the error for an unexpected value, in the form that all messages share."""
    return InvalidError(f"invalid {name} {value!r}: expected {expected}", path=path, source=source)


@contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Say which extra is missing, if an import inside the ``with`` block finds no module. Raises ``ImportError``."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        advice = f"{module} is needed: pip install 'healthimaging-emulator[{extra}]'"
        raise ImportError(advice, name=error.name) from None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean ...?)`` for the nearest known word, or nothing if none is near."""
    import difflib  # which is slow to import, and rarely used

    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
