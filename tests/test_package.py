"""The wheel and the sdist: their files, and the wheel alone on every Python of this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.clients.conftest import UV, wheel
from tests.conftest import ROOT
from tests.demo import DATASTORE, MANY

HANG_SECONDS = 120
SUPPORTED = ["3.10", "3.11", "3.12", "3.13"]


def pythons() -> list[tuple[str, str]]:
    """Return the versions and their programs: this one, those on the path, and those of pyenv."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for version in SUPPORTED:
        of_pyenv = map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for each in filter(None, [shutil.which(f"python{version}"), *of_pyenv]):
            if subprocess.run([each, "--version"], capture_output=True, check=False).returncode == 0:
                found.setdefault(version, each)
    return sorted(found.items())


def repository() -> set[str]:
    """Return the files that are in the repository, or would be with the next commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


def test_nothing_large_is_in_the_repository() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in repository()}
    assert {name: size for name, size in sizes.items() if size > 200_000} == {}


PACKAGE = "emulator/healthimaging_emulator/"
DATA = {"py.typed", "healthimaging/dicom_dictionary.txt", "healthimaging/dicom_levels.txt"}
CONSOLE = "console/static/"


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    files = {name.removeprefix(PACKAGE) for name in repository() if name.startswith(PACKAGE)}
    assert {name for name in files if not name.endswith(".py") and not name.startswith(CONSOLE)} == DATA
    files |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "fixtures").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel()) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert names == {f"healthimaging_emulator/{name}" for name in files} | {
        metadata.removesuffix("METADATA") + name for name in about
    }
    assert f"Requires-Python: >={SUPPORTED[0]}\n" in text
    extras = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("Provides-Extra: ")]
    assert extras == ["boto3", "dicom", "frames", "pytest", "sigv4", "tls"]


def test_the_sdist_holds_the_repository_and_builds_the_same_wheel(tmp_path: Path) -> None:
    subprocess.run([*UV, "build", "--quiet", "--sdist", "--out-dir", str(tmp_path)], cwd=ROOT, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    used = {name for name in repository() if name == ".gitignore" or not name.startswith((".", "Dockerfile"))}
    assert names == used | {"PKG-INFO"}
    subprocess.run([*UV, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(sdist)], check=True)
    assert checksums(tmp_path / wheel().name) == checksums(wheel())


def checksums(archive: Path) -> dict[str, int]:
    with zipfile.ZipFile(archive) as opened:
        return {member.filename: member.CRC for member in opened.infolist()}


TARGET = f"/datastore/{DATASTORE}/imageSet/{MANY}"
SMOKE = f"""
import base64, gzip, json
from healthimaging_emulator import Credentials, Emulator
from http.client import HTTPConnection
with Emulator.from_seed(transition_reads=0).serve() as server:
    connection = HTTPConnection(server.host, server.port)
    def ask(path, body=None):
        connection.request("POST", "{TARGET}/" + path, body)
        return connection.getresponse().read()
    print(len(json.loads(ask("listImageSetVersions"))["imageSetPropertiesList"]))
    attributes = base64.b64encode(json.dumps({{"Patient": {{"DICOM": {{"PatientName": "Roe"}}}}}}).encode()).decode()
    update = json.dumps({{"DICOMUpdates": {{"updatableAttributes": attributes}}}})
    print(json.loads(ask("updateImageSetMetadata?latestVersion=137", update))["imageSetState"])
    print(json.loads(gzip.decompress(ask("getImageSetMetadata")))["Patient"]["DICOM"]["PatientName"])
    connection.close()
missing = []
for use in (lambda: Emulator.from_seed().client(),
            lambda: Emulator.from_seed(credentials=[Credentials(access_key_id="a", secret_access_key="s")])):
    try:
        use()
    except ImportError as error:
        missing.append(str(error))
print(missing)
"""


@pytest.mark.parametrize(("version", "python"), pythons(), ids=lambda value: value if "/" not in value else "")
def test_the_wheel_alone_is_enough(version: str, python: str, tmp_path: Path) -> None:
    folder = tmp_path / version
    subprocess.run([*UV, "venv", "--quiet", "--python", python, str(folder)], check=True)
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

    missing = [
        f"{module} is needed: pip install 'healthimaging-emulator[{extra}]'"
        for module, extra in (("boto3", "boto3"), ("botocore", "sigv4"))
    ]
    assert run("python", "-W", "error", "-c", SMOKE) == f"50\nLOCKED\nRoe\n{missing}\n"
    assert run("healthimaging-emulator", "--version") == (
        f"healthimaging-emulator, version {wheel().name.split('-')[1]}\n"
    )
    assert run("healthimaging-emulator", "exec", "--", "true") == ""
    strict = ("--require-signature", "--credential", "a:s")
    assert run("healthimaging-emulator", "exec", *strict, "--", "true", code=1) == (
        "Error: botocore is needed: pip install 'healthimaging-emulator[sigv4]'\n"
    )
    assert run("healthimaging-emulator", "serve", "--port", "0", "--tls-self-signed", code=1) == (
        "Error: trustme is needed: pip install 'healthimaging-emulator[tls]'\n"
    )
    capture = ("--datastore-id", DATASTORE, "--image-set-id", MANY)
    assert run("healthimaging-emulator", "seed", "capture", *capture, code=1) == (
        "Error: botocore is needed: pip install 'healthimaging-emulator[boto3]'\n"
    )
