"""Events: the messages that HealthImaging would send to Amazon EventBridge when a state changes.

https://docs.aws.amazon.com/healthimaging/latest/devguide/event-notifications.html
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..aws.arn import make_arn
from ..identifiers import make_uuid
from .messages import SERVICE
from .records import Datastore, ImageSet, ImportJob

MOST_EVENTS = 10_000
"""Events that are kept of an account; older ones are dropped."""

DATASTORE_EVENTS = {
    "CREATING": "Data Store Creating",
    "CREATE_FAILED": "Data Store Creation Failed",
    "ACTIVE": "Data Store Created",
    "DELETING": "Data Store Deleting",
    "DELETED": "Data Store Deleted",
}
JOB_EVENTS = {
    "SUBMITTED": "Import Job Submitted",
    "IN_PROGRESS": "Import Job In Progress",
    "COMPLETED": "Import Job Completed",
    "FAILED": "Import Job Failed",
}
IMAGE_SET_EVENTS = {
    "CREATED": "Image Set Created",
    "COPYING": "Image Set Copying",
    "COPYING_WITH_READ_ONLY_ACCESS": "Image Set Copying With Read Only Access",
    "COPIED": "Image Set Copied",
    "COPY_FAILED": "Image Set Copy Failed",
    "UPDATING": "Image Set Updating",
    "UPDATED": "Image Set Updated",
    "UPDATE_FAILED": "Image Set Update Failed",
    "DELETING": "Image Set Deleting",
    "DELETED": "Image Set Deleted",
}
"""The ``detail-type`` of each status. AWS lists none for the statuses of an import that joins an image set."""


class Event(NamedTuple):
    """A change of a state. ``date`` is in epoch seconds."""

    id: str
    detail_type: str
    date: float
    detail: dict[str, Any]

    @property
    def resource(self) -> str:
        """The data store or the image set, as an ARN names it."""
        datastore, image_set = f"datastore/{self.detail['datastoreId']}", self.detail.get("imageSetId")
        return datastore if image_set is None else f"{datastore}/imageset/{image_set}"

    def to_message(self, account: str, region: str) -> dict[str, Any]:
        """Return the event as EventBridge delivers it."""
        return {
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": f"aws.{SERVICE}",
            "account": account,
            "time": datetime.fromtimestamp(int(self.date), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [make_arn(SERVICE, region, account, self.resource)],
            "detail": {"imagingVersion": "1.0"} | self.detail,
        }


class Events:
    """The events of one account, oldest first. The last ``MOST_EVENTS`` are kept.

    ``publish`` is called with each event, under the lock of the store.
    """

    def __init__(self, publish: Callable[[Event], None] | None = None) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)

    def clear(self) -> None:
        """Forget all events."""
        with self._lock:
            self._events.clear()

    def behind(self, id: str) -> list[Event]:
        """Return the events behind the one of an id; all of them if there is none of this id (any more)."""
        with self._lock:
            events = list(self._events)
        ids = [event.id for event in events]
        return events[ids.index(id) + 1 :] if id in ids else events

    def add_datastore(self, before: Datastore | None, now: Datastore, date: float) -> None:
        """Note that a data store is written, if its status changes."""
        was = None if before is None else before.status
        if now.status == was or (now.status == "ACTIVE" and was != "CREATING"):  # its deletion has failed
            return
        detail = {"datastoreId": now.datastore_id, "datastoreName": now.name, "datastoreStatus": now.status}
        self._add(DATASTORE_EVENTS[now.status], date, detail)

    def add_job(self, job: ImportJob, date: float) -> None:
        """Note that the status of an import job changes."""
        detail = {
            "datastoreId": job.datastore_id,
            "jobId": job.job_id,
            "jobName": job.name,
            "jobStatus": job.status,
            "inputS3Uri": job.input_s3_uri,
            "outputS3Uri": job.output_s3_uri,
        }
        self._add(JOB_EVENTS[job.status], date, detail)

    def add_image_set(self, before: ImageSet | None, now: ImageSet, date: float) -> None:
        """Note that an image set is written, if the latest version or its status changes."""
        latest, status = now.latest, now.latest.image_set_workflow_status
        is_same = before is not None and (before.latest.version_id, before.latest.image_set_workflow_status) == (
            latest.version_id,
            status,
        )
        if is_same or status not in IMAGE_SET_EVENTS:
            return
        detail = {
            "datastoreId": now.datastore_id,
            "imageSetId": now.image_set_id,
            "imageSetState": latest.image_set_state,
            "imageSetWorkflowStatus": status,
            "imageSetVersion": latest.version_id,
            "isPrimary": latest.is_primary,
        }
        self._add(IMAGE_SET_EVENTS[status], date, detail)

    def _add(self, detail_type: str, date: float, detail: dict[str, Any]) -> None:
        given = {name: value for name, value in detail.items() if value is not None}
        event = Event(make_uuid(), detail_type, date, given)
        with self._lock:
            self._events.append(event)
        if self._publish is not None:
            self._publish(event)
