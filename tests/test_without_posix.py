"""Without POSIX: what Windows lacks is taken away in a child process, before anything of the emulator is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DEMO
from tests.demo import DATASTORE, SAMPLE

BLOCK = """
import importlib, os, runpy, signal, socket, subprocess, sys
for name in ("resource", "fcntl", "termios", "pwd", "grp"):
    sys.modules[name] = None
for module, names in (
    (os, ["posix_spawn", "posix_spawnp", "fork", "register_at_fork", "sched_yield"]),
    (signal, ["pthread_sigmask", "sigwait", "sigwaitinfo"]),
    (signal, ["SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE"]),
    (socket, ["MSG_DONTWAIT"]),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
"""
IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
COUNT = f"print(len(boto3.client('medical-imaging').list_image_set_versions(**{IDS})['imageSetPropertiesList']))"


def run(program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCK + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("runpy.run_module('healthimaging_emulator', run_name='__main__', alter_sys=True)", *arguments)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("--help",), "Emulate AWS HealthImaging"),
        (("seed", "check", str(DEMO)), "ok: 2 data stores"),
        (("env",), "export AWS_ENDPOINT_URL_MEDICAL_IMAGING="),
        pytest.param(
            ("exec", "--", sys.executable, "-c", f"import boto3; {COUNT}"), "4\n", marks=pytest.mark.newest_boto3
        ),
    ],
)
def test_a_command_works(arguments: tuple[str, ...], output: str) -> None:
    finished = run_command(*arguments)
    assert finished.returncode == 0, finished.stderr
    assert output in finished.stdout


def test_exec_returns_the_exit_code_of_the_command() -> None:
    assert run_command("exec", "--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    missing = run_command("exec", "--", "no-such-command")
    assert (missing.returncode, missing.stderr.count("\n")) == (127, 1)


def test_serve_serves_until_it_is_told_to_stop_and_saves(tmp_path: Path) -> None:
    program = """
import re, threading, urllib.request
module = importlib.import_module("healthimaging_emulator.cli.serve")
said = []

def ask(text, err=False):
    url = re.search(r"http://[\\d.:]+", text)[0]
    said.append(urllib.request.urlopen(f"{url}/_emulator/health").status)
    threading.Thread(target=interrupt, daemon=True).start()

def interrupt():
    while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        pass  # until it waits for the signal
    signal.raise_signal(signal.SIGINT)

module._say = ask
sys.argv = ["serve", "--port", "0", "--save", "state.json"]
try:
    module.serve()
finally:
    print(said)
"""
    finished = run(program.replace("    module.serve()", "    os._exit = sys.exit\n    module.serve()"), cwd=tmp_path)
    assert finished.stdout == "[200]\n", finished.stderr
    assert "datastores" in json.loads((tmp_path / "state.json").read_text())


@pytest.mark.newest_boto3
def test_python_and_the_server_work() -> None:
    finished = run(f"""
import boto3
from healthimaging_emulator import Emulator
emulator = Emulator.from_seed()
with emulator.patch():
    {COUNT}
with emulator.serve() as server:
    os.environ.update(server.environment)
    {COUNT}
""")
    assert finished.stdout == "4\n4\n", finished.stderr


def test_the_plugin_works(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(f"""
import boto3

def test_patched(healthimaging):
    {COUNT}

def test_served(healthimaging_server):
    {COUNT}
""")
    finished = run("import pytest; sys.exit(pytest.main(['-q', '-p', 'no:schemathesis']))", cwd=tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
