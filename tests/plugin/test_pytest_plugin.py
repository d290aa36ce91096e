"""The pytest plugin as the test suites of users see it, in runs of pytest of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server
from tests.conftest import DEMO
from tests.demo import DATASTORE, ONE, SAMPLE

from .conftest import HANG_SECONDS, WITHOUT, Run


def get_report(result: pytest.RunResult) -> list[str]:
    """Return the lines of the only failure or error of a run."""
    lines = result.stdout.lines
    (start,) = (index for index, line in enumerate(lines) if re.fullmatch(r"_+ .* _+", line))
    return lines[start + 1 : next(index for index, line in enumerate(lines) if "short test summary" in line)]


def make_seed(versions: int) -> dict[str, Any]:
    image_set = {"imageSetId": ONE, "generate": {"versions": versions}}
    return {"datastores": [{"datastoreId": DATASTORE, "imageSets": [image_set]}]}


def test_each_test_has_a_fresh_emulator_that_every_client_reaches(run: Run) -> None:
    run(
        """
client = boto3.client("medical-imaging", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")

@pytest.mark.parametrize("_", range(2))
def test_patched(healthimaging, _):
    healthimaging.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    assert listed()[0] == listed(client)[0] == "5"
    assert len(healthimaging.calls) == 2

def test_client(healthimaging_client, healthimaging):
    assert listed(healthimaging_client)[0] == "4"
    assert len(healthimaging.calls) == 1

def test_no_emulator_stays_patched():
    with pytest.raises(RuntimeError):
        listed(client)
"""
    ).assert_outcomes(passed=4)


def test_seeds_come_from_the_configuration_the_mark_or_a_fixture(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nhealthimaging_seed = seeds/three.json")
    pytester.mkdir("seeds").joinpath("three.json").write_text(json.dumps(make_seed(3)))
    run(
        f"""
FOUR = {make_seed(4)!r}

def test_configured(healthimaging):
    assert len(listed(image_set_id=ONE)) == 3

def test_configured_for_a_server(healthimaging_server):
    assert len(listed(image_set_id=ONE)) == 3

@pytest.mark.healthimaging(seed=FOUR)
def test_marked(healthimaging):
    assert len(listed(image_set_id=ONE)) == 4

@pytest.mark.healthimaging(seed=FOUR)
def test_marked_for_a_server(healthimaging_server):
    assert len(listed(image_set_id=ONE)) == 4

@pytest.mark.healthimaging(seed="seeds")
class TestMarked:
    def test_by_its_class(self, healthimaging):
        assert len(listed(image_set_id=ONE)) == 3

    @pytest.mark.healthimaging(seed=["seeds/three.json", {{"datastores": []}}])
    def test_more_closely(self, healthimaging_server):
        assert len(listed(image_set_id=ONE)) == 3

class TestOverridden:
    @pytest.fixture
    def healthimaging_seed(self):
        return FOUR

    def test_here(self, healthimaging):
        assert len(listed(image_set_id=ONE)) == 4

    @pytest.mark.healthimaging(seed="seeds")
    def test_but_the_mark_is_closer(self, healthimaging):
        assert len(listed(image_set_id=ONE)) == 3
"""
    ).assert_outcomes(passed=8)


@pytest.mark.parametrize("fixture", ["healthimaging", "healthimaging_server"])
def test_a_bad_seed_is_one_line(run: Run, fixture: str) -> None:
    result = run(f"@pytest.mark.healthimaging(seed={{'datastore': []}})\ndef test_it({fixture}): pass")
    result.assert_outcomes(errors=1)
    message = "document: $: Object contains unknown field `datastore` (did you mean datastores?)"
    assert get_report(result) == [f"the seed cannot be loaded: {message}"]


def test_the_mark_alone_is_enough_and_adds_faults(run: Run) -> None:
    run(
        """
@pytest.mark.healthimaging(faults=[Fault.error("ConflictException")])
def test_a_fault():
    with pytest.raises(ClientError, match="ConflictException"):
        listed()

@pytest.mark.healthimaging(faults={"error": {"code": "ConflictException"}})
def test_one_fault_in_the_spelling_of_the_wire(healthimaging_server):
    with pytest.raises(ClientError, match="ConflictException"):
        listed()
"""
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize("backoff", [False, True])
def test_retries_do_not_sleep_unless_they_are_told_to(run: Run, backoff: bool) -> None:
    run(
        f"""
@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", times=1)], backoff={backoff})
def test_sleep(monkeypatch, healthimaging, healthimaging_client):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    listed()
    healthimaging.faults.clear()
    healthimaging.faults.add(Fault.error("ThrottlingException", times=1))
    listed(healthimaging_client)
    assert [seconds > 0 for seconds in slept] == [{backoff}] * 2
"""
    ).assert_outcomes(passed=1)


def test_a_server_for_all_and_an_account_for_each(run: Run) -> None:
    run(
        """
seen = []

@pytest.mark.parametrize("_", range(3))
def test_account(healthimaging_server, _):
    assert (len(healthimaging_server.id), healthimaging_server.id.isdigit()) == (12, True)
    assert os.environ["AWS_ACCESS_KEY_ID"] == healthimaging_server.id
    seen.append((healthimaging_server.url, healthimaging_server.id))
    healthimaging_server.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    program = "import test_it; print(test_it.listed()[0])"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "5\\n"
    assert len(healthimaging_server.calls) == 1

def test_one_server_and_three_accounts():
    assert (len({url for url, _ in seen}), len({account for _, account in seen})) == (1, 3)

def test_the_environment_is_as_it_was():
    assert (os.environ.get("AWS_ACCESS_KEY_ID"), os.environ["NO_PROXY"]) == (None, "example.com")
"""
    ).assert_outcomes(passed=5)


def test_a_client_of_this_process_that_was_made_before_does_not_reach_aws(run: Run) -> None:
    run(
        """
before = boto3.client("medical-imaging", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
elsewhere = boto3.client("medical-imaging", "us-east-1", endpoint_url="http://127.0.0.1:1",
    config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}),
    aws_access_key_id="x", aws_secret_access_key="x")

def test_server(healthimaging_server):
    with pytest.raises(RuntimeError, match="us-east-1.amazonaws.com: its client was made before the test"):
        listed(before)
    with pytest.raises(EndpointConnectionError):
        listed(elsewhere)
    assert listed()
"""
    ).assert_outcomes(passed=1)


def test_a_test_has_one_of_the_two_fixtures(run: Run) -> None:
    result = run("def test_both(healthimaging, healthimaging_server): pass")
    result.assert_outcomes(errors=1)
    expected = "a test has either healthimaging or healthimaging_server, not healthimaging and healthimaging_server"
    assert get_report(result)[0] == expected


def test_the_mark_goes_before_all_other_fixtures(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        if "conftest" in item.name:
            item.add_marker(pytest.mark.healthimaging)
"""
    )
    run(
        """
@pytest.fixture(autouse=True)
def asked(request):
    return listed() if "parameter" not in request.node.name else None

@pytest.mark.healthimaging
class TestMarked:
    def setup_method(self):
        assert listed()

    def test_it(self, asked):
        assert asked

def test_marked_by_a_conftest(asked):
    assert asked

@pytest.mark.parametrize("name", [pytest.param("emulator", marks=pytest.mark.healthimaging), "plain"])
def test_a_parameter_of_its_own(name, request):
    assert ("healthimaging" in request.fixturenames) == (name == "emulator")
"""
    ).assert_outcomes(passed=4)


def test_the_users_profile_does_not_lead_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    run(
        """
def test_server(healthimaging_server):
    assert listed()[0] == "4"
    assert "AWS_SESSION_TOKEN" not in os.environ
"""
    ).assert_outcomes(passed=1)


def test_an_emulator_that_runs_elsewhere(run: Run, demo_server: Server) -> None:
    tests = f"""
@pytest.mark.healthimaging(faults=[Fault.error("ConflictException", times=1)])
def test_server(healthimaging_server):
    assert healthimaging_server.url == {demo_server.url!r}
    with pytest.raises(ClientError, match="ConflictException"):
        listed()
    assert listed(image_set_id=MANY)

@pytest.mark.healthimaging(seed={make_seed(3)!r})
def test_seed(healthimaging_server):
    assert len(listed(image_set_id=ONE)) == 3
"""
    run(tests, "--healthimaging-endpoint", demo_server.url).assert_outcomes(passed=2)


def test_an_emulator_elsewhere_that_is_not_there_is_one_line(run: Run) -> None:
    result = run("def test_server(healthimaging_server): pass", "--healthimaging-endpoint", "http://127.0.0.1:1")
    result.assert_outcomes(errors=1)
    assert get_report(result) == ["--healthimaging-endpoint: cannot reach http://127.0.0.1:1: Connection refused"]


def test_an_emulator_elsewhere_may_require_a_token(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHIMAGING_EMULATOR_CONTROL_TOKEN", "sesame")
    with Emulator.from_seed(DEMO, control_token="sesame").serve() as server:
        test = "def test_server(healthimaging_server): assert healthimaging_server.calls == []"
        run(test, "--healthimaging-endpoint", server.url).assert_outcomes(passed=1)


def test_under_xdist_each_worker_has_its_own_server(run: Run, pytester: pytest.Pytester) -> None:
    tests = """
@pytest.mark.parametrize("number", range(8))
def test_server(healthimaging_server, number, pytestconfig):
    assert listed()[0] == "4"
    worker = os.environ["PYTEST_XDIST_WORKER"]
    (pytestconfig.rootpath / f"{number}.url").write_text(f"{worker} {healthimaging_server.url}")
"""
    run(tests, "-n", "2", "--dist", "each").assert_outcomes(passed=16)
    run(tests, "-n", "2").assert_outcomes(passed=8)
    seen = {file.read_text() for file in pytester.path.glob("*.url")}
    assert len({url for _, url in map(str.split, seen)}) == len({worker for worker, _ in map(str.split, seen)})


# Faults that never fire, and the call journal.


@pytest.mark.parametrize("fixture", ["healthimaging", "healthimaging_server"])
def test_a_fault_that_never_fired_fails_the_test_and_names_the_nearest_miss(run: Run, fixture: str) -> None:
    result = run(
        f"""
@pytest.mark.healthimaging(faults=[Fault.error("ConflictException", page=2, id="second")])
def test_marked({fixture}):
    listed()

def test_added({fixture}):
    {fixture}.faults.add(Fault.error("ConflictException"))
    {fixture}.faults.add(Fault.error("ConflictException", skip=1))

@pytest.mark.healthimaging(faults=[Fault.error("ConflictException", page=2)], allow_unfired=True)
def test_allowed({fixture}):
    listed()

@pytest.mark.healthimaging(seed=dict(faults=[dict(error=dict(code="ConflictException"))]))
def test_replaced({fixture}):
    {fixture}.faults.clear()
    {fixture}.faults.add(Fault.error("ConflictException", page=9))

def test_removed({fixture}):
    {fixture}.faults.add(Fault.error("ConflictException"))
    {fixture}.faults.clear()

@pytest.mark.healthimaging(seed=dict(faults=[dict(error=dict(code="ConflictException"))]))
def test_seeded({fixture}):
    {fixture}.faults.add(Fault.error("ConflictException", id="mine"))
"""
    )
    result.assert_outcomes(failed=4, passed=2)
    name = f"ListImageSetVersions {DATASTORE}/{SAMPLE}, page 1: Success"
    lines = [re.sub(" [0-9]{12} ", " X ", line) for line in result.stdout.lines if line.startswith("fault ")]
    assert lines == [
        f"fault second of account X never fired: the nearest miss was attempt 1 of {name}: its page is 1, not 2",
        "fault fault-1 of account X never fired: no request came",
        "fault fault-2 of account X never fired: no request came",
        "fault fault-1 of account X never fired: no request came",
        "fault mine of account X never fired: no request came",
    ]


def test_a_fault_that_was_picked_without_use_has_not_fired(run: Run) -> None:
    result = run(
        """
@pytest.mark.healthimaging(faults=[Fault.pagination("drop-token", id="last")])
def test_short(healthimaging):
    listed()  # one page, which has no token
"""
    )
    result.assert_outcomes(failed=1)
    assert get_report(result)[0] == (
        "fault last of account 000000000000 never fired: it was picked, but the answer had nothing to change"
    )


def test_a_fault_of_another_account_counts_too(run: Run) -> None:
    run(
        """
def test_other(healthimaging):
    healthimaging.account("111111111111").faults.add(Fault.latency(0))
"""
    ).assert_outcomes(failed=1)


def test_a_failure_of_the_test_itself_is_not_hidden_and_shows_the_calls(run: Run) -> None:
    result = run(
        """
@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", times=1), Fault.error("ConflictException")])
def test_mine(healthimaging):
    try:
        listed()
    except ClientError:
        assert False, "mine"

def test_many(healthimaging_client):
    for _ in range(60):
        listed(healthimaging_client)
    assert False

@pytest.mark.healthimaging(faults=[Fault.error("ConflictException")])
def test_none(healthimaging_server):
    assert False
"""
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: mine",
            "*- HealthImaging calls of account 0* -*",
            f"ListImageSetVersions {DATASTORE}/{SAMPLE}, page 1: ConflictException",
            "  429 ThrottlingException, by fault-1",
            "  409 ConflictException, by fault-2, after a pause of * s",
            "*- HealthImaging calls of account * -*",
            "10 earlier ones",
            "*- HealthImaging calls of account * -*",
            "none",
        ]
    )
    result.stdout.no_fnmatch_line("*never fired*")


def test_calls_that_cannot_be_fetched_hide_nothing(run: Run, demo_server: Server) -> None:
    result = run(
        """
def test_mine(healthimaging_server):
    healthimaging_server.url = "http://127.0.0.1:1"
    assert False, "mine"
""",
        "--healthimaging-endpoint",
        demo_server.url,
    )
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: mine",
            "*- HealthImaging calls of account * -*",
            "unknown: cannot reach http://127.0.0.1:1: Connection refused",
        ]
    )


@pytest.mark.parametrize("error", ["AssertionError", "OSError", "pytest.fail.Exception"])
@pytest.mark.parametrize("fixtures", ["healthimaging_server, monkeypatch", "monkeypatch, healthimaging_server"])
def test_a_test_may_forbid_the_network(run: Run, error: str, fixtures: str) -> None:
    result = run(
        f"""
import socket

@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", times=1)])
def test_offline({fixtures}):
    def refuse(*_): raise {error}("no network in this test")
    listed()
    monkeypatch.setattr(socket.socket, "connect", refuse)

def test_next(healthimaging_server):
    assert listed()
    assert False, "mine"
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ListImageSetVersions*"])


def test_what_a_test_replaces_while_it_is_set_up_stays_in_that_test(run: Run) -> None:
    """The first fixture used to import the emulator, which then kept the classes of freezegun."""
    result = run(
        """
from unittest import mock
from freezegun import freeze_time

@pytest.fixture
def replaced():
    with freeze_time("2024-01-01"), mock.patch.dict(sys.modules, {"psycopg2": mock.MagicMock()}):
        yield

def test_first(replaced, healthimaging):
    assert listed()

def test_next(healthimaging):
    healthimaging.clock.freeze("2024-01-01T00:00:00Z")
    assert listed()

def test_server(healthimaging_server):
    assert listed()
"""
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("mark", "hint"), [("fault=[]", ", not fault= (did you mean faults[?])"), ("[]", ", not [[][]]")]
)
def test_an_argument_that_the_mark_does_not_know_is_an_error(run: Run, mark: str, hint: str) -> None:
    result = run(f"@pytest.mark.healthimaging({mark})\ndef test_it(): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["E*@pytest.mark.healthimaging takes seed=, faults=, settings=, backoff=, allow_unfired=" + hint]
    )


def test_the_mark_takes_settings(run: Run) -> None:
    result = run(f"""
@pytest.mark.healthimaging(settings={{"page_size": 2}})
def test_it(healthimaging):
    page = healthimaging.client().list_image_set_versions(datastoreId={DATASTORE!r}, imageSetId={SAMPLE!r})
    assert len(page["imageSetPropertiesList"]) == 2
""")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("fixture", "settings", "message"),
    [
        (
            "healthimaging",
            {"page_sise": 2},
            "@pytest.mark.healthimaging: no setting 'page_sise' (did you mean page_size[?])",
        ),
        ("healthimaging", {"page_size": 0}, "@pytest.mark.healthimaging: *page_size*"),
        ("healthimaging_server", {"page_size": 0}, "@pytest.mark.healthimaging: *page_size*"),
    ],
)
def test_settings_that_cannot_be_are_an_error(run: Run, fixture: str, settings: dict[str, int], message: str) -> None:
    result = run(f"@pytest.mark.healthimaging(settings={settings})\ndef test_it({fixture}): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E*{message}"])


def test_the_plugin_describes_itself(run: Run) -> None:
    fixtures = run("", "--fixtures").stdout.str()
    for name in ("healthimaging", "healthimaging_client", "healthimaging_server", "healthimaging_seed"):
        assert f"\n{name} -- " in fixtures
    assert (
        "@pytest.mark.healthimaging(seed, faults, settings, backoff, allow_unfired)"
        in run("", "--markers").stdout.str()
    )
    assert "healthimaging_seed (paths)" in run("", "--help").stdout.str()


# A repository with a folder or a module called emulator.

OWN = "WHOSE = 'mine'\n"
OWN_TESTS = f"""
import boto3
import emulator
from emulator import pacs

def test_the_name_is_the_users():
    assert pacs.WHOSE == "mine"
    assert emulator.__name__ == "emulator"

def test_the_plugin_works_beside_it(healthimaging):
    page = boto3.client("medical-imaging").list_image_set_versions(datastoreId={DATASTORE!r}, imageSetId={SAMPLE!r})
    assert [entry["versionId"] for entry in page["imageSetPropertiesList"]] == ["4", "3", "2", "1"]

def test_the_server_works_beside_it(healthimaging_server):
    test_the_plugin_works_beside_it(None)
"""


PACKAGE = {"emulator/__init__.py": "", "emulator/pacs.py": OWN}
NAMESPACE = {"emulator/pacs.py": OWN}
PYTEST, PYTHON_M_PYTEST = [str(Path(sys.executable).with_name("pytest"))], [sys.executable, "-m", "pytest"]


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (PYTEST, PACKAGE | {"test_own.py": OWN_TESTS}),
        (PYTHON_M_PYTEST, PACKAGE | {"test_own.py": OWN_TESTS}),
        (PYTEST, NAMESPACE | {"test_own.py": OWN_TESTS}),
        (PYTHON_M_PYTEST, NAMESPACE | {"test_own.py": OWN_TESTS}),
        (PYTEST, PACKAGE | {"emulator/conftest.py": "", "emulator/test_own.py": OWN_TESTS}),
        (PYTHON_M_PYTEST, PACKAGE | {"tests/test_own.py": OWN_TESTS}),
    ],
)
def test_a_folder_called_emulator_in_the_users_repository_is_left_alone(
    tmp_path: Path, command: list[str], files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    finished = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", *WITHOUT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "3 passed" in finished.stdout


def test_a_run_that_does_not_use_it_loads_nothing_of_it() -> None:
    program = """
import sys, pytest
before = set(sys.modules)
import healthimaging_emulator.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name for name in finished.stdout.split() if not name.startswith("_")}
    assert loaded <= {
        "healthimaging_emulator",
        "healthimaging_emulator.pytest_plugin",
        "secrets",
        "hmac",
        "hashlib",
        "base64",
    }


def test_an_account_is_removed_although_setting_up_fails(run: Run) -> None:
    with Emulator.from_seed(DEMO, max_accounts=2).serve() as server:
        tests = """
@pytest.mark.healthimaging(faults=[{"latency": {"seconds": -1}}])
def test_bad(healthimaging_server): pass

@pytest.mark.parametrize("number", range(3))
def test_good(healthimaging_server, number): assert listed()
"""
        result = run(tests, "--healthimaging-endpoint", server.url)
        result.assert_outcomes(passed=3, errors=1)
