"""A pipeline that writes metadata with boto3, and takes every refusal of the service as it comes."""

from __future__ import annotations

import gzip
import json
import sys
import time
from typing import Any

import boto3


class Pipeline:
    """Writes to one image set."""

    def __init__(self, datastore_id: str, image_set_id: str) -> None:
        self._client: Any = boto3.client("medical-imaging")
        self._ids = {"datastoreId": datastore_id, "imageSetId": image_set_id}

    def wait(self) -> str:
        """Wait until no write is going on, and return the number of the latest version."""
        while True:
            found = self._client.get_image_set(**self._ids)
            print("poll:", found["versionId"], found["imageSetState"], found["imageSetWorkflowStatus"])
            if found["imageSetState"] != "LOCKED":
                return str(found["versionId"])
            time.sleep(0.01)  # take longer if somebody pays for the requests

    def rename(self, version: str, name: str) -> str:
        """Change the patient's name; return the number of the version that is being written."""
        document = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": name}}}
        return self.write(version, {"DICOMUpdates": {"updatableAttributes": json.dumps(document).encode()}})

    def write(self, version: str, updates: Any) -> str:
        """Write a new version behind another one, and try again behind the latest until it is accepted."""
        errors = self._client.exceptions
        while True:
            try:
                answer = self._client.update_image_set_metadata(
                    **self._ids, latestVersionId=version, updateImageSetMetadataUpdates=updates
                )
            except (errors.ConflictException, errors.ResourceNotFoundException) as error:
                print("refused:", error.response["Error"]["Message"])
                version = self.wait()
            else:
                print("write:", answer["latestVersionId"], answer["imageSetState"], answer["imageSetWorkflowStatus"])
                return str(answer["latestVersionId"])

    def read(self) -> str:
        """Return the patient's name, as soon as the latest version can be read."""
        while True:
            try:
                answer = self._client.get_image_set_metadata(**self._ids)
            except self._client.exceptions.ConflictException as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                print("refused:", status, error.response["Error"]["Message"])
                time.sleep(0.01)
            else:
                document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
                return str(document["Patient"]["DICOM"]["PatientName"])

    def delete(self) -> None:
        """Delete the image set. If it cannot be deleted, it is being deleted, or somebody else has done it."""
        try:
            print("delete:", self._client.delete_image_set(**self._ids)["imageSetWorkflowStatus"])
        except (
            self._client.exceptions.ConflictException,
            self._client.exceptions.ResourceNotFoundException,
        ) as error:
            print("delete: done already,", error.response["Error"]["Code"])


def main(datastore_id: str, image_set_id: str) -> None:
    pipeline = Pipeline(datastore_id, image_set_id)
    second = pipeline.rename("1", "TEST^A")
    pipeline.rename(second, "TEST^B")  # while the second version is being written
    print("read:", pipeline.read())  # while the third one is
    pipeline.rename(second, "TEST^C")  # which is not the latest any more
    pipeline.write(pipeline.wait(), {"revertToVersionId": "1"})
    print("read:", pipeline.read())
    pipeline.delete()
    pipeline.delete()


if __name__ == "__main__":
    main(*sys.argv[1:])
