"""The names in ``fixtures/demo.json``, and what stands there."""

from __future__ import annotations

DATASTORE = "12345678901234567890123456789012"
OTHER_DATASTORE = "98765432109876543210987654321098"
SAMPLE = "ea92b0d8838c72a3f25d00d13616f87e"
ONE, FIFTY, FIFTY_ONE, MANY = (str(number).rjust(32, "0") for number in (1, 50, 51, 137))
UNKNOWN = "f" * 32
CHEST_CT, HEAD_MR, HEAD_MR_COPY, OTHER_CT, DUPLICATE_CT, KNEE_MR = (
    f"{name:0<32}" for name in ("chestct", "headmr", "headmrcopy", "otherct", "duplicatect", "kneemr")
)
"""Image sets with metadata and frames, in the other data store; made by ``make_demo``."""


def path(image_set_id: str = SAMPLE, datastore_id: str = DATASTORE) -> str:
    return f"/datastore/{datastore_id}/imageSet/{image_set_id}/listImageSetVersions"
