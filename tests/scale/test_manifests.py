"""The compose file and the manifest for Kubernetes, as far as they can be tried where neither runs."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.conftest import ROOT

from .balancers import BALANCERS, SCALE, Software

COMPOSE = yaml.safe_load((SCALE / "compose.yaml").read_text())["services"]
KUSTOMIZATION = yaml.safe_load((SCALE / "kustomization.yaml").read_text())
(GENERATED,) = KUSTOMIZATION["configMapGenerator"]
CONFIG_MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": GENERATED["name"]},
    "data": {name: (SCALE / name).read_text() for name in GENERATED["files"]},
}
MANIFESTS: list[dict[str, Any]] = [
    *(each for name in KUSTOMIZATION["resources"] for each in yaml.safe_load_all((SCALE / name).read_text())),
    CONFIG_MAP,
]
REPLICAS = ["emulator-0", "emulator-1", "emulator-2"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def manifest(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in MANIFESTS if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return dict(found)


def container(kind: str, name: str) -> dict[str, Any]:
    (only,) = manifest(kind, name)["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("software", BALANCERS, ids=lambda software: software.name)
def test_each_balancer_has_the_same_replicas(software: Software) -> None:
    found = re.findall(software.address[0], (SCALE / software.file).read_text())
    assert [re.findall(r"emulator-\d", each) for each in found] == [[name] for name in REPLICAS]


def test_compose_has_the_replicas_of_the_balancer() -> None:
    assert [name for name in COMPOSE if name.startswith("emulator-")] == REPLICAS
    assert COMPOSE["emulator"]["depends_on"] == {name: {"condition": "service_healthy"} for name in REPLICAS}
    for name in REPLICAS:
        assert (SCALE / COMPOSE[name]["build"] / "Dockerfile").samefile(ROOT / "Dockerfile")
        assert COMPOSE[name]["environment"] == {"HEALTHIMAGING_EMULATOR_CONTROL_HOST": "emulator"}
    assert "\nHEALTHCHECK " in DOCKERFILE


def test_compose_gives_the_balancer_its_configuration_and_its_names() -> None:
    (mounted,) = COMPOSE["emulator"]["volumes"]
    assert (SCALE / mounted.partition(":")[0]).exists()
    assert COMPOSE["emulator"]["networks"]["default"]["aliases"] == ["runtime-emulator"]


@pytest.mark.parametrize("each", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_a_manifest_fits_the_schema_of_kubernetes(each: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(each, version, strict=True)


def test_the_replicas_have_the_names_that_the_balancer_asks_for() -> None:
    replicas, balancer = manifest("StatefulSet", "emulator")["spec"], container("Deployment", "balancer")
    assert [f"emulator-{number}" for number in range(replicas["replicas"])] == REPLICAS
    assert manifest("Service", replicas["serviceName"])["spec"]["clusterIP"] == "None"
    environment = {each["name"]: each.get("value") for each in balancer["env"]}
    assert environment["REPLICA_DOMAIN"] == f".{replicas['serviceName']}.$(NAMESPACE).svc.cluster.local"
    assert list(environment) == ["NAMESPACE", "REPLICA_DOMAIN"]  # in this order, for the one refers to the other


@pytest.mark.parametrize(
    ("service", "kind", "name"),
    [
        ("replicas", "StatefulSet", "emulator"),
        ("emulator", "Deployment", "balancer"),
        ("runtime-emulator", "Deployment", "balancer"),
    ],
)
def test_a_service_finds_its_pods(service: str, kind: str, name: str) -> None:
    spec, pods = manifest("Service", service)["spec"], manifest(kind, name)["spec"]
    assert spec["selector"] == pods["selector"]["matchLabels"] == pods["template"]["metadata"]["labels"]
    (port,) = container(kind, name)["ports"]
    assert [each["port"] for each in spec["ports"]] == [port["containerPort"]] == [4580]
    assert all(each.get("targetPort", "http") == port["name"] for each in spec["ports"])


def test_the_balancer_reads_the_generated_configuration() -> None:
    (mount,) = container("Deployment", "balancer")["volumeMounts"]
    (volume,) = manifest("Deployment", "balancer")["spec"]["template"]["spec"]["volumes"]
    assert (mount["name"], volume["configMap"]["name"]) == (volume["name"], CONFIG_MAP["metadata"]["name"])
    (compose_mount,) = COMPOSE["emulator"]["volumes"]
    assert compose_mount.split(":")[1] == f"{mount['mountPath']}/{GENERATED['files'][0]}"


def test_the_control_api_is_called_by_the_name_of_the_balancer() -> None:
    assert container("StatefulSet", "emulator")["env"] == [
        {"name": "HEALTHIMAGING_EMULATOR_CONTROL_HOST", "value": "emulator"}
    ]
    assert "USER 10001" in DOCKERFILE
    assert container("StatefulSet", "emulator")["securityContext"]["runAsUser"] == 10001
