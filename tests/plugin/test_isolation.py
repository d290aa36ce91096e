"""A test sees its own clients or is told, and no request leaves for AWS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.demo import DATASTORE, SAMPLE

from .conftest import HEAD, Run

KEYS = 'aws_access_key_id="x", aws_secret_access_key="x"'


def output(result: pytest.RunResult) -> str:
    return " ".join(result.stdout.str().split())


# Clients that are kept from one test to the next.


def test_a_client_in_a_global_is_refused_after_its_test_with_the_name_of_that_test(run: Run) -> None:
    result = run("""
_client = None
def newest():
    global _client
    _client = _client or boto3.client("medical-imaging")
    return listed(_client)[0]

@pytest.mark.parametrize("turn", [1, 2])
def test_it(healthimaging_server, turn):
    healthimaging_server.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
    assert newest() == "5"
""")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*AccessDeniedException*Account 9* is that of test_it.py::test_it[[]1[]], which has ended. A client that "
            "is kept in a global, in an lru_cache, in a session or in a forkserver still signs as that account: make "
            "it inside each test.",
            "*HealthImaging requests of tests that had ended*",
            f"POST /datastore/{DATASTORE}/imageSet/{SAMPLE}/listImageSetVersions as account 9*, that of "
            "test_it.py::test_it[[]1[]]",
        ]
    )


def test_a_client_of_a_server_test_reaches_the_emulator_of_a_test_in_this_process(run: Run) -> None:
    run("""
import functools
client = functools.lru_cache(lambda: boto3.client("medical-imaging"))

def test_a(healthimaging_server):
    assert listed(client())[0] == "4"

def test_b(healthimaging):
    healthimaging.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
    assert listed(client())[0] == "5"
""").assert_outcomes(passed=2)


def test_a_key_of_the_developers_environment_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111111111111")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    run("""
@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", times=1)])
def test_it(healthimaging):
    assert listed()[0] == "4"
    assert len(healthimaging.calls[0].attempts) == 2
""").assert_outcomes(passed=1)


def test_the_report_says_that_calls_went_to_another_account(run: Run) -> None:
    result = run("""
def test_it(healthimaging):
    healthimaging.faults.add(Fault.error("ThrottlingException"))
    listed(healthimaging.client(aws_access_key_id="111111111111", aws_secret_access_key="x"))
""")
    result.assert_outcomes(failed=1)
    assert "never fired: no request came, but 1 calls came to account 111111111111" in output(result)


def test_a_client_with_credentials_of_its_own_is_seen_by_its_test(run: Run) -> None:
    run("""
@pytest.mark.parametrize("key", ["123456789012", "AKIAEXAMPLE"])
def test_it(healthimaging_server, key):
    healthimaging_server.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
    client = boto3.client("medical-imaging", aws_access_key_id=key, aws_secret_access_key="x")
    assert listed(client)[0] == "5"
    assert len(healthimaging_server.calls) == 1

def test_an_account_that_a_test_names_is_its_own(healthimaging_server):
    from healthimaging_emulator import RemoteAccount
    RemoteAccount(healthimaging_server.url, "111111111111").reset()
    assert listed(boto3.client("medical-imaging", aws_access_key_id="111111111111", aws_secret_access_key="x"))
    assert not healthimaging_server.calls
""").assert_outcomes(passed=3)


def test_the_strays_of_all_workers_are_shown(run: Run) -> None:
    result = run(
        """
import functools
client = functools.lru_cache(lambda: boto3.client("medical-imaging"))

@pytest.mark.parametrize("turn", [1, 2])
def test_it(healthimaging_server, turn):
    try:
        listed(client())
    except ClientError:
        pass
""",
        *("-n", "1"),
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*HealthImaging requests of tests that had ended*", "POST *test_it.py::test_it[[]1[]]"]
    )


# AWS.


def test_a_test_that_forgot_the_fixture_is_told(run: Run) -> None:
    result = run(f"""
def test_1(healthimaging): listed()

def test_2():
    listed(boto3.client("medical-imaging", "us-east-1", endpoint_url="https://medical-imaging.us-east-1.amazonaws.com",
        {KEYS}))
""")
    result.assert_outcomes(passed=1, failed=1)
    assert (
        "would have reached runtime-medical-imaging.us-east-1.amazonaws.com: test_it.py::test_2 has none of the "
        "fixtures healthimaging and healthimaging_server, or a thread outlived its test" in output(result)
    )


def test_a_thread_that_outlives_its_test_reaches_nothing(run: Run) -> None:
    run(f"""
import threading
GO, caught = threading.Event(), []

def poll_later(client):
    GO.wait()
    try:
        listed(client)
    except RuntimeError as error:
        caught.append(str(error))

def test_1(healthimaging):
    global thread
    client = boto3.client("medical-imaging", "us-east-1", {KEYS})
    thread = threading.Thread(target=poll_later, args=[client])
    thread.start()

def test_2():
    GO.set()
    thread.join()
    assert "test_2 has none of the fixtures" in caught[0]
""").assert_outcomes(passed=2)


@pytest.mark.parametrize("has_fixture", [True, False])
def test_a_child_process_without_an_emulator_is_led_nowhere(
    run: Run, pytester: pytest.Pytester, has_fixture: bool
) -> None:
    pytester.makeini(f"[pytest]\nhealthimaging_forbid_aws = {not has_fixture}")
    first = "def test_1(healthimaging): listed()" if has_fixture else "def test_1(): pass"
    run(f"""
{first}

def test_2():
    program = "import boto3; print(boto3.client('medical-imaging', 'us-east-1').meta.endpoint_url)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "http://no-emulator.invalid\\n"
    with pytest.raises(RuntimeError, match="test_2 has none of the fixtures"):
        listed(boto3.client("medical-imaging", "us-east-1", {KEYS}))
""").assert_outcomes(passed=2)


def test_an_endpoint_of_the_developers_own_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_MEDICAL_IMAGING", "http://127.0.0.1:1")
    run("""
def test_1(healthimaging): pass
def test_2(): assert os.environ["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] == "http://127.0.0.1:1"
""").assert_outcomes(passed=2)


def test_a_run_without_a_fixture_forbids_nothing(run: Run) -> None:
    run("""
def test_it():
    from botocore.endpoint import Endpoint
    assert Endpoint.make_request.__module__ == "botocore.endpoint"
    assert "AWS_ENDPOINT_URL_MEDICAL_IMAGING" not in os.environ
""").assert_outcomes(passed=1)


def test_a_fork_is_noticed(run: Run) -> None:
    result = run("""
def test_it(healthimaging):
    healthimaging.faults.add(Fault.error("ThrottlingException"))
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
""")
    result.assert_outcomes(failed=1)
    assert (
        "no request came, but the process has forked, and what a child does is seen only with healthimaging_server"
        in output(result)
    )


# Other people's environments.


@pytest.mark.parametrize("fixture", ["healthimaging", "healthimaging_server"])
def test_an_environment_that_a_test_clears_does_not_matter(run: Run, fixture: str) -> None:
    run(f"""
from unittest import mock

def test_it({fixture}):
    {fixture}.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
    with mock.patch.dict(os.environ, {{"MINE": "1"}}, clear=True):
        assert listed()[0] == listed(boto3.Session().client("medical-imaging"))[0] == "5"
""").assert_outcomes(passed=1)


@pytest.mark.parametrize("fixture", ["healthimaging", "healthimaging_server"])
def test_a_profile_that_this_machine_does_not_have_does_not_matter(
    run: Run, fixture: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "my-dev")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    run(f"""
def test_it({fixture}):
    assert listed()[0] == listed(boto3.Session().client("medical-imaging"))[0] == "4"
""").assert_outcomes(passed=1)


# Scopes.


SCOPE = """
@pytest.fixture(scope="SCOPE")
def SCOPE_app(KIND_SCOPE):
    KIND_SCOPE.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
    return KIND_SCOPE

class TestSCOPE:
    @pytest.mark.parametrize("turn", [1, 2])
    def test_it(self, SCOPE_app, turn):
        assert listed()[0] == "5"
        assert len(SCOPE_app.calls) == turn

    def test_one_of_its_own(self, SCOPE_app, healthimaging):
        assert listed()[0] == "4"
"""


@pytest.mark.parametrize("kind", ["healthimaging", "healthimaging_server"])
def test_a_fixture_can_outlive_a_test(run: Run, pytester: pytest.Pytester, kind: str) -> None:
    for scope in ("class", "module", "package", "session"):
        text = HEAD + SCOPE.replace("KIND", kind).replace("SCOPE", scope)
        pytester.makepyfile(**{f"test_{scope}": text})
    run("").assert_outcomes(passed=12)


def test_a_fault_of_a_module_must_fire_until_its_end(run: Run) -> None:
    result = run("""
@pytest.fixture(scope="module", autouse=True)
def app(healthimaging_module):
    healthimaging_module.faults.add(Fault.error("ThrottlingException", id="late", skip=1, times=1))
    healthimaging_module.faults.add(Fault.error("ThrottlingException", id="never", page=9))

def test_1(): listed()
def test_2(): listed()
""")
    result.assert_outcomes(passed=2, errors=1)
    assert "fault never of account 000000000000 never fired: the nearest miss was" in output(result)
    assert "fault late" not in output(result)


# Settings.


@pytest.mark.parametrize("fixture", ["healthimaging", "healthimaging_server"])
def test_settings_come_from_the_configuration_and_the_mark(run: Run, pytester: pytest.Pytester, fixture: str) -> None:
    pytester.makeini(
        "[pytest]\nhealthimaging_settings =\n  page_size = 3\n  token_lifetime=none\n  quotas = aws copies=2"
    )
    run(f"""
def test_ini({fixture}):
    assert len(listed()) == 3

@pytest.mark.healthimaging(settings={{"page_size": 2}})
def test_mark({fixture}):
    assert len(listed()) == 2

def test_ini_again({fixture}):
    assert len(listed()) == 3
""").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("page_sise = 3", "healthimaging_settings: no setting 'page_sise' (did you mean page_size?)"),
        ("page_size", "healthimaging_settings: no setting 'page_size'"),
        ("page_size = x", "healthimaging_settings: invalid page_size 'x': expected a whole number from 1 to 50"),
        ("page_size = 51", "invalid page_size 51: expected a whole number from 1 to 50"),
    ],
)
def test_a_mistake_in_the_settings_is_an_error(run: Run, pytester: pytest.Pytester, line: str, message: str) -> None:
    pytester.makeini(f"[pytest]\nhealthimaging_settings = {line}")
    result = run("def test_it(healthimaging): pass")
    result.assert_outcomes(errors=1)
    assert message in output(result)


def test_retries_behind_a_server_sleep_unless_the_mark_says_otherwise(run: Run, tmp_path: Path) -> None:
    record = tmp_path / "slept"
    run(f"""
import json, time
slept = []

@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", slept.append)

@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", times=2)], backoff=False)
def test_at_once(healthimaging_server):
    assert listed()[0] == "4"
    assert slept == [0, 0]
    slept.clear()

@pytest.mark.healthimaging(faults=[Fault.error("ThrottlingException", times=2)])
def test_as_boto3(healthimaging_server):
    assert listed()[0] == "4"
    json.dump(slept, open({str(record)!r}, "w"))
""").assert_outcomes(passed=2)
    assert len(json.loads(record.read_text())) == 2


def test_blocked_sockets_are_explained(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        pytest_socket="class SocketBlockedError(RuntimeError): pass",
        conftest="""
import socket
import pytest_socket

def pytest_configure():
    def refuse(*_, **__): raise pytest_socket.SocketBlockedError("A test tried to use socket.socket.")
    socket.create_server = refuse
    socket.socket.bind = refuse
""",
    )
    result = run("def test_it(healthimaging_server): pass")
    result.assert_outcomes(errors=1)
    assert (
        "healthimaging_server needs 127.0.0.1: with pytest-socket, add --allow-hosts=127.0.0.1 (A test tried"
        in output(result)
    )
