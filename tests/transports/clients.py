"""Calls of boto3 that the tests of both transports share."""

from __future__ import annotations

from typing import Any

from healthimaging_emulator import Emulator
from tests.conftest import DEMO
from tests.demo import DATASTORE, SAMPLE

IDS = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}


def newest(client: Any) -> str:
    """Return the number of the sample's newest version: 4 in the demo."""
    return str(client.list_image_set_versions(**IDS)["imageSetPropertiesList"][0]["versionId"])


def make_other_emulator() -> Emulator:
    """Return an emulator whose sample has five versions."""
    emulator = Emulator.from_seed(DEMO)
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    return emulator
