"""Documents in JSON and YAML: read as a type, or refused in one line with the path inside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Struct

from healthimaging_emulator import InvalidError
from healthimaging_emulator.aws.members import pattern
from healthimaging_emulator.control.bodies import NewVersion
from healthimaging_emulator.documents import Stream, decode_json, find_documents
from healthimaging_emulator.faults.fault import Fault
from healthimaging_emulator.seeds.document import SeedDocument
from tests.raw import HANG_SECONDS


class Color(Struct, forbid_unknown_fields=True, rename="camel"):
    """A type with one member of each sort that messages treat in a way of their own."""

    name: Literal["red", "green"] = "red"
    code: Annotated[str, pattern(r"[\w-]+", max_length=8)] | None = None
    other_names: list[Literal["crimson", "lime"]] = []
    parts: list[Color] = []
    count: int = 0
    text: str = ""
    free: dict[str, Any] = {}
    free_list: list[Any] = []


def read(*sources: Any, type: Any = Any) -> list[Any]:
    return [reader(type) for _, _, reader in find_documents(sources)]


def refusal(*sources: Any, type: Any = Any) -> InvalidError:
    with pytest.raises(InvalidError) as raised:
        read(*sources, type=type)
    assert "\n" not in str(raised.value)
    return raised.value


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def decoded_error(document: Any, type: Any = Color) -> tuple[str, str]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(InvalidError) as raised:
        decode_json(content, type)
    return raised.value.path, raised.value.message


# Finding documents.


def test_each_document_has_a_name_and_its_file(tmp_path: Path) -> None:
    for name in ("b.json", "a.yml", "c.yaml"):
        write(tmp_path, name, b"{}")
    found = [(name, path) for name, path, _ in find_documents([{}, str(tmp_path), tmp_path / "b.json"])]
    files = [tmp_path / name for name in ("a.yml", "b.json", "c.yaml", "b.json")]
    assert found == [("document", None), *((str(file), file) for file in files)]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("2.json", "10.yaml", "1.json"):
        write(tmp_path, name, f'"{name}"'.encode())
    assert read(tmp_path) == ["1.json", "10.yaml", "2.json"]


def test_other_files_and_names_that_begin_with_a_dot_are_left_out_of_a_folder(tmp_path: Path) -> None:
    for name in ("._seed.json", ".hidden.yaml", "notes.txt", "SEED.JSON", "json"):
        write(tmp_path, name, b"nonsense")
    assert str(refusal(tmp_path)) == f"{tmp_path}: no file here has a name that ends in .json, .yaml or .yml"
    write(tmp_path, "seed.json", b"1")
    assert read(tmp_path) == [1]


def test_a_file_is_read_whatever_its_name_begins_with(tmp_path: Path) -> None:
    assert read(write(tmp_path, ".hidden.json", b"1")) == [1]


def test_folders_inside_a_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    write(tmp_path / "inside", "a.json", b"1")
    write(tmp_path, "b.json", b"2")
    assert read(tmp_path) == [2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "a path must not be empty"),
        ("none.json", "none.json: No such file or directory"),
        ("none", "none: No such file or directory"),
        ("none/a.json", "none/a.json: No such file or directory"),
        ("a\0.json", "a\0.json: embedded null byte"),
        ("a" * 300 + ".json", f"{'a' * 300}.json: File name too long"),
        ("seed.txt", "seed.txt: expected a name that ends in .json, .yaml or .yml"),
        ("folder.json", "folder.json: no file here has a name that ends in .json, .yaml or .yml"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "seed.txt", b"{}")
    (tmp_path / "folder.json").mkdir()
    assert str(refusal(name)) == message


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("nowhere")
    assert str(refusal(tmp_path)) == f"{tmp_path / 'folder.json'}: Is a directory"
    os.rmdir(tmp_path / "folder.json")
    assert str(refusal(tmp_path)) == f"{tmp_path / 'link.json'}: No such file or directory"


# Reading.


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"", "Input data was truncated"),
        ("a.json", b'{"name": }', "JSON is malformed: invalid character (byte 9)"),
        (
            "a.json",
            "{}".encode("utf-16"),
            "JSON is malformed: invalid character (byte 0): the text is UTF-16; save it as UTF-8",
        ),
        (
            "a.json",
            "{}".encode("utf-16-le"),
            "JSON is malformed: object keys must be strings (byte 1): the text is UTF-16; save it as UTF-8",
        ),
        ("a.json", b"// a\n{}", "JSON is malformed: invalid character (byte 0): JSON has no comments, but YAML has"),
        ("a.json", b"# a\n{}", "JSON is malformed: invalid character (byte 0): JSON has no comments, but YAML has"),
        (
            "a.json",
            b'{"count": 1 /* a */}',
            "JSON is malformed: expected ',' or '}' (byte 12): JSON has no comments, but YAML has",
        ),
        (
            "a.json",
            b"\x1f\x8b\x08\x00\x00",
            "JSON is malformed: invalid character (byte 0): the file is compressed by gzip",
        ),
        (
            "a.json",
            "{“name”: 1}".encode(),
            "JSON is malformed: object keys must be strings (byte 1): the quotes are not those of JSON",
        ),
        ("a.yaml", b"<<: 1", "<< expects a mapping, or a list of mappings"),
        ("a.yaml", b"<<: [1]", "<< expects a mapping, or a list of mappings"),
        ("a.yaml", b"- 7", "Expected `object`, got `array`"),
        ("a.json", b'{"text": "caf\xe9"}', "the text is not UTF-8"),
        ("a.json", b'{"text": "", "text": ""}', "the key 'text' is given twice in one object"),
        (
            "a.json",
            b'{"parts": [{"text": "", "text": ""}]}',
            "the key 'text' is given twice in one object",
        ),
        ("a.json", b"[" * 100_000, "Expected `object`, got `array`"),
        ("a.json", b'{"freeList": ' + b"[" * 100_000, "the document is nested too deeply"),
        ("a.yaml", b"", "Expected `object`, got `null`"),
        ("a.yaml", b"text: a\ntext: b", "the key 'text' is given twice in one object"),
        ("a.yaml", b"[" * 101, "the document is nested too deeply"),
        ("a.yaml", b"{a: " * 101, "the document is nested too deeply"),
        ("a.yaml", b"!!python/object/apply:os.abort []", "Expected `object`, got `array`"),
        ("a.yaml", b"free: {a: 1e400}", "Number out of range"),
        (
            "a.yaml",
            b"aliases: &a [1]\ncount: x",
            "Object contains unknown field `aliases`: expected one of name, code, "
            "otherNames, parts, count, text, free, freeList",
        ),
    ],
)
def test_a_mistaken_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    file = write(tmp_path, name, content)
    assert str(refusal(file, type=Color)) == f"{file}: $: {message}"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"text: [", "flow"),
        (b"free: &a {b: *a}", "recursive"),
        (b"? [a]\n: b", "unhashable"),
        (b"text: *a", "undefined alias"),
        (b"\x00", "not allowed"),
        (b"a: {}\n---\nb: {}", "single document"),
        (b"[" * 100_000, "nest"),
    ],
)
def test_a_mistake_in_yaml_is_told_in_one_line_and_the_words_of_its_parser(
    tmp_path: Path, content: bytes, part: str
) -> None:
    error = refusal(write(tmp_path, "a.yaml", content), type=Color)
    assert error.path == "$"
    assert part in error.message
    assert "<byte string>" not in error.message


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    for name in ("a.json", "a.yaml"):
        assert read(write(tmp_path, name, b'\xef\xbb\xbf{"text": "a"}'), type=Color) == [Color(text="a")]
    assert decode_json(b'\xef\xbb\xbf{"text": "a"}', Color) == Color(text="a")


def test_equal_keys_in_different_objects_are_no_mistake() -> None:
    assert decode_json(b'{"text": "a", "parts": [{"text": "b"}, {"text": "c"}]}', Color).text == "a"


def test_a_mapping_is_read_as_it_is() -> None:
    assert read({"count": 1, "parts": [{"text": "1"}]}, type=Color) == [Color(count=1, parts=[Color(text="1")])]
    assert str(refusal({"count": "1"}, type=Color)) == "document: $.count: Expected `int`, got `str`"


# YAML.


def read_yaml(folder: Path, text: str, type: Any = Color) -> Any:
    (document,) = read(write(folder, "a.yaml", text.encode()), type=type)
    return document


def test_scalars_of_yaml_become_what_the_type_wants(tmp_path: Path) -> None:
    made = read_yaml(tmp_path, "{text: 0012, count: 12, name: green, code: true}")
    assert made == Color(text="0012", count=12, name="green", code="true")


FREE = [
    ("12", 12),
    ("-1.5e3", -1500.0),
    ("true", True),
    ("null", None),
    ("~", None),
    ("''", ""),
    ("'12'", "12"),
    ('"null"', "null"),
    ("0012", "0012"),
    ("1_000", "1_000"),
    ("0x1f", "0x1f"),
    ("yes", "yes"),
    ("2024-01-01", "2024-01-01"),
    (".nan", ".nan"),
    ("1.2.840", "1.2.840"),
    ("[1, [x, 2]]", [1, ["x", 2]]),
    ("{1: 2, null: a}", {"1": 2, "null": "a"}),
]


@pytest.mark.parametrize(("text", "value"), FREE)
def test_scalars_of_yaml_are_those_of_json_where_no_type_says_what_they_are(
    tmp_path: Path, text: str, value: Any
) -> None:
    assert read_yaml(tmp_path, f"free: {{member: {text}}}").free == {"member": value}
    assert read_yaml(tmp_path, f"parts: [{{text: 1, free: {{a: [{text}]}}}}]").parts[0].free == {"a": [value]}


def test_a_value_that_is_left_empty_is_null(tmp_path: Path) -> None:
    assert read_yaml(tmp_path, "free:\n  a:\n  b: 1\n").free == {"a": None, "b": 1}


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = "parts:\n- &a {text: 1, free: &f {x: 1}}\n- *a\n- {free: *f}\n"
    part = Color(text="1", free={"x": 1})
    assert read_yaml(tmp_path, text).parts == [part, part, Color(free={"x": 1})]


@pytest.mark.parametrize("text", ["? *a11\n: x", "free: {a: *a11}", "parts: *a11"])
def test_aliases_that_multiply_are_refused(tmp_path: Path, text: str) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)), text]
    file = write(tmp_path, "a.yaml", "\n".join(lines).encode())
    assert str(refusal(file, type=Color)) == f"{file}: $: aliases repeat more than 1,000,000 nodes"


def test_a_document_without_aliases_may_have_any_size(tmp_path: Path) -> None:
    assert len(read_yaml(tmp_path, "parts: &a\n" + "- {}\n" * 2000).parts) == 2000


# Messages.


def test_a_mistaken_word_is_told_with_the_words_that_are_possible() -> None:
    assert decoded_error({"name": "blue"}) == ("$.name", "Invalid enum value 'blue': expected one of green, red")
    assert decoded_error({"parts": [{}, {"otherNames": ["x"]}]}) == (
        "$.parts[1].otherNames[0]",
        "Invalid enum value 'x': expected one of crimson, lime",
    )
    kinds = "cycle, drop-token, duplicate-item, empty-page, repeat-token, skip-item, stale-token"
    assert decoded_error({"pagination": "x"}, Fault | list[Fault]) == (
        "$.pagination",
        f"Invalid enum value 'x': expected one of {kinds}",
    )


def test_a_mistaken_member_is_told_with_the_nearest_one() -> None:
    message = "Object contains unknown field `otherName` (did you mean otherNames?)"
    assert decoded_error({"otherName": 1}) == ("$", message)
    assert decoded_error({"parts": [{"otherName": 1}]}) == ("$.parts[0]", message)


def test_a_member_like_no_other_is_told_with_all_that_are_possible() -> None:
    possible = "name, code, otherNames, parts, count, text, free, freeList"
    assert decoded_error({"x": 1}) == ("$", f"Object contains unknown field `x`: expected one of {possible}")


def test_a_member_in_another_spelling_is_told_with_the_right_one() -> None:
    told = "Object contains unknown field `imageSetWorkflowStatus` (did you mean ImageSetWorkflowStatus?)"
    assert decoded_error({"imageSetState": "ACTIVE", "imageSetWorkflowStatus": "X"}, NewVersion) == ("$", told)


def test_a_pattern_is_printed_as_the_model_has_it() -> None:
    assert decoded_error({"code": "a b"}) == ("$.code", "Expected `str` matching regex '[A-Za-z0-9_-]+'")
    assert decoded_error({"code": "123456789"}) == ("$.code", "Expected `str` of length <= 8")


def test_a_time_is_told_how_to_be_written() -> None:
    assert decoded_error(
        {
            "datastores": [
                {
                    "datastoreId": "d" * 32,
                    "imageSets": [{"imageSetId": "a" * 32, "generate": {"versions": 1, "createdAt": "x"}}],
                }
            ]
        },
        SeedDocument,
    ) == (
        "$.datastores[0].imageSets[0].generate.createdAt",
        "Invalid RFC3339 encoded datetime: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds",
    )


def test_an_error_has_its_document_its_path_and_its_message() -> None:
    error = refusal({"count": "x"}, type=Color)
    assert (error.source, error.path, error.message) == ("document", "$.count", "Expected `int`, got `str`")


# Time.

REFUSE = """
import sys
from healthimaging_emulator import InvalidError
from healthimaging_emulator.documents import decode_json
from healthimaging_emulator.faults.fault import Fault
from healthimaging_emulator.seeds.document import SeedDocument
from tests.raw import HANG_SECONDS

long = sys.argv[1] * 400_000
for document in ('{"%s": 1}', '{"match": {"%s": 1}}', '{"id": "%s"}', '{"pagination": "%s"}', '{"datastores": "%s"}'):
    for type in (Fault | list[Fault], SeedDocument):
        try:
            decode_json((document % long).encode(), type)
        except InvalidError as error:
            print(len(error.message) > 0)
"""


@pytest.mark.parametrize(
    "unit", ["^(?:", r")(?![\\s\\S])", r"^(?:x)(?![\\s\\S])", "`", " - at `$", "[0].a", "unknown field `a`"]
)
def test_a_refusal_takes_time_in_proportion_to_the_document(unit: str) -> None:
    """The text of a client is inside the message: with time in proportion to its square, this would take an hour."""
    command = [sys.executable, "-c", REFUSE, unit]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=True)
    assert finished.stdout == "True\n" * 10


MERGED = """
- &base {name: green, count: 1}
- {<<: *base, count: 2}
- {count: 3, <<: *base}
- <<: [*base, {text: of the second, count: 4}]
- &chained {<<: *base, text: chained}
- {<<: *chained, name: red}
- {"<<": "a name like any other"}
"""


def test_merge_keys_are_read_as_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(MERGED.rpartition("-")[0])
    (found,) = read(file, type=list[Color])
    assert [(each.name, each.count, each.text) for each in found] == [
        ("green", 1, ""),
        ("green", 2, ""),
        ("green", 3, ""),
        ("green", 1, "of the second"),
        ("green", 1, "chained"),
        ("red", 1, "chained"),
    ]
    file.write_text(MERGED)
    assert read(file, type=list[dict[str, Any]])[0][-1] == {"<<": "a name like any other"}


def test_a_key_beside_a_merge_is_still_given_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("{<<: {count: 1}, count: 2, count: 3}")
    with pytest.raises(InvalidError, match="the key 'count' is given twice in one object"):
        read(file, type=Color)


@pytest.mark.parametrize("content", [b'{"count": 7}', b"count: 7 # YAML", b'\xef\xbb\xbf {"count": 7}'])
def test_a_stream_is_json_or_yaml(content: bytes) -> None:
    (found,) = read(Stream("standard input", content), type=Color)
    assert found.count == 7


@pytest.mark.parametrize("name", [".a.json", "._a.json", "~$a.json"])
def test_files_that_editors_and_systems_leave_in_a_folder_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\0")
    (tmp_path / "a.json").write_text('{"count": 7}')
    assert [each.count for each in read(tmp_path, type=Color)] == [7]


def test_a_scalar_of_yaml_is_not_called_a_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("parts: 7")
    with pytest.raises(InvalidError) as raised:
        read(file, type=Color)
    assert (raised.value.path, raised.value.message) == ("$.parts", "Expected `array`, got a single value")


def test_a_merged_mapping_keeps_its_own_meaning_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("[{<<: &b {<<: {count: 1}, count: 2}}, *b]")
    found = read(file, type=list[dict[str, Any] | Any])[0]
    assert [found[0], found[1]] == [{"count": "2"}] * 2


def test_a_key_given_twice_inside_a_merge_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("{<<: {count: 1, count: 2}}")
    with pytest.raises(InvalidError, match="the key 'count' is given twice in one object"):
        read(file, type=Color)
