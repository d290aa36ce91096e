"""Published software, unmodified, run as its users run it: with ``exec`` in front, from the wheel."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.demo import DATASTORE, MANY, SAMPLE

from .conftest import Program

Clients = Callable[[str], Program]
Expected = dict[tuple[str, str], list[dict[str, Any]]]


def executed(the: Clients, name: str, **arguments: str) -> Any:
    emulator = Program("emulator", [str(the("boto3").folder / "bin" / "healthimaging-emulator")], the(name).folder)
    finished = emulator.run("exec", "--", *the(name).command, json.dumps(arguments))
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_the_healthimaging_mcp_server_lists_versions_but_no_status(the: Clients, expected: Expected) -> None:
    """It reads ``imageSetWorkflowStatus``; this operation spells it ``ImageSetWorkflowStatus``. Its mocks do not."""
    listed = executed(the, "mcp-server", datastore_id=DATASTORE, image_set_id=SAMPLE)["image_set_properties_list"]
    wire = expected[DATASTORE, SAMPLE]
    assert [entry["version_id"] for entry in listed] == [entry["versionId"] for entry in wire] == ["4", "3", "2", "1"]
    assert [entry["message"] for entry in listed] == [entry.get("message") for entry in wire]
    assert [entry["ImageSetWorkflowStatus"] for entry in wire] == ["UPDATED", "UPDATED", "COPY_FAILED", "COPIED"]
    assert [entry["image_set_workflow_status"] for entry in listed] == [None] * 4


def test_capo_lists_every_page(the: Clients, expected: Expected) -> None:
    listed = executed(the, "capo", datastore_id=DATASTORE, image_set_id=MANY)
    wire = expected[DATASTORE, MANY]
    names = {
        "versionId": "version_id",
        "ImageSetWorkflowStatus": "image_set_workflow_status",
        "createdAt": "created_at",
    }
    for ours in names:
        assert [entry.get(names[ours]) for entry in listed] == [entry.get(ours) for entry in wire]
