"""``image-set``: read and change an image set of a running emulator."""

from __future__ import annotations

import click

from ..control.bodies import NewVersion, VersionList
from ..seeds.document import SeedVersion
from .arguments import read_document
from .remote import Running, for_running, print_json, showing
from .tables import Rows, to_date

datastore_argument = click.argument("datastore_id")
image_set_argument = click.argument("image_set_id")
version_argument = click.argument("version", metavar="JSON|FILE|-")


@click.group("image-set")
def image_set() -> None:
    """Read and change an image set of a running emulator.

    Reading it here ends no operation that is under way.
    """


@image_set.command()
@showing
@datastore_argument
@image_set_argument
def show(running: Running, datastore_id: str, image_set_id: str) -> None:
    """Show all versions, newest first.

    Example: healthimaging-emulator image-set show 12345678901234567890123456789012 ea92b0d8838c72a3f25d00d13616f87e
    """
    running.show(running.ask("GET", *_path(datastore_id, image_set_id), "versions"), VersionList, _versions)


@image_set.command()
@for_running
@click.option("--version-id", help="[default: the latest]")
@datastore_argument
@image_set_argument
def metadata(running: Running, datastore_id: str, image_set_id: str, version_id: str | None) -> None:
    """Print the metadata of a version, a document in JSON.

    Example: healthimaging-emulator image-set metadata 98765432109876543210987654321098
    chestct0000000000000000000000000 --version-id 1
    """
    path = (*_path(datastore_id, image_set_id), "metadata")
    print_json(running.ask("GET", *path, query={"versionId": version_id}))


@image_set.command()
@showing
@datastore_argument
@image_set_argument
@version_argument
def append(running: Running, datastore_id: str, image_set_id: str, version: str) -> None:
    """Append a version as a seed writes one; with "after", in so many seconds.

    Example: healthimaging-emulator image-set append 12345678901234567890123456789012 ea92b0d8838c72a3f25d00d13616f87e
    '{"imageSetState": "LOCKED", "ImageSetWorkflowStatus": "UPDATING"}'
    """
    body = read_document(version, NewVersion)
    answer = running.ask("POST", *_path(datastore_id, image_set_id), "versions", body=body)
    running.show(answer, SeedVersion, _version)


@image_set.command()
@showing
@datastore_argument
@image_set_argument
@click.argument("version_id")
@version_argument
def replace(running: Running, datastore_id: str, image_set_id: str, version_id: str, version: str) -> None:
    """Replace a version, whole; with "after", in so many seconds.

    Example: healthimaging-emulator image-set replace 12345678901234567890123456789012 ea92b0d8838c72a3f25d00d13616f87e
    4 '{"imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "UPDATED"}'
    """
    body = read_document(version, NewVersion)
    answer = running.ask("PUT", *_path(datastore_id, image_set_id), "versions", version_id, body=body)
    running.show(answer, SeedVersion, _version)


@image_set.command()
@for_running
@click.option("--version-id", help="Remove only this version.")
@datastore_argument
@image_set_argument
def remove(running: Running, datastore_id: str, image_set_id: str, version_id: str | None) -> None:
    """Remove an image set as if it had never been.

    Example: healthimaging-emulator image-set remove 12345678901234567890123456789012 ea92b0d8838c72a3f25d00d13616f87e
    --version-id 4
    """
    found = running.account.image_set(datastore_id, image_set_id)
    if version_id is None:
        found.remove()
    else:
        found.remove_version(version_id)


@image_set.command()
@for_running
@datastore_argument
@image_set_argument
def finish(running: Running, datastore_id: str, image_set_id: str) -> None:
    """Finish now the operation that has locked the image set, if one is under way.

    Example: healthimaging-emulator image-set finish 12345678901234567890123456789012 ea92b0d8838c72a3f25d00d13616f87e
    """
    running.account.image_set(datastore_id, image_set_id).finish()


def _path(datastore_id: str, image_set_id: str) -> tuple[str, ...]:
    return "datastores", datastore_id, "imageSets", image_set_id


def _version(answer: SeedVersion) -> Rows:
    return _versions(VersionList([answer]))


def _versions(answer: VersionList) -> Rows:
    head = ["VERSION", "STATE", "STATUS", "CREATED", "UPDATED", "DELETED", "MORE"]
    return [head, *(_row(each) for each in answer.versions)]


def _row(version: SeedVersion) -> list[str | None]:
    return [
        version.version_id,
        version.image_set_state,
        version.image_set_workflow_status,
        to_date(version.created_at),
        to_date(version.updated_at),
        to_date(version.deleted_at),
        ", ".join(_details(version)),
    ]


def _details(version: SeedVersion) -> list[str]:
    """Return the members that few versions have."""
    primary = {True: ["primary"], False: ["not primary"], None: []}[version.is_primary]
    forced = ["forced"] if version.overrides and version.overrides.forced else []
    return [*primary, *forced, *([version.message] if version.message else [])]
