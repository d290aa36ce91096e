"""The backend of a web viewer, by raw signed HTTP: find a patient's image sets, and open them with every frame.

It asks as viewers on the web do: it repeats its query in a JSON body, also for operations that have none, puts
nextToken into the URL as it is, and names a frame in the URL too.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Viewer:
    """A viewer of one data store. It reads the same variables of the environment as SDKs do."""

    def __init__(self, connection: HTTPConnection, url: str, datastore_id: str) -> None:
        self._connection, self._url = connection, url
        self._datastore = f"/datastore/{datastore_id}"
        key = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        self._signer = SigV4Auth(key, "medical-imaging", os.environ["AWS_REGION"])

    def post(self, path: str, body: Any, accept: str = "application/json", **query: object) -> tuple[str, bytes]:
        """Return the content type and the body of an answer. Raise LookupError for what is not found."""
        target = f"{self._datastore}/{path}?" + "&".join(f"{name}={value}" for name, value in query.items())
        headers = {"Accept": accept, "Content-Type": "application/json"}
        signed = AWSRequest("POST", self._url + target, headers, json.dumps(body | query))
        self._signer.add_auth(signed)
        self._connection.request("POST", target, signed.data, dict(signed.headers.items()))
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status == 404:
            raise LookupError(answer.headers["x-amzn-ErrorType"], json.loads(content)["message"])
        assert answer.status == 200, (answer.status, content)
        return answer.headers["Content-Type"], content

    def pages(self, path: str, body: Any, size: int) -> Iterator[Any]:
        """Yield the pages of a list."""
        page = json.loads(self.post(path, body, maxResults=size)[1])
        yield page
        while page["nextToken"]:
            page = json.loads(self.post(path, body, maxResults=size, nextToken=page["nextToken"])[1])
            yield page

    def open(self, image_set_id: str) -> None:
        """Show an image set: its properties, its attributes, its frames and its versions."""
        path = f"imageSet/{image_set_id}"
        found = json.loads(self.post(f"{path}/getImageSet", {"versionId": "1"})[1])
        print("version", found["versionId"], found["imageSetState"], found["imageSetWorkflowStatus"])
        content_type, content = self.post(f"{path}/getImageSetMetadata", {})
        document = json.loads(gzip.decompress(content))
        print(content_type, document["Patient"]["DICOM"]["PatientName"], document["Study"]["DICOM"]["StudyDescription"])
        for series in document["Study"]["Series"].values():
            for instance in series["Instances"].values():
                for frame in instance["ImageFrames"]:
                    self.show_frame(f"{path}/getImageFrame", frame["ID"])
        for page in self.pages(f"{path}/listImageSetVersions", {}, size=2):
            print("page of", *[(row["versionId"], row["updatedAt"]) for row in page["imageSetPropertiesList"]])

    def show_frame(self, path: str, frame_id: str) -> None:
        """Show a frame, or why it cannot be shown."""
        try:
            print(*self.post(path, {}, accept="image/jph", imageFrameId=frame_id))
        except LookupError as error:
            print(*error.args)


def main(datastore_id: str, patient_id: str) -> None:
    url = os.environ["AWS_ENDPOINT_URL_MEDICAL_IMAGING"]
    with closing(HTTPConnection(urlsplit(url).netloc)) as connection:
        viewer = Viewer(connection, url, datastore_id)
        for page in viewer.pages("searchImageSets", {}, size=1):
            print("found", *[summary["DICOMTags"]["DICOMPatientId"] for summary in page["imageSetsMetadataSummaries"]])
        patient = {"operator": "EQUAL", "values": [{"DICOMPatientId": patient_id}]}
        for page in viewer.pages("searchImageSets", {"filters": [patient]}, size=10):
            for summary in page["imageSetsMetadataSummaries"]:
                viewer.open(summary["imageSetId"])


if __name__ == "__main__":
    main(*sys.argv[1:])
