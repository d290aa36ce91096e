"""aiobotocore and aioboto3 in the process of the emulator, without a socket."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import HANG_SECONDS, PROGRAMS, installed


@pytest.mark.parametrize("http_session", ["aiohttp", "httpx"])
@pytest.mark.parametrize("library", ["aiobotocore", "aioboto3"])
def test_clients_are_answered_in_process(library: str, http_session: str) -> None:
    finished = subprocess.run(
        [installed(f"{library}-in-process") / "bin" / "python", PROGRAMS / "asyncio_program.py", library, http_session],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        env={"PATH": "/usr/bin:/bin", "AWS_MAX_ATTEMPTS": "5"},
    )
    assert finished.returncode == 0, finished.stderr
    seen = json.loads(finished.stdout)
    cut = seen.pop("cut")
    assert cut in ("ClientPayloadError", "ResponseStreamingError", "RemoteProtocolError")
    assert seen == {
        "sizes": [50, 50, 37],
        "patient": "DEMO-1",
        "error": "ResourceNotFoundException",
        "attempts": [
            ["ThrottlingException", "ThrottlingException", 200],
            [None, 200],
            [200, 200],
            [None, 200],
            [None, 200],
        ],
        "pauses": True,
        "together": ["4", "4"],
    }
