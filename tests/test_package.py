"""The wheel: what is in it, and that it is enough, on every Python that is on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.clients.conftest import ENVIRONMENTS, UV, wheel
from tests.conftest import ROOT
from tests.demo import DATASTORE, MANY

HANG_SECONDS = 120
SUPPORTED = ["3.10", "3.11", "3.12", "3.13"]


def pythons() -> list[tuple[str, str]]:
    """Return the versions that are here, and where: this one, those on the path, and those of pyenv."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for version in SUPPORTED:
        of_pyenv = map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for each in filter(None, [shutil.which(f"python{version}"), *of_pyenv]):
            if subprocess.run([each, "--version"], capture_output=True, check=False).returncode == 0:
                found.setdefault(version, each)
    return sorted(found.items())


def test_nothing_large_is_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert {name: size for name, size in sizes.items() if size > 200_000} == {}


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    package = ROOT / "emulator" / "healthimaging_emulator"
    expected = {str(file.relative_to(ROOT / "emulator")) for file in package.rglob("*.py")}
    expected |= {"healthimaging_emulator/py.typed"}
    expected |= {f"healthimaging_emulator/fixtures/{file.name}" for file in (ROOT / "fixtures").iterdir()}
    with zipfile.ZipFile(wheel()) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    about = metadata.removesuffix("METADATA")
    assert names - expected == {
        about + name for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }
    assert expected - names == set()
    assert f"Requires-Python: >={SUPPORTED[0]}\n" in text


SMOKE = f"""
import json, sys
from healthimaging_emulator import Credentials, Emulator
path = "/datastore/{DATASTORE}/imageSet/{MANY}/listImageSetVersions"
with Emulator.from_seed().serve() as server:
    from http.client import HTTPConnection
    connection = HTTPConnection(server.host, server.port)
    connection.request("POST", path)
    print(len(json.load(connection.getresponse())["imageSetPropertiesList"]))
    connection.close()
missing = []
for use in (lambda: Emulator.from_seed().client(),
            lambda: Emulator.from_seed(credentials=[Credentials(access_key_id="a", secret_access_key="s")])):
    try:
        use()
    except ImportError as error:
        missing.append(error.name.partition(".")[0])
print(missing)
"""


@pytest.mark.parametrize(("version", "python"), pythons(), ids=lambda value: value if "/" not in value else "")
def test_the_wheel_alone_is_enough(version: str, python: str) -> None:
    folder = ENVIRONMENTS / f"wheel-{version}"
    subprocess.run([*UV, "venv", "--quiet", "--clear", "--python", python, str(folder)], check=True)
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", str(folder), str(wheel())], check=True)

    def run(*command: str, code: int = 0) -> str:
        finished = subprocess.run(
            [folder / "bin" / command[0], *command[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert finished.returncode == code, finished.stderr
        return finished.stdout + finished.stderr

    assert run("python", "-W", "error", "-c", SMOKE) == "50\n['boto3', 'botocore']\n"
    assert "healthimaging-emulator, version" in run("healthimaging-emulator", "--version")
    assert run("healthimaging-emulator", "exec", "--", "true") == ""
    strict = ("--require-signature", "--credential", "a:s")
    assert "install the extra sigv4" in run("healthimaging-emulator", "exec", *strict, "--", "true", code=1)
    tls = run("healthimaging-emulator", "serve", "--port", "0", "--tls-self-signed", code=1)
    assert tls == "Error: trustme is needed, the extra tls: healthimaging-emulator[tls]\n"
