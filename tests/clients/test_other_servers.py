"""Other servers, each as a process of its own, driven by boto3. ``docs/running.md`` has a table of the results."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import ROOT
from tests.demo import CHEST_CT, DATASTORE, MANY, OTHER_DATASTORE, SAMPLE, path
from tests.raw import HANG_SECONDS, reserve_port, until

from .conftest import PROGRAMS, installed

COMMANDS = {
    "gunicorn": "gunicorn --bind 127.0.0.1:{port} --threads 4 served_app:wsgi",
    "waitress": "waitress-serve --listen 127.0.0.1:{port} served_app:wsgi",
    "uvicorn with a2wsgi": "uvicorn --port {port} served_app:asgi",
    "hypercorn with a2wsgi": "hypercorn --bind 127.0.0.1:{port} served_app:asgi",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} served_app:wsgi",
    "granian": "granian --port {port} --interface wsgi --no-ws served_app:wsgi",
}
MANY_IDS = {"datastoreId": DATASTORE, "imageSetId": MANY}
SAMPLE_IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
UPDATE = path().replace("listImageSetVersions", "updateImageSetMetadata") + "?latestVersion=4"
JSON = {"Content-Type": "application/json"}


class Served(NamedTuple):
    """An emulator on a server. Each check has an account of its own, so that none changes another."""

    port: int
    prefix: str = ""

    @contextmanager
    def client(self, account: str) -> Iterator[Any]:
        client = boto3.client(
            "medical-imaging",
            "us-east-1",
            endpoint_url=make_endpoint(f"http://127.0.0.1:{self.port}{self.prefix}"),
            aws_access_key_id=account,
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=HANG_SECONDS),
        )
        try:
            yield client
        finally:
            client.close()  # gunicorn and hypercorn wait for a connection that is open before they end

    def ask(
        self, method: str, target: str, *chunks: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request without a client, in chunks if there are several."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        body = iter(chunks) if len(chunks) > 1 else b"".join(chunks) or None
        try:
            connection.request(method, self.prefix + target, body, headers or {}, encode_chunked=len(chunks) > 1)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def code_of(call: Callable[..., object], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


# The rows of the table; each returns the words of a server's cell.


def lists_pages_frames_and_updates(served: Served) -> str:
    with served.client("111111111111") as client:
        pages = client.get_paginator("list_image_set_versions").paginate(**MANY_IDS)
        assert [len(page["imageSetPropertiesList"]) for page in pages] == [50, 50, 37]
        ids = {"datastoreId": OTHER_DATASTORE, "imageSetId": CHEST_CT}
        document = client.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()
        frames = re.findall(r'"ID":\s*"([0-9a-f]{32})"', gzip.decompress(document).decode())
        frame = client.get_image_frame(**ids, imageFrameInformation={"imageFrameId": frames[0]})
        assert (frame["contentType"], len(frame["imageFrameBlob"].read()) > 0) == ("image/jph", True)
        revert = {"revertToVersionId": "1"}
        client.update_image_set_metadata(**SAMPLE_IDS, latestVersionId="4", updateImageSetMetadataUpdates=revert)
        newest = client.list_image_set_versions(**SAMPLE_IDS)["imageSetPropertiesList"][0]
        assert (newest["versionId"], newest["imageSetState"]) == ("5", "LOCKED")
    return "yes"


def answers_unknown_operations_and_head(served: Served) -> str:
    for method, target in [("GET", "/unknown"), ("PUT", path()), ("HEAD", path())]:
        status, headers, body = served.ask(method, target)
        assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
        assert (body == b"") == (method == "HEAD")
    return "yes"


def answers_the_control_api(served: Served) -> str:
    account = {"x-emulator-account": "222222222222"}
    fault = b'{"error": {"code": "ThrottlingException"}}'
    assert served.ask("POST", "/_emulator/faults", fault, headers=JSON | account)[0] == 200
    with served.client("222222222222") as client:
        assert code_of(client.list_image_set_versions, **MANY_IDS) == "ThrottlingException"
    calls = json.loads(served.ask("GET", "/_emulator/calls", headers=account)[2])["calls"]
    assert [call["outcome"] for call in calls] == ["ThrottlingException"]
    assert served.ask("POST", "/_emulator/reset", headers=account)[::2] == (204, b"")
    assert served.ask("HEAD", "/_emulator/health")[::2] == (200, b"")
    return "yes"


def reads_a_chunked_body(served: Served) -> str:
    status, _, body = served.ask("POST", UPDATE, b'{"revertTo', b'VersionId": "1"}', headers=JSON)
    assert (status, json.loads(body)["latestVersionId"]) == (200, "5")
    parts = b'{"error": ', b'{"code": "ThrottlingException"}}'
    assert (
        served.ask("POST", "/_emulator/faults", *parts, headers=JSON | {"x-emulator-account": "333333333333"})[0] == 200
    )
    return "yes"


def refuses_a_body_that_is_too_large(served: Served) -> str:
    updates = {"DICOMUpdates": {"updatableAttributes": b"x" * 1_000_000}}
    arguments = SAMPLE_IDS | {"latestVersionId": "4", "updateImageSetMetadataUpdates": updates}
    with served.client("444444444444") as client:
        code = code_of(client.update_image_set_metadata, **arguments)
    status, headers, _ = served.ask("POST", UPDATE, *[b"x" * 65536] * 17, headers=JSON)
    assert (status, headers["x-amzn-errortype"]) == (413, code) == (413, "RequestEntityTooLargeException")
    return "yes"


def keeps_an_encoded_slash(served: Served) -> str:
    """Say if a slash in an id stays in it; an ARN may hold slashes, and is found either way."""
    with served.client("555555555555") as client:
        arn = f"arn:aws:medical-imaging:us-east-1:555555555555:datastore/{DATASTORE}"
        assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {}
        code = code_of(client.list_image_set_versions, datastoreId=DATASTORE, imageSetId="a/b")
    return {"ValidationException": "yes", "UnknownOperationException": "no: 404"}[code]


def breaks_connections(served: Served) -> str:
    status, _, body = served.ask("POST", "/_emulator/faults", b'{"connection": "reset"}', headers=JSON)
    message = "only the emulator's own server can break a connection"
    assert (status, json.loads(body)["error"]["message"]) == (400, message)
    return "no: refused"


ROWS: dict[str, Callable[[Served], str]] = {
    "pages, metadata, frames, updates": lists_pages_frames_and_updates,
    "errors of the service, `HEAD`": answers_unknown_operations_and_head,
    "the control API": answers_the_control_api,
    "a chunked body": reads_a_chunked_body,
    "413 for a body that is too large": refuses_a_body_that_is_too_large,
    "`%2F` in an id is a ValidationException": keeps_an_encoded_slash,
    "connection faults": breaks_connections,
}


# The servers.


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serve(command: str, home: Path) -> Iterator[int]:
    """Start a server and wait until it listens: not every one says when it does."""
    programs = installed("other-servers") / "bin"
    with reserve_port() as port, (home / "log").open("w+") as log:
        name, *arguments = command.format(port=port).split()
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(PROGRAMS)}
        with subprocess.Popen(
            [programs / name, *arguments], env=environment, cwd=home, stdout=log, stderr=subprocess.STDOUT
        ) as process:
            try:
                until(lambda: is_listening(port) or process.poll() is not None)
                assert process.poll() is None, (home / "log").read_text()
                yield port
            finally:
                process.terminate()


def read_table() -> dict[str, dict[str, str]]:
    """Return the cells of the table in the documentation, by server and row."""
    text = (ROOT / "docs" / "running.md").read_text().partition("\n## Other servers\n")[2]
    (head, *rows) = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in re.findall(r"^\|.*", text, re.MULTILINE)
    ]
    return {server: {row[0]: row[column] for row in rows[1:]} for column, server in enumerate(head) if column}


def test_the_table_is_of_these_servers() -> None:
    assert list(read_table()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_keeps_what_its_column_says_at_the_root_and_under_a_prefix(name: str, tmp_path: Path) -> None:
    with serve(COMMANDS[name], tmp_path) as port:
        for prefix in ("", "/a%20b"):
            assert {row: check(Served(port, prefix)) for row, check in ROWS.items()} == read_table()[name]
