"""Every way past the host prefix, with every client for which it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from healthimaging_emulator.server.listener import Server
from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import DEMO
from tests.demo import DATASTORE, SAMPLE

from .conftest import PROGRAMS, Program

Clients = Callable[[str], Program]

BOTO3 = ["boto3-1.28.6", "boto3"]
PYTHON = [*BOTO3, "aiobotocore"]


def lists_the_sample(
    program: Program, endpoint: str | None, environment: dict[str, str] | None = None, **job: Any
) -> bool:
    arguments = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    if program.name == "aws-cli":
        command = ["list-image-set-versions", "--datastore-id", DATASTORE, "--image-set-id", SAMPLE]
        command += ["--endpoint-url", endpoint] if endpoint else []
        finished = program.run(*command, environment=environment)
        assert finished.returncode == 0, finished.stderr
        page = json.loads(finished.stdout)
    else:
        operation = "ListImageSetVersions" if program.name == "javascript" else "list_image_set_versions"
        option = "endpoint" if program.name == "javascript" else "endpoint_url"
        options = {"client": ({option: endpoint} if endpoint else {}) | job.pop("client", {})}
        calls = [{"operation": operation, "arguments": arguments}]
        ((page,),) = program.do(options | job | {"calls": calls}, environment)["results"]
    return [entry["versionId"] for entry in page["imageSetPropertiesList"]] == ["4", "3", "2", "1"]


@pytest.mark.parametrize("name", [*BOTO3, "aws-cli"])
def test_an_endpoint_with_a_user_part(the: Clients, demo_server: Server, name: str) -> None:
    assert lists_the_sample(the(name), make_endpoint(demo_server.url))


@pytest.mark.parametrize("name", [*BOTO3, "aws-cli"])
def test_an_endpoint_with_a_user_part_from_the_environment(the: Clients, demo_server: Server, name: str) -> None:
    variables = {"AWS_ENDPOINT_URL_MEDICAL_IMAGING": make_endpoint(demo_server.url)}
    assert lists_the_sample(the(name), None, variables)


@pytest.mark.parametrize("name", ["boto3", "aws-cli", "aiobotocore"])
def test_the_prefix_switched_off_by_the_environment(the: Clients, demo_server: Server, name: str) -> None:
    assert lists_the_sample(the(name), None, demo_server.environment)


@pytest.mark.parametrize("name", PYTHON)
def test_the_prefix_switched_off_in_python(the: Clients, demo_server: Server, name: str) -> None:
    assert lists_the_sample(the(name), demo_server.url, config={"inject_host_prefix": False})


def test_the_prefix_switched_off_in_javascript(the: Clients, demo_server: Server) -> None:
    assert lists_the_sample(the("javascript"), demo_server.url, client={"disableHostPrefix": True})


@pytest.mark.parametrize("name", [*PYTHON, "aws-cli", "javascript"])
def test_a_name_that_resolves_with_the_prefix(the: Clients, demo_server: Server, name: str) -> None:
    resolver = (
        {"NODE_OPTIONS": f"--require {PROGRAMS / 'resolver.cjs'}"}
        if name == "javascript"
        else {"PYTHONPATH": str(PROGRAMS / "resolver")}
    )
    assert lists_the_sample(the(name), f"http://emulator.test:{demo_server.port}", resolver)


@pytest.mark.parametrize("name", [*PYTHON, "aws-cli"])
def test_the_emulator_as_a_proxy(the: Clients, demo_server: Server, name: str) -> None:
    assert lists_the_sample(the(name), "http://medical-imaging.test", {"HTTP_PROXY": demo_server.url})


@pytest.mark.parametrize("name", BOTO3)
def test_no_socket_at_all(the: Clients, name: str) -> None:
    assert lists_the_sample(the(name), None, seed=str(DEMO))
