"""Commands for a running emulator: their tables, their JSON, and their refusals in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from click.testing import Result

from healthimaging_emulator import Emulator, Fault, RemoteAccount
from healthimaging_emulator.healthimaging.shapes.image_set import Overrides
from healthimaging_emulator.seeds.loader import load_seed
from healthimaging_emulator.server.listener import Server
from tests.cli.conftest import run
from tests.conftest import DEMO
from tests.demo import CHEST_CT, DATASTORE, HEAD_MR, MANY, OTHER_DATASTORE, SAMPLE, UNKNOWN, path
from tests.raw import HANG_SECONDS, JSON, exchange, request, reserve_port

URL = "HEALTHIMAGING_EMULATOR_URL"
A = "111111111111"
IMAGE_SET = (DATASTORE, SAMPLE)
THROTTLING = '{"match": {"page": 2}, "times": 2, "error": {"code": "ThrottlingException"}}'


@pytest.fixture(autouse=True)
def _found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands find the server as a user's shell does."""
    monkeypatch.setenv(URL, server.url)


def rows(result: Result) -> list[list[str]]:
    """Return the cells of a table, which two spaces or more separate."""
    assert result.exit_code == 0, result.stderr
    return [re.split(r" {2,}", line) for line in result.stdout.splitlines()]


def answer(server: Server, path: str) -> Any:
    """Return an answer of the control API."""
    return RemoteAccount(server.url).request("GET", path)


def list_versions(server: Server, image_set_id: str = SAMPLE) -> None:
    assert exchange(server, request("POST", path(image_set_id), "Connection: close")).status


# Reading.


def test_ls_lists_data_stores(emulator: Emulator) -> None:
    named = {"datastoreId": "a" * 32, "datastoreName": "mine", "datastoreStatus": "DELETED"}
    emulator.account().merge(load_seed({"datastores": [named]}))
    assert rows(run("ls")) == [
        ["DATA STORE", "STATUS", "NAME"],
        [DATASTORE, "ACTIVE"],
        [OTHER_DATASTORE, "ACTIVE"],
        ["a" * 32, "DELETED", "mine"],
    ]


def test_ls_lists_the_image_sets_of_one() -> None:
    table = rows(run("ls", OTHER_DATASTORE))
    assert table[0] == ["IMAGE SET", "VERSION", "STATE", "STATUS", "CHANGED", "PATIENT"]
    assert table[1] == [CHEST_CT, "3", "ACTIVE", "UPDATED", "2024-01-11T08:05:00.000Z", "DEMO-1"]
    assert len(table) == 10
    assert rows(run("ls", OTHER_DATASTORE, "--limit", "1")) == table[:2]
    assert [row[0] for row in rows(run("ls", OTHER_DATASTORE, "--search", "headmr00"))[1:]] == [HEAD_MR]


def test_ls_lists_more_image_sets_than_a_page_has(emulator: Emulator) -> None:
    generated = {"datastoreId": DATASTORE, "generate": {"imageSets": 1500, "instances": 1}}
    emulator.account().put_seed({"datastores": [generated]})
    assert len(rows(run("ls", DATASTORE))) == 1501


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("ls",), "datastores"),
        (("ls", OTHER_DATASTORE), f"datastores/{OTHER_DATASTORE}/imageSets"),
        (("image-set", "show", *IMAGE_SET), f"datastores/{DATASTORE}/imageSets/{SAMPLE}/versions"),
        (("calls",), "calls"),
        (("calls", "--code", "ThrottlingException"), "calls?code=ThrottlingException"),
        (("calls", "--image-set-id", MANY, "--attempts", "1"), f"calls?imageSetId={MANY}&attempts=1"),
        (("faults", "list"), "faults"),
        (("faults", "list", "--unfired"), "faults?unfired"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_json_is_the_answer_of_the_control_api(
    server: Server, emulator: Emulator, command: tuple[str, ...], path: str
) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", times=1), Fault.latency(1, page=7))
    for image_set in (SAMPLE, MANY, UNKNOWN):
        list_versions(server, image_set)
    shown = json.loads(run(*command, "--format", "json").stdout)
    assert shown == answer(server, path)
    assert any(shown.values())


def test_show_lists_versions_newest_first(emulator: Emulator) -> None:
    emulator.image_set(*IMAGE_SET).replace(
        "3", image_set_state="ACTIVE", is_primary=False, overrides=Overrides(forced=True)
    )
    table = rows(run("image-set", "show", *IMAGE_SET))
    assert table[0] == ["VERSION", "STATE", "STATUS", "CREATED", "UPDATED", "DELETED", "MORE"]
    assert [row[0] for row in table[1:]] == ["4", "3", "2", "1"]
    assert table[2][-1] == "not primary, forced"
    message = "INVALID_REQUEST:  Series of SourceImageSet and DestinationImageSet don't match."
    assert run("image-set", "show", *IMAGE_SET).stdout.splitlines()[3].endswith(f"  {message}")


def test_metadata_is_json() -> None:
    latest = json.loads(run("image-set", "metadata", OTHER_DATASTORE, CHEST_CT).stdout)
    assert latest["ImageSetID"] == CHEST_CT
    first = json.loads(run("image-set", "metadata", OTHER_DATASTORE, CHEST_CT, "--version-id", "1").stdout)
    assert first != latest


def test_no_text_of_an_image_set_controls_the_terminal(emulator: Emulator) -> None:
    metadata = {"Patient": {"DICOM": {"PatientID": "\x1b[2J\nx"}}}
    emulator.add_image_set(DATASTORE, "a" * 32, metadata=metadata)
    assert rows(run("ls", DATASTORE, "--search", "a" * 32))[1][-1] == "?[2J?x"


def test_no_name_of_a_test_controls_the_terminal_when_a_command_fails(server: Server) -> None:
    account = RemoteAccount(server.url, "900000000001")
    opening = request("PUT", f"/_emulator/accounts/{account.id}", JSON, body=b'{"name": "\\u001b[2J\\nx"}')
    assert exchange(server, opening).status == 204
    account.forget()
    result = run("calls", "--account", account.id)
    assert result.stderr.startswith("Error: Account 900000000001 is that of ?[2J?x, which has ended. ")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [(), ("--follow",)])
def test_json_has_no_characters_that_control_the_terminal(
    server: Server, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("healthimaging_emulator.cli.calls.time", SimpleNamespace(sleep=stop))
    given = "\x9b2J\u2028\x7f\U000e0041é"
    emulator.faults.add(Fault.error("ThrottlingException", message=given))
    list_versions(server)
    shown = run("calls", "--format", "json", *options).stdout
    assert "é" in shown
    assert shown.replace("\n", "").isprintable()
    assert given in json.loads(shown)["calls"][0]["attempts"][0]["answer"]


# Changing.


def test_append_replace_and_remove_versions(emulator: Emulator, tmp_path: Path) -> None:
    image_set = emulator.image_set(*IMAGE_SET)
    assert rows(run("image-set", "append", *IMAGE_SET, '{"imageSetState": "LOCKED"}'))[1][:2] == ["5", "LOCKED"]
    version = tmp_path / "version.yaml"
    version.write_text("{imageSetState: ACTIVE, ImageSetWorkflowStatus: UPDATED, createdAt: 2024-01-01T00:00:00Z}")
    replaced = run("image-set", "replace", *IMAGE_SET, "5", str(version), "--format", "json")
    assert json.loads(replaced.stdout)["ImageSetWorkflowStatus"] == "UPDATED"
    assert image_set.versions[0].created_at == 1704067200
    assert run("image-set", "remove", *IMAGE_SET, "--version-id", "5").stdout == ""
    assert len(image_set.versions) == 4
    later = run("image-set", "append", *IMAGE_SET, "-", input=b'{"imageSetState": "LOCKED", "after": 60}')
    assert (later.exit_code, later.stdout, len(image_set.versions)) == (0, "", 4)
    assert run("clock", "advance", "60").exit_code == 0
    assert len(image_set.versions) == 5
    assert run("image-set", "remove", *IMAGE_SET).exit_code == 0
    assert SAMPLE not in [each.image_set_id for each in emulator.datastore(DATASTORE).image_sets]


def test_finish_ends_the_operation_that_has_locked_an_image_set(server: Server, emulator: Emulator) -> None:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    client = boto3.client("medical-imaging", endpoint_url=server.url.replace("//", "//emulator@"), **keys)
    client.delete_image_set(datastoreId=OTHER_DATASTORE, imageSetId=HEAD_MR)
    image_set = emulator.image_set(OTHER_DATASTORE, HEAD_MR)
    states = [image_set.state]
    assert run("image-set", "finish", OTHER_DATASTORE, HEAD_MR).exit_code == 0
    assert [*states, image_set.state] == ["LOCKED", "DELETED"]


def test_faults_are_added_listed_switched_and_removed(server: Server, emulator: Emulator) -> None:
    added = rows(run("faults", "add", THROTTLING))
    assert added == [
        ["FAULT", "STATE", "MATCHED", "FIRED", "MATCH", "EFFECT"],
        ["fault-1", "on", "0", "0", "page 2", '{"times":2,"error":{"code":"ThrottlingException"}}'],
    ]
    assert run("faults", "add", "-", input=b"- {id: slow, latency: {seconds: 0.5}}").exit_code == 0
    assert [row[0] for row in rows(run("faults", "list"))] == ["FAULT", "fault-1", "slow"]
    assert run("faults", "switch", "slow", "off").exit_code == 0
    list_versions(server)
    assert [row[:5] for row in rows(run("faults", "list"))[1:]] == [
        ["fault-1", "on", "0", "0", "page 2"],
        ["slow", "off", "0", "0", "all"],
    ]
    assert "page" in rows(run("faults", "list", "--unfired"))[1][-1].partition("}: ")[2]
    assert run("faults", "remove", "fault-1").exit_code == 0
    assert [each.id for each in emulator.faults] == ["slow"]
    assert run("faults", "remove", "--all").exit_code == 0
    assert not len(emulator.faults)


def test_the_clock_is_frozen_advanced_and_run() -> None:
    date, later = "2024-01-01T00:00:00.000Z", "2024-01-01T00:01:00.500Z"
    assert rows(run("clock", "freeze", "2024-01-01T00:00:00Z")) == [["DATE", "CLOCK"], [date, "frozen"]]
    assert rows(run("clock", "freeze", "1704067200"))[1] == [date, "frozen"]
    assert rows(run("clock", "advance", "60.5"))[1] == [later, "frozen"]
    assert rows(run("clock", "show"))[1] == [later, "frozen"]
    assert json.loads(run("clock", "run", "--format", "json").stdout)["isFrozen"] is False
    assert rows(run("clock", "freeze"))[1][1] == "frozen"


def test_reset_is_whole_or_in_parts(emulator: Emulator) -> None:
    def change() -> None:
        emulator.reset()
        emulator.image_set(*IMAGE_SET).append(image_set_state="LOCKED")
        emulator.faults.add(Fault.latency(1))
        emulator.clock.freeze()

    change()
    assert run("reset", "--only", "faults", "--only", "clock").exit_code == 0
    assert (len(emulator.faults), emulator.clock.is_frozen) == (0, False)
    assert emulator.image_set(*IMAGE_SET).state == "LOCKED"
    change()
    assert run("reset").exit_code == 0
    assert (len(emulator.faults), emulator.clock.is_frozen) == (0, False)
    assert emulator.image_set(*IMAGE_SET).state == "ACTIVE"


# Calls.


def test_calls_have_a_line_for_each_attempt(server: Server, emulator: Emulator) -> None:
    emulator.clock.freeze("2024-01-01T00:00:00Z")
    emulator.faults.add(Fault.error("ThrottlingException", id="busy", times=1))
    emulator.faults.add(Fault.connection("close", id="gone", skip=1, times=1))
    for number in (1, 2):
        data = request("POST", path(), "amz-sdk-invocation-id: a", f"amz-sdk-request: attempt={number}")
        exchange(server, data)
    with pytest.raises((IndexError, ConnectionError)):  # the connection is closed without an answer
        list_versions(server)
    exchange(server, request("POST", "/nowhere"))
    listed = ["2024-01-01T00:00:00.000Z", "ListImageSetVersions", "1234..9012/ea92..f87e", "1"]
    assert rows(run("calls")) == [
        ["TIME", "OPERATION", "RESOURCE", "PAGE", "ATTEMPT", "STATUS", "CODE", "FAULTS"],
        [*listed, "1", "429", "ThrottlingException", "busy"],
        [*listed, "2", "200"],
        [*listed, "1", "-", "gone"],
        ["2024-01-01T00:00:00.000Z", "POST /nowhere", "1", "404", "UnknownOperationException"],
    ]
    assert len(rows(run("calls", "--attempts", "2"))) == 3


@contextmanager
def following(server: Server, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``calls --follow``; a hang ends it, and so its output, instead of waiting for ever."""
    command = [sys.executable, "-m", "healthimaging_emulator", "calls", "--follow", *options]
    variables = os.environ | {URL: server.url}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        timer = threading.Timer(HANG_SECONDS, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def test_follow_shows_each_attempt_once_until_ctrl_c(server: Server, emulator: Emulator) -> None:
    def attempt(number: int) -> None:
        exchange(server, request("POST", path(), "amz-sdk-invocation-id: a", f"amz-sdk-request: attempt={number}"))

    emulator.faults.add(Fault.connection("close", id="gone", times=1))
    emulator.faults.add(Fault.error("ThrottlingException", id="busy", times=1))
    with pytest.raises((IndexError, ConnectionError)):
        attempt(1)
    attempt(2)
    with following(server) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("TIME ")
        assert process.stdout.readline().split()[3:] == ["1", "1", "-", "gone"]
        assert process.stdout.readline().split()[3:] == ["1", "2", "429", "ThrottlingException", "busy"]
        attempt(3)
        assert process.stdout.readline().split()[3:] == ["1", "3", "200"]
        emulator.reset("calls")
        attempt(7)
        assert process.stdout.readline().split()[3:] == ["1", "7", "200"]
        process.send_signal(signal.SIGINT)
        assert (process.stdout.read(), process.wait(HANG_SECONDS)) == ("", 0)


def test_follow_in_json_is_an_answer_a_line_and_ends_with_the_emulator(emulator: Emulator) -> None:
    with emulator.serve() as server, following(server, "--format", "json", "--image-set-id", SAMPLE) as process:
        assert process.stdout
        assert process.stderr
        list_versions(server, MANY)
        calls = []
        for _ in range(2):
            list_versions(server)
            calls += json.loads(process.stdout.readline())["calls"]
        assert [call["identifiers"]["imageSetId"] for call in calls] == [[SAMPLE], [SAMPLE]]
        server.stop()
        told = rf"Error: (nothing listens at|cannot reach) {re.escape(server.url)}.*\n"  # it may just be asking
        assert re.fullmatch(told, process.stderr.read())
        assert process.wait(HANG_SECONDS) == 1


# Where, and as whom.


def test_accounts_are_apart(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("clock", "freeze", "--account", A).exit_code == 0
    monkeypatch.setenv("HEALTHIMAGING_EMULATOR_ACCOUNT", A)
    assert rows(run("clock", "show"))[1][1] == "frozen"
    assert not emulator.clock.is_frozen


def test_the_token_is_an_option_and_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator.from_seed(DEMO, control_token="sesame").serve() as server:
        monkeypatch.setenv(URL, server.url)
        refused = run("ls")
        assert run("ls", "--token", "sesame").exit_code == 0
        assert run("seed", "export", "--control-token", "sesame").exit_code == 0
        monkeypatch.setenv("HEALTHIMAGING_EMULATOR_CONTROL_TOKEN", "sesame")
        assert run("ls").exit_code == 0
    told = "Error: the header x-emulator-token is missing or wrong; give it with --control-token\n"
    assert (refused.exit_code, refused.stderr) == (1, told)


def test_the_port_of_serve_is_that_of_the_commands(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL)
    monkeypatch.setenv("HEALTHIMAGING_EMULATOR_PORT", str(server.port))
    assert run("ls").exit_code == 0
    monkeypatch.setenv("HEALTHIMAGING_EMULATOR_PORT", "tcp://10.0.0.1:4580")  # of Kubernetes
    assert run("ls").stderr in ("", "Error: nothing listens at http://127.0.0.1:4580\n")


@pytest.mark.parametrize("command", [("ls",), ("seed", "export"), ("reset",), ("faults", "add", THROTTLING)])
def test_where_nothing_listens_is_one_line(command: tuple[str, ...]) -> None:
    with reserve_port() as port:
        url = f"http://127.0.0.1:{port}"
        result = run(*command, "--url", url)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: nothing listens at {url}\n")


A_URL = "expected the URL of an emulator, such as http://127.0.0.1:4580"


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (("ls", UNKNOWN), 1, f"Datastore {UNKNOWN} was not found."),
        (("image-set", "show", DATASTORE, UNKNOWN), 1, f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."),
        (("image-set", "show", DATASTORE, "?"), 1, f"ImageSet ? was not found in Datastore {DATASTORE}."),
        (("faults", "remove", "none"), 1, "there is no fault none"),
        (("faults", "add", '{"errr": 1}'), 2, "$: Object contains unknown field `errr` (did you mean error?)"),
        (("faults", "add", '{"error"'), 2, "$: Input data was truncated"),
        (("faults", "add", "none.json"), 2, "none.json: No such file or directory"),
        (
            ("faults", "add", '{"match": {"operation": "GetDatastore"}, "pagination": "drop-token"}'),
            2,
            "$.pagination: can never do anything: GetDatastore has no pages",
        ),
        (("image-set", "append", *IMAGE_SET, "{}"), 2, "$: Object missing required field `imageSetState`"),
        (("image-set", "remove", *IMAGE_SET, "--version-id", "9"), 1, f"image set {SAMPLE} has no version 9"),
        (
            ("clock", "freeze", "tomorrow"),
            2,
            "$.freeze: Invalid RFC3339 encoded datetime: write it as 2023-03-28T18:12:06.436Z, or in epoch seconds",
        ),
        (("clock", "advance", "--", "-1"), 2, "invalid step -1.0: expected a number of seconds from 0"),
        (("clock", "advance", "nan"), 2, "$: expected one of freeze, advance and run, and not false"),
        (("ls", "--url", "127.0.0.1"), 2, f"invalid url '127.0.0.1': {A_URL}"),
        (("ls", "--url", "http://127.0.0.1:x"), 2, f"invalid url 'http://127.0.0.1:x': {A_URL}"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_a_refusal_is_one_line_in_the_emulators_words(command: tuple[str, ...], code: int, message: str) -> None:
    result = run(*command)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"Error: {message}\n")


@pytest.mark.parametrize("options", [(), ("fault-1", "--all")])
def test_remove_needs_ids_or_all(options: tuple[str, ...]) -> None:
    result = run("faults", "remove", *options)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "Error: give the ids of faults, or --all")
