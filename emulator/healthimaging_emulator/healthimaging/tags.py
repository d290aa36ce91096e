"""Tags of data stores and image sets, which an ARN names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import structs

from ..aws.errors import ValidationException
from .context import Context
from .messages import not_found

MOST_TAGS = 50
"""Tags that a resource can have (AWS's developer guide)."""

_RESOURCE = re.compile(
    "arn:[^:]+:medical-imaging:[^:]+:([0-9]{12}):datastore/([0-9a-z]{32})(?:/imageset/([0-9a-z]{32}))?"
)

Tags = Mapping[str, str]


def read_tags_of(context: Context, arn: str) -> dict[str, str]:
    """Return the tags of a resource. Raises ``ResourceNotFoundException``."""
    datastore_id, image_set_id = _find(context, arn)
    if image_set_id is None:
        return dict(context.store.existing_datastore(datastore_id).tags)
    return dict(context.store.image_set(datastore_id, image_set_id).tags)


def change_tags(context: Context, arn: str, make: Callable[[Tags], dict[str, str]]) -> None:
    """Replace the tags of a resource by others, made from them.

    Raises ``ResourceNotFoundException``, and ``ValidationException`` for more tags than a resource can have.
    """
    datastore_id, image_set_id = _find(context, arn)
    with context.change() as change:
        if image_set_id is None:
            record = change.datastore(datastore_id)
            change.datastores[datastore_id] = structs.replace(record, tags=check_tags(make(record.tags)))
        else:
            draft = change.image_set(datastore_id, image_set_id)
            draft.require_existing()
            draft.record = structs.replace(draft.record, tags=check_tags(make(draft.record.tags)))


def _find(context: Context, arn: str) -> tuple[str, str | None]:
    """Return the data store and the image set of an ARN of the caller's account."""
    found = _RESOURCE.fullmatch(arn)
    if found is None or found[1] != context.caller.account or not _exists(context, found[2], found[3]):
        raise not_found({"resourceArn": [arn]})
    return found[2], found[3]


def _exists(context: Context, datastore_id: str, image_set_id: str | None) -> bool:
    datastore = context.store.find_datastore(datastore_id)
    if datastore is None or datastore.status == "DELETED":
        return False
    image_set = context.store.find(datastore_id, image_set_id) if image_set_id else None
    return image_set_id is None or (image_set is not None and image_set.latest.image_set_state != "DELETED")


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return tags. Raises ``ValidationException`` for more than a resource can have."""
    if len(tags) > MOST_TAGS:
        raise ValidationException(f"A resource can have at most {MOST_TAGS} tags.")
    return tags
