"""Import jobs as tests run them, with S3 in a folder."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom

from .conftest import Service

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
ROLE = "arn:aws:iam::111122223333:role/import"
DATASTORE = "d" * 32
SEED = {"datastores": [{"datastoreId": DATASTORE}]}


class Bucket:
    """A folder that holds a bucket for the input and one for the output."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "input").mkdir(parents=True)

    def put(self, name: str, key: str = "", change: Callable[[Any], None] | None = None) -> None:
        """Put a file that pydicom ships into the input, perhaps changed."""
        target = self.root / "input" / (key or f"scan/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if change is None:
            shutil.copy(SHIPPED / name, target)
            return
        dataset = pydicom.dcmread(SHIPPED / name)
        change(dataset)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(target)

    def read(self, job: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """Return the lines of an output; none if it was not written."""
        path = self.root / job["outputS3Uri"].removeprefix("s3://") / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def start(service: Service, **members: Any) -> dict[str, Any]:
    given = {
        "datastoreId": DATASTORE,
        "dataAccessRoleArn": ROLE,
        "inputS3Uri": "s3://input/scan/",
        "outputS3Uri": "s3://output/jobs",
    }
    answer = service.client.start_dicom_import_job(**given | members)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def get(service: Service, job_id: str) -> dict[str, Any]:
    return dict(service.client.get_dicom_import_job(datastoreId=DATASTORE, jobId=job_id)["jobProperties"])


def run(service: Service, **members: Any) -> dict[str, Any]:
    """Start a job, poll until it has ended, and return its properties."""
    id = start(service, **members)["jobId"]
    statuses: list[str] = []
    while not statuses or statuses[-1] not in ("COMPLETED", "FAILED"):
        job = get(service, id)
        statuses.append(job["jobStatus"])
    assert statuses[:2] == ["SUBMITTED", "IN_PROGRESS"]
    return job


def found(service: Service) -> dict[str, dict[str, Any]]:
    summaries = service.client.search_image_sets(datastoreId=DATASTORE)["imageSetsMetadataSummaries"]
    return {each["imageSetId"]: each for each in summaries}


def metadata(service: Service, image_set_id: str, **version: str) -> Any:
    blob = service.client.get_image_set_metadata(datastoreId=DATASTORE, imageSetId=image_set_id, **version)
    return json.loads(gzip.decompress(blob["imageSetMetadataBlob"].read()))
