"""Documents that people write, in JSON and YAML: read as a type, or refused with the path inside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import msgspec

from healthimaging_emulator.faults.fault import BodyEffect, ConnectionEffect, PageEffect
from healthimaging_emulator.healthimaging.shapes import ImageSetState, ImageSetWorkflowStatus

Reader = Callable[[Any], Any]

_CHECKED_FOR_EQUAL_KEYS = 1024 * 1024
"""Bytes up to which JSON is searched for keys given twice, which doubles the time; larger seeds are machine-made."""


_WORDS = {
    "imageSetState": ImageSetState,
    "ImageSetWorkflowStatus": ImageSetWorkflowStatus,
    "page": PageEffect,
    "body": BodyEffect,
    "connection": ConnectionEffect,
}
"""Where a document uses a word out of a few, by the member's name."""

_SUFFIXES = (".json", ".yaml", ".yml")
_DEEPEST = 100


class SeedError(ValueError):
    """A seed that cannot be served: where it comes from, the path inside it, and the rule that it breaks."""

    def __init__(self, rule: str, path: str = "", source: str = "") -> None:
        self.rule, self.path, self.source = rule, path, source
        super().__init__(rule, path, source)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.rule) if part)


def documents(sources: Iterable[str | Path | Mapping[str, Any]]) -> Iterator[tuple[str, Reader]]:
    """Yield each document's name, and a function that reads it as a type."""
    for source in sources:
        if isinstance(source, Mapping):
            yield "document", partial(_named, "document", msgspec.convert, source)
            continue
        for path in _files(source):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise SeedError(error.strerror or str(error), source=str(path)) from None
            is_yaml = path.suffix in (".yaml", ".yml")
            yield str(path), partial(_named, str(path), _read_yaml if is_yaml else _read_json, content)


def _files(source: str | Path) -> list[Path]:
    path = Path(source)
    try:
        if not source:
            raise SeedError("a path is not empty")
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES)
        else:
            path.stat()
            found = [path] if path.suffix in _SUFFIXES else []
    except (OSError, ValueError) as error:
        raise SeedError(getattr(error, "strerror", None) or str(error), source=str(path)) from None
    if not found:
        raise SeedError("a file's name ends in .json, .yaml or .yml, and none does here", source=str(path))
    return found


def decode(content: bytes, type: Any) -> Any:
    """Read a JSON text as a type. Raises ``SeedError``."""
    return _named("", _read_json, content, type)


def _named(source: str, read: Callable[[Any, Any], Any], content: Any, type: Any) -> Any:
    try:
        return read(content, type)
    except SeedError as error:
        raise SeedError(error.rule, error.path, source) from None
    except msgspec.DecodeError as error:  # msgspec.ValidationError is one
        raise SeedError(*explain(error), source) from None
    except UnicodeError:
        raise SeedError("the text is not UTF-8", "$", source) from None
    except RecursionError:
        raise SeedError("the document is nested too deeply", "$", source) from None


def explain(error: msgspec.DecodeError) -> tuple[str, str]:
    """Return the rule that msgspec found broken, and the path inside the document."""
    rule, _, path = str(error).partition(" - at `")
    path = path.removesuffix("`") or "$"
    # Print a pattern as the model does, without the anchors that msgspec needs.
    rule = re.sub(r"\^\(\?:(.*)\)\(\?!\[\\+s\\+S\]\)", r"\1", rule)
    return rule + _hint(rule, path), path


def _hint(rule: str, path: str) -> str:
    """Say what would have been right, where a mistake is a usual one."""
    if "`imageSetWorkflowStatus`" in rule:
        return ": this operation spells it ImageSetWorkflowStatus"
    if "`imageSetPropertiesList`" in rule:
        return ": the entries inside it go under an image set's versions"
    if "RFC3339" in rule:
        return ": write it as 2023-03-28T18:12:06.436Z, or in epoch seconds"
    if rule.startswith("Invalid enum value"):
        known = get_args(_WORDS.get(path.rpartition(".")[2]))
        return f": it is one of {', '.join(known)}" if known else ""
    return ""


def _read_json(content: bytes, type: Any) -> Any:
    content = content.removeprefix(b"\xef\xbb\xbf")
    decoded = msgspec.json.decode(content, type=type)
    if len(content) <= _CHECKED_FOR_EQUAL_KEYS:
        json.loads(content, object_pairs_hook=_refuse_equal_keys)
    return decoded


def _refuse_equal_keys(pairs: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SeedError(f"the key {twice!r} stands twice in one object", "$")


def _read_yaml(content: bytes, type: Any) -> Any:
    import yaml  # 20 ms that a JSON seed need not wait for

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]  # whose scalars stay strings
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            _refuse_equal_keys([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            return super().construct_mapping(node, deep)  # type: ignore[no-any-return]

    try:
        depth = 0
        for event in yaml.parse(content, Loader):  # the parser in C would crash on some thousand levels
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise RecursionError
        return msgspec.convert(yaml.load(content, Loader), type, strict=False)
    except yaml.YAMLError as error:
        raise SeedError(" ".join(str(error).split()), "$") from None
