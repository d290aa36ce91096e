"""``serve`` stopped, started again, and where nothing can be written."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from healthimaging_emulator import Fault, RemoteAccount
from tests.cli.conftest import Address, ask, serving
from tests.conftest import DEMO, ROOT
from tests.demo import DATASTORE, MANY, SAMPLE, path
from tests.raw import BANNER_END, HANG_SECONDS, JSON, Client, request, reserve_port, until


def account(number: int) -> str:
    return f"Authorization: AWS4-HMAC-SHA256 Credential={number:012}/20260101/us-east-1/medical-imaging/aws4_request"


def test_a_stop_under_load_cuts_no_answer() -> None:
    """Delays and stalls end, the port is free, and a page token is valid for the next server there."""
    whole: dict[int, list[int]] = {number: [] for number in range(4)}
    enough = threading.Event()

    def list_on(address: Address, number: int) -> None:
        with suppress(OSError, IndexError), Client(address) as client:  # type: ignore[arg-type]  # until it is closed
            for _ in range(1_000_000):
                client.send(request("POST", path(MANY), account(number)))
                entries = client.receive().json["imageSetPropertiesList"]  # half of one could not be read
                whole[number].append(len(entries))
                if len(whole[3]) > 500:
                    enough.set()

    with serving("--log-level", "error") as (process, banner):
        address = Address(banner)
        held = [RemoteAccount(f"http://127.0.0.1:{address.port}", f"{number:012}") for number in (1, 2)]
        held[0].faults.add(Fault.latency(3600))
        held[1].faults.add(Fault.connection("stall", seconds=3600))
        clients = [threading.Thread(target=list_on, args=(address, number)) for number in (0, 1, 2, *[3] * 8)]
        for client in clients:
            client.start()
        assert enough.wait(HANG_SECONDS)
        until(lambda: all(fault.fired for remote in held for fault in remote.faults))
        token = ask(banner, f"{path(MANY)}?maxResults=7").json["nextToken"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
        for client in clients:
            client.join(HANG_SECONDS)
            assert not client.is_alive()
    assert (whole[1], whole[2]) == ([50], [])  # a late answer is sent, and one that stalled is not
    assert set(whole[0] + whole[3]) == {50}
    with serving("--port", str(address.port)) as (_, banner):
        following = ask(banner, f"{path(MANY)}?nextToken={token}").json["imageSetPropertiesList"]
    assert following[0]["versionId"] == "130"


SLOW_TO_STOP = """
from healthimaging_emulator import Emulator, Server
from healthimaging_emulator.cli import main
from healthimaging_emulator.server.listener import Timeouts

def serve(self, host, port, tls):
    return Server(self.app, host, port, settings=self.settings, timeouts=Timeouts(stop=3600))

Emulator.serve = serve
main()
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(second: signal.Signals) -> None:
    command = [sys.executable, "-c", SLOW_TO_STOP, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        banner: list[str] = []
        while not banner or not banner[-1].startswith(BANNER_END):
            banner.append(process.stdout.readline())
        address = Address(banner)
        long = '{"imageSetId": "%s", "generate": {"versions": 100000}}' % ("a" * 32)
        body = f'{{"datastores": [{{"datastoreId": "{DATASTORE}", "imageSets": [{long}]}}]}}'.encode()
        with Client(address) as client:  # type: ignore[arg-type]
            client.send(request("PUT", "/_emulator/seed", JSON, body=body) + request("GET", "/_emulator/seed"))
            assert client.receive().status == 204
            assert client.socket.recv(1)  # of 20 MB that are not read
            process.send_signal(signal.SIGTERM)
            until(lambda: not is_listening(address))
            assert process.poll() is None
            while process.poll() is None:  # one that comes at once counts as the first
                process.send_signal(second)
            assert process.returncode == 1


def is_listening(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port)).close()
    except OSError:
        return False
    return True


# Where nothing may be written.


def settings_without_a_home() -> dict[str, str]:
    nowhere = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/dev/null/nowhere")
    return nowhere | {"PYTHONPATH": str(ROOT)}


def test_no_home_and_no_folder_to_write_to() -> None:
    with serving("--seed", str(DEMO), cwd="/proc", **settings_without_a_home()) as (process, banner):
        assert ask(banner).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0


@contextmanager
def full(file: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve with a full disk under the log or the banner; the port is reserved for it."""
    with reserve_port() as port, Path("/dev/full").open("w") as disk:
        command = [sys.executable, "-m", "healthimaging_emulator", "serve", "--port", str(port)]
        files = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {file: disk}
        with subprocess.Popen(command, text=True, **files) as process:  # type: ignore[call-overload]
            try:
                yield process, port
            finally:
                process.kill()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("file", ["stdout", "stderr"])
def test_a_full_disk_under_its_output_stops_nothing(file: str) -> None:
    with full(file) as (process, port):
        banner = [f"http://127.0.0.1:{port}"]
        until(lambda: is_listening(Address(banner)) or process.poll() is not None)
        assert [ask(banner).status for _ in range(100)] == [200] * 100
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0


# A seed that changes while it is served.


def test_a_folder_of_seeds_is_read_once(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_bytes(DEMO.read_bytes())
    with serving("--seed", str(tmp_path)) as (_, banner):
        seed.write_text("half of a se")
        (tmp_path / "other.json").symlink_to("nowhere")
        assert ask(banner, path(SAMPLE)).status == 200
        with Client(Address(banner)) as client:  # type: ignore[arg-type]
            client.send(request("POST", "/_emulator/reset") + request("POST", path(SAMPLE)))
            assert [client.receive().status for _ in range(2)] == [204, 200]
    command = [sys.executable, "-m", "healthimaging_emulator", "serve", "--port", "0", "--seed", str(tmp_path)]
    for mistake in (
        "other.json: No such file or directory",
        "seed.json: $: JSON is malformed: invalid character (byte 0)",
    ):
        finished = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert finished.stderr == f"Error: {tmp_path}/{mistake}\n"
        (tmp_path / "other.json").unlink(missing_ok=True)
    assert os.listdir(tmp_path) == ["seed.json"]
