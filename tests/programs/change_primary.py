"""AWS's recipe to change a primary image set: change a copy of it, and put a copy of that in its place.

Here the UID of the study changes, which the service does not allow in a primary image set itself.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from typing import Any

import boto3

CHANGES = {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyInstanceUID": "1.2.840.99999.20"}}}


class Patient:
    """The image sets of a patient. Each has a name, to show it by."""

    def __init__(self, datastore_id: str, patient_id: str) -> None:
        self._client: Any = boto3.client("medical-imaging")
        self._datastore_id = datastore_id
        self._filter = {"operator": "EQUAL", "values": [{"DICOMPatientId": patient_id}]}
        self._names = dict.fromkeys(self.find(), "original")

    def find(self, *filters: Any) -> list[str]:
        """Return ids of image sets, in the order of their creation."""
        criteria = {"filters": [self._filter, *filters], "sort": {"sortField": "createdAt", "sortOrder": "ASC"}}
        answer = self._client.search_image_sets(datastoreId=self._datastore_id, searchCriteria=criteria)
        return [summary["imageSetId"] for summary in answer["imageSetsMetadataSummaries"]]

    def ids(self, name: str, member: str = "imageSetId") -> Any:
        (id,) = [id for id in self._names if self._names[id] == name]
        return {"datastoreId": self._datastore_id, member: id}

    def wait(self, name: str) -> Any:
        """Return the properties of an image set, as soon as it is not LOCKED."""
        while (found := self._client.get_image_set(**self.ids(name)))["imageSetState"] == "LOCKED":
            time.sleep(0.01)  # take longer if somebody pays for the requests
        return found

    def show(self, title: str, begun: str) -> None:
        """Show a step that has begun, and all image sets after it: those that there are, and those that are found."""
        print(f"{title}: {begun}")
        for name in self._names.values():
            found = self.wait(name)
            kind = "primary" if found["isPrimary"] else "not primary"
            print(f"  {name} {found['versionId']}: {found['imageSetState']} {found['imageSetWorkflowStatus']}, {kind}")
        primary = {"operator": "EQUAL", "values": [{"isPrimary": True}]}
        for kind, ids in ("found", self.find()), ("primary", self.find(primary)):
            print(f"  {kind}: {', '.join(self._names[id] for id in ids) or 'none'}")

    def copy(self, source: str, name: str, **options: bool) -> None:
        information = {"sourceImageSet": {"latestVersionId": self.wait(source)["versionId"]}}
        answer = self._client.copy_image_set(
            **self.ids(source, "sourceImageSetId"), copyImageSetInformation=information, **options
        )
        begun = answer["destinationImageSetProperties"]
        self._names[begun["imageSetId"]] = name
        self.show(f"copy of the {source}", f"{begun['latestVersionId']} {begun['imageSetWorkflowStatus']}")

    def update(self, name: str, changes: Any) -> None:
        answer = self._client.update_image_set_metadata(
            **self.ids(name),
            latestVersionId=self.wait(name)["versionId"],
            updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(changes).encode()}},
            force=True,
        )
        self.show(f"update of the {name}", f"{answer['latestVersionId']} {answer['imageSetWorkflowStatus']}")

    def delete(self, name: str) -> None:
        answer = self._client.delete_image_set(**self.ids(name))
        self.show(f"deletion of the {name}", answer["imageSetWorkflowStatus"])

    def read_study(self, name: str) -> Any:
        answer = self._client.get_image_set_metadata(**self.ids(name))
        return json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))["Study"]["DICOM"]["StudyInstanceUID"]


def main(datastore_id: str, patient_id: str) -> None:
    patient = Patient(datastore_id, patient_id)
    patient.copy("original", "draft")
    patient.update("draft", CHANGES)
    patient.delete("original")
    patient.copy("draft", "successor", promoteToPrimary=True)
    patient.delete("draft")
    print(f"study of the successor: {patient.read_study('successor')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
