"""Documents as arguments: a JSON text, a file, or ``-`` for standard input."""

from __future__ import annotations

from typing import Any

from ..documents import Source, Stream, find_documents
from ..errors import InvalidError
from .options import read_stream


def read_document(argument: str, type: Any) -> Any:
    """Read a document of a type. Raises ``InvalidError``."""
    documents = [read(type) for _, _, read in find_documents([_find(argument)])]
    if len(documents) != 1:
        raise InvalidError("expected one file, not a folder of several", source=argument)
    return documents[0]


def _find(argument: str) -> Source:
    if argument.lstrip().startswith(("{", "[")):
        return Stream("", argument.encode(errors="surrogateescape"))
    return read_stream(argument)
