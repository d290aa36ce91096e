"""The account to ask: AWS's or the emulator's, with a data store that holds two imported instances."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pydicom
from botocore.exceptions import ClientError
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

MOST_SECONDS = 900
"""How long a state may take to come; a data store takes minutes at AWS."""


class Account:
    """A client of HealthImaging, one of S3, and what they have made. ``pause`` is the seconds between two looks."""

    def __init__(self, client: Any, s3: Any, bucket: str, role: str, pause: float) -> None:
        self.client, self.s3, self.bucket, self.role, self.pause = client, s3, bucket, role, pause
        self.run = f"healthimaging-live-{uuid.uuid4().hex[:8]}"
        self.study, self.series, self.instances = generate_uid(), generate_uid(), (generate_uid(), generate_uid())
        self.body = b""
        client.meta.events.register("before-parse.medical-imaging", self._keep_body)
        self.datastore: str = client.create_datastore(datastoreName=self.run)["datastoreId"]

    def _keep_body(self, response_dict: dict[str, Any], **_: Any) -> None:
        body = response_dict["body"]
        self.body = body if isinstance(body, bytes) else b""

    def prepare(self) -> None:
        """Wait for the data store, and import the first image set."""
        self.wait(lambda: self.datastore_status() == "ACTIVE")
        self.import_files("first", self.make_file(1, self.instances[0]))

    def datastore_status(self, datastore: str = "") -> str:
        """Return the status of a data store, by default of the one that all are asked about."""
        answer = self.client.get_datastore(datastoreId=datastore or self.datastore)
        return str(answer["datastoreProperties"]["datastoreStatus"])

    def job(self, job: str) -> dict[str, Any]:
        """Return the properties of an import job."""
        return dict(self.client.get_dicom_import_job(datastoreId=self.datastore, jobId=job)["jobProperties"])

    def make_file(self, number: int, uid: str) -> bytes:
        """Return a DICOM file of nobody, 16 pixels wide and high."""
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, uid
        image.StudyInstanceUID, image.SeriesInstanceUID = self.study, self.series
        image.PatientID, image.PatientName, image.PatientSex = "LIVE-1", "EMULATOR^LIVE", "F"
        image.StudyDate, image.Modality, image.SeriesNumber, image.InstanceNumber = "20240101", "CT", "1", str(number)
        image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = 16, 16, 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
        image.PixelData = bytes(range(256)) * 2
        file = io.BytesIO()
        pydicom.dcmwrite(file, image, enforce_file_format=True)
        return file.getvalue()

    def import_files(self, name: str, *contents: bytes) -> dict[str, Any]:
        """Import files, and return the manifest with the lines of the failures."""
        for number, content in enumerate(contents):
            self.s3.put_object(Bucket=self.bucket, Key=f"{self.run}/{name}/{number}.dcm", Body=content)
        job = self.client.start_dicom_import_job(
            datastoreId=self.datastore,
            dataAccessRoleArn=self.role,
            inputS3Uri=f"s3://{self.bucket}/{self.run}/{name}/",
            outputS3Uri=f"s3://{self.bucket}/{self.run}/out/",
        )["jobId"]
        self.wait(lambda: self.job(job)["jobStatus"] in ("COMPLETED", "FAILED"))
        prefix = self.job(job)["outputS3Uri"].partition(f"s3://{self.bucket}/")[2]
        manifest: dict[str, Any] = json.loads(self._read(f"{prefix}job-output-manifest.json"))["jobSummary"]
        failures = self._read(f"{prefix}FAILURE/failure.ndjson") if manifest["numberOfImportedFiles"] == 0 else b""
        return manifest | {"failures": [json.loads(line) for line in failures.splitlines()]}

    def _read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def image_sets(self, **criteria: Any) -> list[dict[str, Any]]:
        """Return the image sets that a search finds."""
        answer = self.client.search_image_sets(datastoreId=self.datastore, **criteria)
        return list(answer["imageSetsMetadataSummaries"])

    def search(self, operator: str, *values: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the image sets that one filter finds."""
        return self.image_sets(searchCriteria={"filters": [{"operator": operator, "values": list(values)}]})

    def get(self, image_set: str, **version: str) -> dict[str, Any]:
        """Return the properties of an image set."""
        return dict(self.client.get_image_set(datastoreId=self.datastore, imageSetId=image_set, **version))

    def state(self, image_set: str) -> str:
        """Return the state of an image set, or "gone"."""
        try:
            return str(self.get(image_set)["imageSetState"])
        except self.client.exceptions.ResourceNotFoundException:
            return "gone"

    def _is_gone(self, image_set: str) -> bool:
        return self.state(image_set) in ("DELETED", "gone")

    def settle(self, image_set: str) -> dict[str, Any]:
        """Wait until an image set is not LOCKED, and return its properties."""
        self.wait(lambda: self.state(image_set) != "LOCKED")
        return self.get(image_set)

    def update(self, image_set: str, latest: str, updates: dict[str, Any], *, removable: bool = False) -> Any:
        """Begin an update."""
        name = "removableAttributes" if removable else "updatableAttributes"
        document = {name: json.dumps({"SchemaVersion": 1.1} | updates).encode()}
        return self.client.update_image_set_metadata(
            datastoreId=self.datastore,
            imageSetId=image_set,
            latestVersionId=latest,
            updateImageSetMetadataUpdates={"DICOMUpdates": document},
        )

    def copy(self, image_set: str, latest: str, destination: tuple[str, str] | None = None, **options: Any) -> Any:
        """Begin a copy."""
        information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": latest}}
        if destination:
            information["destinationImageSet"] = dict(zip(("imageSetId", "latestVersionId"), destination, strict=True))
        return self.client.copy_image_set(
            datastoreId=self.datastore, sourceImageSetId=image_set, copyImageSetInformation=information, **options
        )

    def wait(self, condition: Callable[[], bool]) -> None:
        """Look until a condition holds. Raises ``TimeoutError`` if it never does."""
        end = time.monotonic() + MOST_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"it took more than {MOST_SECONDS} seconds")
            time.sleep(self.pause)

    def clean_up(self) -> None:
        """Delete all that was made."""
        self.wait(lambda: self.datastore_status() != "CREATING")
        for each in self.image_sets():
            self.settle(each["imageSetId"])
            self.client.delete_image_set(datastoreId=self.datastore, imageSetId=each["imageSetId"])
            self.wait(partial(self._is_gone, each["imageSetId"]))
        self.wait(self._delete_datastore)
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.run}/").get("Contents", [])
        for each in listed:
            self.s3.delete_object(Bucket=self.bucket, Key=each["Key"])

    def _delete_datastore(self) -> bool:
        """Delete the data store if its image sets are gone."""
        try:
            self.client.delete_datastore(datastoreId=self.datastore)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConflictException":
                raise
            return False
        return True


def refusal(call: Callable[[], Any]) -> str:
    """Return code and message of the error that a call raises."""
    try:
        call()
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return "no error"
