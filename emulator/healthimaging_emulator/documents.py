"""Read documents that people write, in JSON and YAML, as a type. An error has the path inside the document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from .errors import InvalidError, suggestion

Reader = Callable[[Any], Any]

_CHECKED_FOR_EQUAL_KEYS = 1024 * 1024
"""Bytes up to which JSON is searched for keys given twice, which doubles the time; larger seeds are machine-made."""

_NOT_SPACE = re.compile(r"\S").search

_SUFFIXES = (".json", ".yaml", ".yml")
_DEEPEST = 100

_MOST_REPEATED = 1_000_000
"""Nodes of a YAML document that its aliases may repeat."""


class Stream(NamedTuple):
    """A document that was read from standard input or a pipe, in JSON or YAML."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name


Source = str | Path | Mapping[str, Any] | Stream


def find_documents(sources: Iterable[Source]) -> Iterator[tuple[str, Path | None, Reader]]:
    """Yield the name of each document, its file if it has one, and a function that reads it as a type.

    A source is a file, a folder of files, a stream, or a document as a mapping. A file is read when its function is
    called. Raises ``InvalidError``, as the function does.
    """
    for source in sources:
        if isinstance(source, Stream):
            read = _read_json if looks_like_json(source.content) else _read_yaml
            yield source.name, None, partial(_read, source.name, read, source.content)
        elif isinstance(source, Mapping):
            yield "document", None, partial(_read, "document", msgspec.convert, source)
        else:
            for path in _files(source):
                yield str(path), path, partial(_read_file, path)


def _files(source: str | Path) -> list[Path]:
    path = Path(source)
    try:
        if not source:
            raise InvalidError("a path must not be empty")
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and each.name[0] not in ".~")
        else:
            path.stat()
            found = [path] if path.suffix in _SUFFIXES else []
    except InvalidError:
        raise
    except (OSError, ValueError) as error:
        raise InvalidError(getattr(error, "strerror", None) or str(error), source=str(path)) from None
    if not found:
        rule = "no file here has" if path.is_dir() else "expected"
        raise InvalidError(f"{rule} a name that ends in .json, .yaml or .yml", source=str(path))
    return found


def _read_file(path: Path, type: Any) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidError(error.strerror or str(error), source=str(path)) from None
    return _read(str(path), _read_yaml if path.suffix in (".yaml", ".yml") else _read_json, content, type)


def decode_json(content: bytes, type: Any) -> Any:
    """Read a JSON text as a type. Raises ``InvalidError``."""
    return _read("", _read_json, content, type)


def decode_many(content: bytes) -> list[Any]:
    """Read JSON texts, one after another, or YAML documents. Raises ``InvalidError``."""
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if looks_like_json(text):
        return _read("", _read_json_texts, text, None)  # type: ignore[no-any-return]
    if text[:5] in (b"-----", b"+----") or b"\t" in text.partition(b"\n")[0]:
        raise InvalidError("expected JSON or YAML, as from the AWS CLI with --output json", path="$")
    return _read("", _read_yaml_documents, content, None)  # type: ignore[no-any-return]


def convert(document: Any, type: Any) -> Any:
    """Return a decoded document as a type. Raises ``InvalidError``."""
    return _read("", lambda content, type: msgspec.convert(content, type, strict=False), document, type)


def _read_json_texts(content: bytes, _: Any) -> list[Any]:
    try:
        return [_read_json(content, Any)]
    except msgspec.DecodeError as error:
        if "trailing characters" not in str(error):
            raise
    text, decoder, documents, place = content.decode(), json.JSONDecoder(), [], 0
    while found := _NOT_SPACE(text, place):
        document, place = _decode_next(decoder, text, found.start())
        documents.append(document)
    return documents


def _decode_next(decoder: json.JSONDecoder, text: str, place: int) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, place)
    except ValueError as error:
        raise InvalidError(f"JSON is malformed: {error}", path="$") from None


def _read_yaml_documents(content: bytes, _: Any) -> list[Any]:
    import yaml  # takes 20 ms, and a JSON seed does not need it

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _check_events(yaml.parse(content, loader))
        return [each for each in yaml.load_all(content, loader) if each]
    except yaml.YAMLError as error:
        raise _malformed_yaml(error) from None


def _malformed_yaml(error: Exception) -> InvalidError:
    """Return the error for a text that is no YAML, in one line."""
    return InvalidError(" ".join(str(error).split()).replace('in "<byte string>", ', "in "), path="$")


def _read(source: str, read: Callable[[Any, Any], Any], content: Any, type: Any) -> Any:
    try:
        return read(content, type)
    except InvalidError as error:
        raise InvalidError(error.message, path=error.path, source=source) from None
    except msgspec.DecodeError as error:  # msgspec.ValidationError is one
        message, path = explain(error, type)
        if isinstance(content, bytes):
            message += _hint_at_text(message, content)
        raise InvalidError(message, path=path, source=source) from None
    except UnicodeError:
        raise InvalidError("the text is not UTF-8", path="$", source=source) from None
    except RecursionError:
        raise InvalidError("the document is nested too deeply", path="$", source=source) from None


def looks_like_json(content: bytes) -> bool:
    """Whether a text begins as an object or a list in JSON."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def _hint_at_text(message: str, content: bytes) -> str:
    """Return a hint at what a text is that is not JSON, for what editors and other tools make of one."""
    place = re.search(r"malformed: .*\(byte (\d+)\)$", message)
    if not place:
        return ""
    if content[:2] == b"\x1f\x8b":
        return ": the file is compressed by gzip"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:4]:
        return ": the text is UTF-16; save it as UTF-8"
    found = content[int(place[1]) :][:3]
    if found[:2] in (b"//", b"/*") or found[:1] == b"#":
        return ": JSON has no comments, but YAML has"
    return ": the quotes are not those of JSON" if found in ("“".encode(), "”".encode()) else ""


def explain(error: msgspec.DecodeError, type: Any = None) -> tuple[str, str]:
    """Return the rule that msgspec found broken, and the path inside the document.

    With the ``type`` that was read, the rule also names the possible words or members.
    """
    rule, _, path = str(error).partition(" - at `")
    path = path.removesuffix("`") or "$"
    # Print a pattern as the model does, without the anchors that msgspec needs.
    start, end = rule.find("^(?:"), rule.rfind(r")(?![\\s\\S])")
    end = rule.rfind(r")(?![\s\S])") if end < 0 else end
    if 0 <= start < end:
        tail = rule[end:].partition("])")[2]
        rule = rule[:start] + rule[start + len("^(?:") : end] + tail
    return rule + _hint(rule, path, type), path


def _hint(rule: str, path: str, type: Any) -> str:
    """Return a hint at the right value, for the usual mistakes."""
    if "RFC3339" in rule or "timezone" in rule:
        return ": write it as 2023-03-28T18:12:06.436Z, or in epoch seconds"
    if type is None:
        return ""
    infos = list(_infos_at(inspect.type_info(type), re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path)))
    if rule.startswith("Invalid enum value"):
        words = [str(each) for info in infos if isinstance(info, inspect.LiteralType) for each in info.values]
        return f": expected one of {', '.join(words)}" if words else ""
    if found := re.search(r"unknown field `([^`]*)`", rule):
        known = [f.encode_name for info in infos if isinstance(info, inspect.StructType) for f in info.fields]
        return suggestion(found[1], known) or (f": expected one of {', '.join(known)}" if known else "")
    return ""


def _infos_at(info: inspect.Type, steps: list[tuple[str, str]]) -> Iterator[inspect.Type]:
    """Yield the possible types at a path inside a type."""
    match info:
        case inspect.UnionType(types=types):
            for each in types:
                yield from _infos_at(each, steps)
        case inspect.Metadata(type=inner):
            yield from _infos_at(inner, steps)
        case _ if not steps:
            yield info
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) if steps[0][1]:
            yield from _infos_at(item, steps[1:])
        case inspect.StructType(fields=fields):
            for field in fields:
                if field.encode_name == steps[0][0]:
                    yield from _infos_at(field.type, steps[1:])


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
        raise InvalidError(f"the key {twice!r} is given twice in one object", path="$")


def _read_yaml(content: bytes, type: Any) -> Any:
    import yaml

    free = _free_members(type)

    def name_of(key: yaml.Node) -> Any:
        return key.value if isinstance(key, yaml.ScalarNode) else key

    class Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]  # scalars stay strings
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            self.merge_keys(node)
            members = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
            for name, value in members:
                if name in free:
                    self.read_scalars(value)
            return super().construct_mapping(node, deep)  # type: ignore[no-any-return]

        def merge_keys(self, node: yaml.MappingNode) -> None:
            """Put the members of ``<<`` mappings in front of the node's own, which replace them."""
            _refuse_equal_keys([(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)])
            merged: dict[Any, Any] = {}
            own: list[Any] = []
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value == "<<" and not key.style:
                    for each in reversed(value.value) if isinstance(value, yaml.SequenceNode) else [value]:
                        if not isinstance(each, yaml.MappingNode):
                            raise InvalidError("<< expects a mapping, or a list of mappings", path="$")
                        self.merge_keys(each)
                        merged |= {name_of(name): (name, member) for name, member in each.value}
                else:
                    own.append((key, value))
            given = {name_of(key) for key, _ in own}
            node.value = [pair for name, pair in merged.items() if name not in given] + own

        def read_scalars(self, *nodes: yaml.Node) -> None:
            """Read the unquoted scalars inside nodes as JSON values, since no type declares them."""
            found, seen = list(nodes), set()
            while found:
                node = found.pop()
                if node in seen:
                    continue
                seen.add(node)
                if isinstance(node, yaml.ScalarNode):
                    self.constructed_objects[node] = node.value if node.style else _read_plain(node.value)
                else:
                    found += [each[1] if isinstance(each, tuple) else each for each in node.value]

    try:
        _check_events(yaml.parse(content, Loader))
        return msgspec.convert(yaml.load(content, Loader), type, strict=False)
    except msgspec.ValidationError as error:
        raise name_scalar(error) from None
    except yaml.YAMLError as error:
        raise _malformed_yaml(error) from None


def name_scalar(error: msgspec.ValidationError) -> msgspec.ValidationError:
    """Return an error of a YAML document, in which every scalar was read as a text."""
    return msgspec.ValidationError(str(error).replace("got `str`", "got a single value"))


def _check_events(events: Iterable[Any]) -> None:
    """Refuse YAML that is nested so deeply that the parser in C would crash, or that multiplies by aliases."""
    sizes: dict[str | None, int] = {}
    opened: list[tuple[str | None, int]] = []
    count = repeated = 0
    for event in events:
        kind = type(event).__name__
        if kind in ("SequenceStartEvent", "MappingStartEvent"):
            opened.append((event.anchor, count))
            count += 1
            if len(opened) > _DEEPEST:
                raise RecursionError
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            anchor, before = opened.pop()
            sizes[anchor] = count - before
        elif kind == "ScalarEvent":
            count += 1
            sizes[event.anchor] = 1
        elif kind == "AliasEvent":
            size = sizes.get(event.anchor, 0)
            count, repeated = count + size, repeated + size
            if repeated > _MOST_REPEATED:
                raise InvalidError(f"aliases repeat more than {_MOST_REPEATED:,} nodes", path="$")


_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def _read_plain(text: str) -> Any:
    """Read a scalar as JSON would; anything else is text."""
    if text in _WORDS:
        return _WORDS[text]
    is_number = re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", text)
    return msgspec.json.decode(text) if is_number else text


def _free_members(type: Any) -> set[str]:
    """Return the names of the members, anywhere inside a type, whose values may be any JSON."""
    names: set[str] = set()
    infos, seen = [("", inspect.type_info(type))], set()
    while infos:
        name, info = infos.pop()
        match info:
            case inspect.UnionType(types=types):
                infos += [(name, each) for each in types]
            case inspect.Metadata(type=inner) | inspect.ListType(item_type=inner):
                infos.append((name, inner))
            case inspect.DictType(value_type=inspect.AnyType()):
                names.add(name)
            case inspect.StructType(cls=cls, fields=fields) if cls not in seen:
                seen.add(cls)
                infos += [(field.encode_name, field.type) for field in fields]
    return names
