"""``exec`` and ``env``, as programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import run
from tests.demo import DATASTORE, SAMPLE
from tests.raw import HANG_SECONDS

LIST = f"""
import boto3
listed = boto3.client("medical-imaging").list_image_set_versions(datastoreId="{DATASTORE}", imageSetId="{SAMPLE}")
print([entry["versionId"] for entry in listed["imageSetPropertiesList"]])
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "healthimaging_emulator", "exec", *arguments]


def executed(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


@pytest.mark.newest_boto3
def test_the_command_finds_the_emulator_with_no_code_changed() -> None:
    finished = executed("--", sys.executable, "-c", LIST)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "['4', '3', '2', '1']\n", "")


@pytest.mark.newest_boto3
def test_settings_of_the_user_do_not_lead_it_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nignore_configured_endpoint_urls = true\nregion = eu-west-1\n")
    finished = executed(
        *("--", sys.executable, "-c", LIST),
        AWS_CONFIG_FILE=str(tmp_path / "config"),
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_ENDPOINT_URL_MEDICAL_IMAGING="http://127.0.0.1:1",
        AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true",
        HTTP_PROXY="http://127.0.0.1:1",
        http_proxy="http://127.0.0.1:1",
    )
    assert (finished.returncode, finished.stdout) == (0, "['4', '3', '2', '1']\n")


def test_options_behind_the_command_are_its_own() -> None:
    assert executed("echo", "--seed", "-h").stdout == "--seed -h\n"


SHOWN = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_PROFILE"]
SHOW = f"import os; print([os.environ.get(name) for name in {SHOWN}])"


def test_the_command_can_sign(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text('{"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t"}')
    options = ["--require-signature", "--credential", "111111111111:one", "--credentials", str(tmp_path)]
    of_another = {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "mine", "AWS_ACCESS_KEY_ID": "mine"}
    for account, region, expected in (
        ((), (), ["111111111111", "one", None, "us-east-1", None]),
        (("--account", "000000000000"), ("--region", "eu-west-1"), ["ASIA", "s", "t", "eu-west-1", None]),
    ):
        finished = executed(*options, *account, *region, "--", sys.executable, "-c", SHOW, **of_another)
        assert finished.stdout == f"{expected}\n", finished.stderr
    refused = executed(*options, "--account", "222222222222", "--", "true")
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        2,
        "Error: Invalid value for --account: no credential is that of account 222222222222",
    )


def test_the_command_has_the_control_token() -> None:
    program = "import os; print(os.environ['HEALTHIMAGING_EMULATOR_CONTROL_TOKEN'])"
    assert executed("--control-token", "sesame", "--", sys.executable, "-c", program).stdout == "sesame\n"


@pytest.mark.newest_boto3
def test_exec_has_the_settings_of_serve_and_an_account(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("[{error: {code: ThrottlingException}}]")
    finished = executed(
        *("--faults", str(faults), "--account", "111111111111", "--log-level", "info"),
        *("--", sys.executable, "-c", f"import os; print(os.environ.get('AWS_PROFILE')); {LIST.strip()}"),
        AWS_PROFILE="there-is-none",
        AWS_MAX_ATTEMPTS="1",
    )
    assert (finished.returncode, finished.stdout) == (1, "None\n")
    assert "429 ThrottlingException" in finished.stderr
    assert "An error occurred (ThrottlingException)" in finished.stderr


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert executed("--", "bash", "-c", script).returncode == code


def test_a_command_that_cannot_be_run_is_one_line_as_in_a_shell(tmp_path: Path) -> None:
    assert executed("--", "").returncode == 126
    missing, folder = executed("--", "there-is-none"), executed("--", str(tmp_path))
    assert (missing.returncode, missing.stderr) == (127, "Error: cannot run there-is-none: No such file or directory\n")
    assert (folder.returncode, folder.stderr) == (126, f"Error: cannot run {tmp_path}: Permission denied\n")


def test_a_closed_standard_output_changes_nothing() -> None:
    whole = ["bash", "-c", 'exec "$@" >&-', "bash", *command("--", "sh", "-c", "exit 3")]
    finished = subprocess.run(whole, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert (finished.returncode, finished.stderr) == (3, "")


def test_a_bad_seed_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text("[]")
    finished = executed("--seed", str(tmp_path), "--", "echo", "run")
    told = f"Error: {tmp_path}/seed.json: $: Expected `object`, got `array`\n"
    assert (finished.returncode, finished.stdout, finished.stderr) == (2, "", told)


def test_exec_needs_a_command() -> None:
    result = run("exec")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "Error: Missing argument 'COMMAND...'.")


@pytest.mark.parametrize("account", ["1", "x" * 12, "1" * 13, "\u0661" * 12])
@pytest.mark.newest_click
@pytest.mark.parametrize("command", [("exec", "true"), ("env",), ("seed", "export"), ("ls",)])
def test_an_account_has_12_digits(command: tuple[str, ...], account: str) -> None:
    name, *rest = command
    result = run(name, "--account", account, *rest) if name == "exec" else run(*command, "--account", account)
    variable = "(env var: 'HEALTHIMAGING_EMULATOR_ACCOUNT')"
    told = f"Error: Invalid value for '--account' {variable}: invalid account id {account!r}: expected 12 digits"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, told)


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_reach_the_command(name: str) -> None:
    script = f"trap 'echo {name}; exit 3' {name}; echo ready; while :; do :; done"
    with subprocess.Popen(command("--", "bash", "-c", script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, "SIG" + name))
        assert process.wait(HANG_SECONDS) == 3
        assert process.stdout.read() == f"{name}\n"


def test_a_key_of_the_terminal_reaches_the_command_once() -> None:
    # The second signal, which the command asks for, comes behind whatever the first one caused.
    script = (
        "import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [2, 10]); print('ready', flush=True); "
        "signal.sigwait([2]); os.kill(os.getppid(), 10); signal.sigwait([10]); print(signal.sigpending())"
    )
    own_terminal = (
        "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    ours, theirs = os.openpty()
    whole = [sys.executable, "-c", own_terminal, *command("--", sys.executable, "-c", script)]
    with subprocess.Popen(whole, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.write(ours, b"\x03")
        assert process.stdout.read() == "set()\n"
        assert process.wait(HANG_SECONDS) == 0
    os.close(ours)


# The command ``env``.


def test_env_is_for_a_shell_by_default() -> None:
    script = run("env", "--port", "4600").stdout + LIST_ENDPOINT
    finished = subprocess.run(["bash", "-ec", script], env={}, capture_output=True, text=True, check=True)
    assert finished.stdout == "http://127.0.0.1:4600 emulator us-east-1\n"


LIST_ENDPOINT = "echo $AWS_ENDPOINT_URL_MEDICAL_IMAGING $AWS_ACCESS_KEY_ID $AWS_REGION"


@pytest.mark.parametrize("form", ["dotenv", "github"])
def test_env_as_lines(form: str) -> None:
    lines = run("env", "--format", form, "--account", "111111111111").stdout.splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    assert variables["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] == "http://127.0.0.1:4580"
    assert variables["AWS_ACCESS_KEY_ID"] == "111111111111"


def test_commands_for_a_running_emulator_find_that_of_exec() -> None:
    emulator = f"{sys.executable} -m healthimaging_emulator"
    script = (
        f"{emulator} clock freeze; echo $HEALTHIMAGING_EMULATOR_ACCOUNT; {emulator} clock show --account {'2' * 12}"
    )
    finished = executed("--account", "111111111111", "--control-token", "sesame", "--", "bash", "-ec", script)
    assert re.sub(r"\S+Z", "DATE", finished.stdout).split() == [
        *("DATE", "CLOCK", "DATE", "frozen"),
        "111111111111",
        *("DATE", "CLOCK", "DATE", "running"),
    ]


UNSET = "env | grep -E '^(AWS|NO_PROXY|no_proxy|HEALTHIMAGING)' | sort"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, []),
        ({"NO_PROXY": "a,b"}, ["NO_PROXY=a,b,127.0.0.1,localhost,::1", "no_proxy=a,b,127.0.0.1,localhost,::1"]),
        (
            {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "secret"},
            [
                "AWS_ACCESS_KEY_ID=mine",
                "AWS_DEFAULT_REGION=eu-west-1",
                "AWS_REGION=eu-west-1",
                "AWS_SECRET_ACCESS_KEY=secret",
            ],
        ),
    ],
)
@pytest.mark.parametrize("options", ["", "--account 111111111111", "--host ::1 --port 4600"])
def test_env_takes_back_what_it_has_set(given: dict[str, str], left: list[str], options: str) -> None:
    if "AWS_ACCESS_KEY_ID" in given and "--account" in options:
        left = left[1:3]  # the credentials are those of the account
    emulator = f"{sys.executable} -m healthimaging_emulator env"
    script = f'eval "$({emulator} {options})"; eval "$({emulator} --unset)"; {UNSET} || :'
    finished = subprocess.run(["bash", "-ec", script], env=given, capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines() == left


def test_env_takes_nothing_back_where_it_has_set_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert run("env", "--unset").stdout == ""
    refused = run("env", "--unset", "--format", "json")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (2, "Error: --unset is for a shell")


def test_env_as_json_and_of_another_host() -> None:
    variables = json.loads(run("env", "--format", "json", "--host", "emulator").stdout)
    assert variables["AWS_ENDPOINT_URL_MEDICAL_IMAGING"] == "http://emulator:4580"
    assert variables["NO_PROXY"] == "127.0.0.1,localhost,::1,emulator"
    assert "http://[::1]:4580" in run("env", "--host", "::1").stdout
    refused = run("env", "--host", "http://x")
    told = "Error: Invalid value for --host: invalid host 'http://x': expected a name or an address"
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (2, told)


def test_env_quotes_values_for_a_shell_and_a_dotenv_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "a$b;c")
    assert "export NO_PROXY='a$b;c,127.0.0.1,localhost,::1'\n" in run("env").stdout
    assert "NO_PROXY='a$b;c,127.0.0.1,localhost,::1'\n" in run("env", "--format", "dotenv").stdout


@pytest.mark.newest_boto3
@pytest.mark.parametrize(
    ("section", "kept"),
    [("[profile mine]", "mine"), ("[profile  mine ]", "mine"), ("[mine]", None), ("[profile minx]", None)],
)
def test_a_profile_that_this_machine_does_not_have_is_left_out(
    tmp_path: Path, section: str, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(f"{section}\nregion = eu-west-1\naws_access_key_id = x\naws_secret_access_key = y\n")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    program = f"import boto3, os; print(os.environ.get('AWS_PROFILE')); {COUNT}"
    command = [sys.executable, "-m", "healthimaging_emulator", "exec", "--", sys.executable, "-c", program]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout == f"{kept}\n4\n"


COUNT = (
    f"print(len(boto3.client('medical-imaging').list_image_set_versions("
    f"datastoreId='{DATASTORE}', imageSetId='{SAMPLE}')['imageSetPropertiesList']))"
)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("env >/dev/full", "No space left on device"),
        ("seed schema >/dev/full", "No space left on device"),
        ("--help >/dev/full", "No space left on device"),
        ("seed generate >&-", "Was not able to determine binary stream for sys.stdout."),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(command: str, message: str) -> None:
    script = f"{sys.executable} -m healthimaging_emulator {command}"
    finished = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (finished.returncode, finished.stderr) == (1, f"Error: {message}\n")
