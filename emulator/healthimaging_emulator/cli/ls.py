"""``ls``: the data stores of a running emulator, and the image sets of one."""

from __future__ import annotations

import click

from ..control.bodies import DatastoreList, ImageSetList
from .remote import Running, showing
from .tables import Rows, to_date

ALL = 999_999_999
"""The largest page that can be asked for."""


@click.command()
@showing
@click.option("--limit", default=ALL, type=click.IntRange(1, ALL), help="The most image sets.  [default: all]")
@click.option("--search", help="Only the image sets whose id, state or DICOM attributes have this text.")
@click.argument("datastore_id", required=False)
def ls(running: Running, datastore_id: str | None, limit: int, search: str | None) -> None:
    """List the data stores of a running emulator, or the image sets of one with their latest versions.

    Example: healthimaging-emulator ls 12345678901234567890123456789012
    """
    if datastore_id is None and search is not None:
        raise click.UsageError("--search needs a DATASTORE_ID")
    if datastore_id is None:
        running.show(running.ask("GET", "datastores"), DatastoreList, _datastores)
    else:
        query = {"limit": limit, "search": search}
        answer = running.ask("GET", "datastores", datastore_id, "imageSets", query=query)
        running.show(answer, ImageSetList, _image_sets)


def _datastores(answer: DatastoreList) -> Rows:
    rows = [[each.datastore_id, each.status, each.name] for each in answer.datastores]
    return [["DATA STORE", "STATUS", "NAME"], *rows]


def _image_sets(answer: ImageSetList) -> Rows:
    rows = [
        [
            each.image_set_id,
            each.latest.version_id,
            each.latest.image_set_state,
            each.latest.image_set_workflow_status,
            to_date(each.latest.updated_at or each.latest.created_at),
            each.tags.get("DICOMPatientId"),
        ]
        for each in answer.image_sets
    ]
    return [["IMAGE SET", "VERSION", "STATE", "STATUS", "CHANGED", "PATIENT"], *rows]
