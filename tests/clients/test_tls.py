"""Real clients over TLS, and how they refuse a certificate that they do not trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from healthimaging_emulator import Emulator
from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.server.tls import make_self_signed
from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY

from .conftest import Program
from .test_sdks import SDKS, do, listing

Clients = Callable[[str], Program]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls") / "ca.pem"


@pytest.fixture(scope="module")
def encrypted(authority: Path) -> Iterator[Server]:
    context, pem = make_self_signed()
    authority.write_bytes(pem)
    with Emulator.from_seed(DEMO).serve(tls=context) as server:
        yield server


@pytest.mark.parametrize("name", SDKS)
def test_an_authority_that_is_trusted(the: Clients, encrypted: Server, authority: Path, name: str) -> None:
    options: dict[str, Any] = {"environment": {"NODE_EXTRA_CA_CERTS": str(authority)}}
    if name != "javascript":
        options = {"client": {"verify": str(authority)}}
    ((*pages,),) = do(the(name), encrypted, listing() | {"paginate": True}, **options)["results"]
    assert [len(page["imageSetPropertiesList"]) for page in pages] == [50, 50, 37]


def test_the_aws_cli(the: Clients, encrypted: Server, authority: Path) -> None:
    command = ["list-image-set-versions", "--datastore-id", DATASTORE, "--image-set-id", MANY]
    command += ["--endpoint-url", make_endpoint(encrypted.url)]
    finished = the("aws-cli").run(*command, "--ca-bundle", str(authority))
    assert len(json.loads(finished.stdout)["imageSetPropertiesList"]) == 137
    refused = the("aws-cli").run(*command, environment={"AWS_MAX_ATTEMPTS": "1"})
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr
