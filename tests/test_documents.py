"""The documents: every block of a page is run, its links lead somewhere, and its tables agree with the code."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest

import healthimaging_emulator
from healthimaging_emulator import Attempt, Call, Emulator, Fault, Settings, pytest_plugin
from healthimaging_emulator.aws.errors import (
    AccessDeniedException,
    InternalServerException,
    ThrottlingException,
    ValidationException,
)
from healthimaging_emulator.aws.operation import Operation
from healthimaging_emulator.cli import main
from healthimaging_emulator.cli.serve import serve
from healthimaging_emulator.control.client import KINDS
from healthimaging_emulator.control.endpoints import ENDPOINTS
from healthimaging_emulator.control.routes import STATUSES
from healthimaging_emulator.faults.check import EFFECTS
from healthimaging_emulator.faults.connection import ConnectionKind
from healthimaging_emulator.faults.corrupt import CorruptKind
from healthimaging_emulator.faults.fault import Match
from healthimaging_emulator.faults.pagination import PaginationKind
from healthimaging_emulator.healthimaging import metadata_updates
from healthimaging_emulator.healthimaging.operations import OPERATIONS_BY_NAME
from healthimaging_emulator.objects import FolderObjects
from healthimaging_emulator.seeds.loader import find_fixture
from healthimaging_emulator.settings import QUOTAS

from .cli.test_serve import commands
from .conftest import ROOT
from .reader import NOT_RUN, Reader, blocks_of
from .test_imports import LAYERS

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
FILES = [*(ROOT / name for name in PAGES), *sorted((ROOT / "docs").glob("*.md"))]
ERRORS_OF_ALL = {ThrottlingException, AccessDeniedException, ValidationException, InternalServerException}
BLOCKS = {file: list(blocks_of(file)) for file in FILES}


@pytest.mark.parametrize("file", [file for file in FILES if BLOCKS[file]], ids=lambda file: file.name)
def test_the_blocks_of_a_page_work_in_their_order(file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    demo = Emulator.from_seed(s3=FolderObjects(tmp_path / "s3", find_fixture("s3")))  # as of ``serve``
    with demo.serve() as server, Reader(server.port, tmp_path, caplog) as reader:
        for block in filter(lambda block: block.is_run, BLOCKS[file]):
            reader.run(block)


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_what_is_not_run_is_on_a_page(beginning: str) -> None:
    assert any(block.text.startswith(beginning) for blocks in BLOCKS.values() for block in blocks)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", file.read_text()):
        if not target.startswith("https://"):
            page = file.parent / target if target else file
            assert page.exists(), target
            assert not anchor or anchor in headings_of(page), f"{target}#{anchor}"


def headings_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Tables.


def table(first: str) -> list[list[str]]:
    """Return the rows of all tables whose head begins with a word."""
    rows = []
    for text in map(Path.read_text, FILES):
        for found in re.finditer(rf"^\| {re.escape(first)} \|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE):
            rows += [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in found[1].splitlines()]
    assert rows
    return rows


def names(cell: str) -> list[str]:
    """Return the words of a cell that are marked as code."""
    return re.findall(r"`([^`]+)`", cell)


def first_names(first: str) -> list[str]:
    return [name for row in table(first) for name in names(row[0])]


def test_the_table_of_effects_is_whole() -> None:
    named = []
    for row in table("fault"):
        (value,) = json.loads(row[0].strip("`")).values()
        named += [value] if isinstance(value, str) else [value["kind"]] if "kind" in value else []
    kinds = [kind for kinds in (PaginationKind, CorruptKind, ConnectionKind) for kind in get_args(kinds)]
    assert sorted(named) == sorted(kinds)


def test_the_table_of_kinds_is_whole() -> None:
    assert sorted(first_names("kind")) == sorted(EFFECTS)


@pytest.mark.parametrize("row", table("kind"), ids=lambda row: row[0])
def test_the_example_of_a_kind_is_a_fault_of_it(row: list[str]) -> None:
    (kind,), (example,) = names(row[0]), names(row[1])
    (fault,) = Emulator.from_seed().faults.add(json.loads(example))
    assert [*fault.effects, *(["latency"] if fault.latency_effect else [])] == [kind]
    (constructor,) = re.findall(r"`Fault\.(\w+)\(", row[3])
    assert callable(getattr(Fault, constructor))


def test_the_table_of_matches_is_whole() -> None:
    assert first_names("member") == [field.encode_name for field in msgspec.structs.fields(Match)]


def test_the_table_of_the_control_api_is_whole() -> None:
    named = [
        (method, path)
        for cell, *_ in table("request")
        if "`/" in cell or " /" in cell
        for path in re.findall(r"/[^`]*", cell)
        for method in re.findall(r"GET|PUT|POST|DELETE", cell)
    ]
    assert sorted(named) == sorted((endpoint.method, endpoint.path) for endpoint in ENDPOINTS)


def test_the_table_of_control_errors_is_whole() -> None:
    shown = [(int(row[0]), names(row[1])[0], names(row[2])[0]) for row in table("status")]
    assert shown[-1] == (500, "InternalError", "EmulatorError")
    assert sorted(shown[:-1]) == sorted((status, code, kind.__name__) for kind, (status, code) in STATUSES.items())
    assert {code: kind for _, code, kind in shown[:-1]} == {code: kind.__name__ for code, kind in KINDS.items()}


def test_the_tables_of_settings_are_whole() -> None:
    shown = {names(row[0])[0]: (names(row[1])[0], row[2], row[3]) for row in table("option")}
    assert shown == dict(map(describe_option, filter(is_setting, serve.params)))


def is_setting(option: click.Parameter) -> bool:
    return bool(option.envvar)


def describe_option(option: click.Parameter) -> tuple[str, tuple[str, str, str]]:
    described = option.to_info_dict()
    help, _, default = described["help"].partition("  [default: ")
    value = described["default"]
    if value is False:
        default = "off"
    elif not default:
        default = f"`{value}`" if isinstance(value, (str, int, float)) else "none"
    return option.opts[0], (str(described["envvar"]), default.removesuffix("]"), help)


def test_the_table_of_commands_is_whole() -> None:
    words = [re.findall(r"^[a-z- ]*[a-z]", name)[0] for name in first_names("command")]
    shown = {name for name in words if not name.startswith("make")}
    here = {"serve", "exec", "env", *(f"seed {name}" for name in ("capture", "check", "generate", "schema"))}
    assert shown == {" ".join(path) for path in commands(main)} - here


def test_the_table_of_limits_is_whole() -> None:
    limits = [f"--{each.name.replace('_', '-')}" for each in fields(Settings) if each.name.startswith("max_")]
    assert [name for name in first_names("limit") if name.startswith("--")] == limits


def test_the_table_of_extras_is_whole() -> None:
    declared = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")[2]
    assert first_names("extra") == re.findall(r"^(\w+) = ", declared.partition("\n\n")[0], re.MULTILINE)


def test_the_table_of_fixtures_is_whole() -> None:
    source = Path(pytest_plugin.__file__).read_text()
    fixtures = re.findall(
        r"@pytest\.fixture.*\ndef (healthimaging\w*)|^(healthimaging\w*) = pytest", source, re.MULTILINE
    )
    assert sorted(first_names("fixture")) == sorted(one or other for one, other in fixtures)


def test_the_table_of_the_mark_is_whole() -> None:
    arguments = [name.partition("=")[0] for name in first_names("argument")]
    assert arguments == [each.name for each in fields(pytest_plugin.Options)]


@pytest.mark.parametrize(("first", "record"), [("of a `Call`", Call), ("of an `Attempt`", Attempt)])
def test_the_table_of_a_record_is_whole(first: str, record: type[msgspec.Struct]) -> None:
    properties = [name for name, value in vars(record).items() if isinstance(value, property)]
    assert sorted(first_names(first)) == sorted([*record.__struct_fields__, *properties])


def test_the_table_of_public_names_is_whole() -> None:
    assert sorted(first_names("name")) == sorted(healthimaging_emulator.__all__)


def test_the_table_of_operations_is_whole() -> None:
    shown = {row[0]: (row[1].strip("`"), *(row[column].split(", ") for column in (2, 3))) for row in table("operation")}
    assert shown == {name: describe_operation(each) for name, each in OPERATIONS_BY_NAME.items()}


def describe_operation(operation: Operation[Any, Any]) -> tuple[str, list[str], list[str]]:
    notes = {
        "prefix": operation.host_prefix,
        "pages": operation.is_paginated,
        "continues": operation.is_asynchronous,
    }
    errors = [error.__name__ for error in operation.errors if error not in ERRORS_OF_ALL]
    noted = [note for note, is_true in notes.items() if is_true]
    return f"{operation.method} {operation.path}", noted or [""], errors or [""]


def test_the_page_of_operations_names_the_errors_that_all_have() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    (sentence,) = re.findall("Every operation can also answer (.*)\\.", page)
    assert sorted(re.findall(r"\w+Exception", sentence)) == sorted(each.__name__ for each in ERRORS_OF_ALL)
    assert all(set(each.errors) >= ERRORS_OF_ALL for each in OPERATIONS_BY_NAME.values())


def test_the_table_of_quotas_is_whole() -> None:
    shown = {name: int(row[1].split()[0].replace(",", "")) for row in table("quota") for name in names(row[0])}
    assert shown == QUOTAS


def test_the_messages_of_failed_updates_are_whole() -> None:
    (row,) = (row for row in table("question") if row[0] == "messages of UPDATE_FAILED")
    beginning = "INVALID_REQUEST:  "
    constants = {value for value in vars(metadata_updates).values() if str(value).startswith(beginning)}
    assert {beginning + each.removeprefix(beginning) for each in names(row[1])} == constants


def test_the_table_of_layers_is_whole() -> None:
    shown = [tuple(names(row[1])) for row in table("layer")]
    assert shown[::-1] == [layer for layer in LAYERS if not layer[0].startswith("__")]
