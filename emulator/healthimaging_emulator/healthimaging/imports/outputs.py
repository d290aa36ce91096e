"""The objects that an import job writes below its output location, as AWS's samples show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from ..records import ImportJob

SERVER_ERROR = "InternalServerException"


class Imported(NamedTuple):
    """The version of an image set that a file is in."""

    image_set_id: str
    version: int
    is_primary: bool


class Failure(NamedTuple):
    """The reason why a file is not imported."""

    message: str
    type: str = "ValidationException"

    @property
    def is_of_server(self) -> bool:
        """Whether the file itself is not the reason."""
        return self.type == SERVER_ERROR


@dataclass
class Outcome:
    """The outcome of each file: the image set that it is in, or its failure."""

    imported: dict[str, Imported] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)


def write_outputs(job: ImportJob, outcome: Outcome) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each object."""
    if outcome.imported:
        yield "SUCCESS/success.ndjson", _write_lines(_describe_success(*each) for each in outcome.imported.items())
    if outcome.failed:
        yield "FAILURE/failure.ndjson", _write_lines(_describe_failure(*each) for each in outcome.failed.items())
    yield "job-output-manifest.json", msgspec.json.encode({"jobSummary": _summarize(job, outcome)})


def _write_lines(lines: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def _describe_success(key: str, imported: Imported) -> dict[str, Any]:
    response = {
        "imageSetId": imported.image_set_id,
        "imageSetVersion": imported.version,
        "isPrimary": imported.is_primary,
    }
    return {"inputFile": key, "importResponse": response}


def _describe_failure(key: str, failure: Failure) -> dict[str, Any]:
    return {"inputFile": key, "exception": {"exceptionType": failure.type, "message": failure.message}}


def _summarize(job: ImportJob, outcome: Outcome) -> dict[str, Any]:
    image_sets: dict[Imported, int] = {}
    for each in outcome.imported.values():
        image_sets[each] = image_sets.get(each, 0) + 1
    of_server = sum(failure.is_of_server for failure in outcome.failed.values())
    return {
        "jobId": job.job_id,
        "datastoreId": job.datastore_id,
        "inputS3Uri": job.input_s3_uri,
        "outputS3Uri": job.output_s3_uri,
        "successOutputS3Uri": f"{job.output_s3_uri}SUCCESS/",
        "failureOutputS3Uri": f"{job.output_s3_uri}FAILURE/",
        "warningsOutputS3Uri": f"{job.output_s3_uri}WARNING/",
        "numberOfScannedFiles": len(outcome.imported) + len(outcome.failed),
        "numberOfImportedFiles": len(outcome.imported),
        "numberOfFilesWithCustomerError": len(outcome.failed) - of_server,
        "numberOfFilesWithServerError": of_server,
        "numberOfGeneratedImageSets": len(image_sets),
        "imageSetsSummary": [
            {
                "imageSetId": each.image_set_id,
                "imageSetVersion": each.version,
                "isPrimary": each.is_primary,
                "numberOfMatchedSOPInstances": count,
            }
            for each, count in image_sets.items()
        ],
    }
