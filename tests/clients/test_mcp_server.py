"""AWS Labs' HealthImaging MCP server, version 0.1.1, unmodified: the tools that work, and those that cannot and why.

Every failure here is the server's own. Its own tests mock boto3, which hides that.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest

from tests.demo import DATASTORE, SAMPLE

from .conftest import DOCUMENT, FRAME, HEAD, PIXELS, SEED, Program

Use = Callable[..., list[Any]]

IDS = {"datastore_id": DATASTORE, "image_set_id": SAMPLE}
IMAGE_SET = {
    **IDS,
    "version_id": "1",
    "image_set_state": "ACTIVE",
    "image_set_workflow_status": "CREATED",
    "created_at": "1970-01-01T00:00:01.500000+00:00",
    "updated_at": "1970-01-01T00:00:01.500000+00:00",
    "deleted_at": None,
    "message": None,
}


@pytest.fixture
def use(the: Callable[[str], Program]) -> Use:
    """Return a function that calls tools one after another, in one run of the server, and returns their answers."""

    def run(*calls: tuple[str, dict[str, Any]], seed: dict[str, Any] | None = SEED) -> list[Any]:
        job = {"calls": [{"tool": tool, "arguments": arguments} for tool, arguments in calls]}
        return list(the("mcp-server").execute(job, seed)["results"])

    return run


def failed(tool: str, reason: str) -> dict[str, str]:
    return {"error": f"Error executing tool {tool}: {reason}"}


def test_its_tools_are_these(the: Callable[[str], Program]) -> None:
    """A tool that a newer version adds, drops or renames shows here."""
    tested = {
        *("get_image_set", "get_image_set_metadata", "get_image_frame", "list_image_set_versions"),
        *("update_image_set_metadata", "copy_image_set", "delete_image_set"),
        *("remove_series_from_image_set", "remove_instance_from_image_set"),
        *("search_image_sets", *SEARCHES_BY),
        *ASKS_FOR_TOO_MANY,
        *EXPORTS,
    }
    not_emulated = {
        *("create_datastore", "get_datastore", "list_datastores", "delete_datastore"),
        *("start_dicom_import_job", "get_dicom_import_job", "list_dicom_import_jobs"),
        *("tag_resource", "untag_resource", "list_tags_for_resource"),
    }
    assert set(the("mcp-server").execute({"calls": []})["tools"]) == tested | not_emulated


def test_it_reads_an_image_set_with_its_metadata_and_a_frame(use: Use) -> None:
    """The metadata stays in gzip, in base64: an assistant has to undo both."""
    image_set, version, metadata, frame = use(
        ("get_image_set", IDS),
        ("get_image_set", IDS | {"version_id": "1"}),
        ("get_image_set_metadata", IDS),
        ("get_image_frame", IDS | {"image_frame_information": {"imageFrameId": FRAME}}),
    )
    assert image_set == version == IMAGE_SET
    assert metadata == {
        "image_set_metadata_blob": ANY,
        "content_type": "application/json",
        "content_encoding": "gzip",
    }
    assert json.loads(gzip.decompress(base64.b64decode(metadata["image_set_metadata_blob"]))) == HEAD | DOCUMENT
    assert frame == {"image_frame_blob": PIXELS, "content_type": "image/jph"}


def test_it_lists_versions_but_no_status(use: Use, expected: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """It reads ``imageSetWorkflowStatus``; this operation spells it ``ImageSetWorkflowStatus``. Its mocks do not."""
    (answer,) = use(("list_image_set_versions", IDS), seed=None)
    listed, wire = answer["image_set_properties_list"], expected[DATASTORE, SAMPLE]
    assert [entry["version_id"] for entry in listed] == [entry["versionId"] for entry in wire] == ["4", "3", "2", "1"]
    assert [entry["message"] for entry in listed] == [entry.get("message") for entry in wire]
    assert [entry["ImageSetWorkflowStatus"] for entry in wire] == ["UPDATED", "UPDATED", "COPY_FAILED", "COPIED"]
    assert [entry["image_set_workflow_status"] for entry in listed] == [None] * 4


ATTRIBUTES = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "Roe^Ann"}}}
TEXT = json.dumps(ATTRIBUTES)


def update(attributes: Any, latest: str = "1") -> tuple[str, dict[str, Any]]:
    updates = {"DICOMUpdates": {"updatableAttributes": attributes}}
    arguments = IDS | {"latest_version_id": latest, "update_image_set_metadata_updates": updates}
    return "update_image_set_metadata", arguments


def test_it_updates_metadata_given_as_text(use: Use) -> None:
    """The image set is locked until a request has seen it, as the refused update does."""
    begun, locked, image_set, metadata = use(
        update(TEXT), update(TEXT, latest="2"), ("get_image_set", IDS), ("get_image_set_metadata", IDS)
    )
    assert begun == {
        **IDS,
        "latest_version_id": "2",
        "image_set_state": "LOCKED",
        "image_set_workflow_status": "UPDATING",
        "created_at": IMAGE_SET["created_at"],
        "updated_at": ANY,
        "message": None,
    }
    calling = "when calling the UpdateImageSetMetadata operation"
    assert locked == failed(
        "update_image_set_metadata", f"An error occurred (ConflictException) {calling}: ImageSet {SAMPLE} is LOCKED."
    )
    assert image_set == IMAGE_SET | {
        "version_id": "2",
        "image_set_workflow_status": "UPDATED",
        "updated_at": ANY,
    }
    document = json.loads(gzip.decompress(base64.b64decode(metadata["image_set_metadata_blob"])))
    assert document["Patient"] == {"DICOM": {"PatientID": "P1", "PatientName": "Roe^Ann"}}


def test_it_cannot_update_metadata_given_in_base64_or_as_an_object(use: Use) -> None:
    """It hands ``updatableAttributes`` to boto3 as it is, and boto3 encodes it.

    So it is encoded twice if an assistant follows AWS's API reference, and an object never leaves boto3.
    """
    twice, object = use(update(base64.b64encode(TEXT.encode()).decode()), update(ATTRIBUTES))
    assert twice == failed(
        "update_image_set_metadata",
        "An error occurred (ValidationException) when calling the UpdateImageSetMetadata operation: "
        "updatableAttributes must be a JSON object, base64-encoded once: it is encoded twice.",
    )
    assert object == failed(
        "update_image_set_metadata",
        "Parameter validation failed:\n"
        "Invalid type for parameter updateImageSetMetadataUpdates.DICOMUpdates.updatableAttributes, "
        f"value: {ATTRIBUTES}, type: <class 'dict'>, "
        "valid types: <class 'bytes'>, <class 'bytearray'>, file-like object",
    )


def test_it_can_never_copy(use: Use) -> None:
    """It passes two parameters that CopyImageSet does not have, so boto3 sends nothing."""
    copy = {
        "datastore_id": DATASTORE,
        "source_datastore_id": DATASTORE,
        "source_image_set_id": SAMPLE,
        "copy_image_set_information": {"sourceImageSet": {"latestVersionId": "1"}},
    }
    refused, image_set = use(("copy_image_set", copy), ("get_image_set", IDS))
    members = "must be one of: datastoreId, sourceImageSetId, copyImageSetInformation, force, promoteToPrimary"
    assert refused == failed(
        "copy_image_set",
        "Parameter validation failed:\n"
        'Missing required parameter in input: "datastoreId"\n'
        f'Unknown parameter in input: "sourceDatastoreId", {members}\n'
        f'Unknown parameter in input: "destinationDatastoreId", {members}',
    )
    assert image_set == IMAGE_SET


def test_it_deletes_an_image_set(use: Use) -> None:
    deleted, locked, gone, again = use(
        ("delete_image_set", IDS), ("get_image_set", IDS), ("get_image_set", IDS), ("delete_image_set", IDS)
    )
    assert deleted == {**IDS, "image_set_state": "LOCKED"}
    deleting = {"image_set_state": "LOCKED", "image_set_workflow_status": "DELETING", "updated_at": ANY}
    assert locked == IMAGE_SET | deleting
    times = {"updated_at": ANY, "deleted_at": ANY}
    assert gone == IMAGE_SET | times | {"image_set_state": "DELETED", "image_set_workflow_status": "DELETED"}
    assert gone["deleted_at"] is not None
    assert again == failed(
        "delete_image_set",
        "An error occurred (ResourceNotFoundException) when calling the DeleteImageSet operation: "
        f"ImageSet {SAMPLE} was not found in Datastore {DATASTORE}.",
    )


def test_it_can_never_remove_a_series_or_an_instance(use: Use) -> None:
    """It writes ``Series`` beside ``Study``, not inside; and it reads metadata as text, though it comes in gzip."""
    series, instance, image_set = use(
        ("remove_series_from_image_set", IDS | {"series_instance_uid": "1.2.3.4"}),
        (
            "remove_instance_from_image_set",
            IDS | {"series_instance_uid": "1.2.3.4", "sop_instance_uid": "1.2.3.4.5"},
        ),
        ("get_image_set", IDS),
    )
    assert series == failed(
        "remove_series_from_image_set",
        "An error occurred (ValidationException) when calling the UpdateImageSetMetadata operation: "
        "removableAttributes has the member 'Series': expected SchemaVersion or Patient or Study.",
    )
    assert instance == failed(
        "remove_instance_from_image_set",
        "'utf-8' codec can't decode byte 0x8b in position 1: invalid start byte",
    )
    assert image_set == IMAGE_SET


STUDY, SERIES = {"study_instance_uid": "1.2.3"}, {"series_instance_uid": "1.2.3.4"}
PATIENT, INSTANCE = {"patient_id": "P1"}, {"sop_instance_uid": "1.2.3.4.5"}
ASKS_FOR_TOO_MANY: dict[str, dict[str, Any]] = {
    "get_patient_studies": PATIENT,
    "get_patient_series": PATIENT,
    "get_patient_dicomweb_studies": PATIENT,
    "get_study_primary_image_sets": STUDY,
    "get_series_primary_image_set": SERIES,
    "update_patient_study_metadata": STUDY | {"patient_updates": {"PatientName": "Roe^Ann"}, "study_updates": {}},
    "bulk_update_patient_metadata": PATIENT | {"metadata_updates": {"PatientName": "Roe^Ann"}},
    "delete_patient_studies": PATIENT,
    "delete_study": STUDY,
    "delete_series_by_uid": SERIES,
    "delete_instance_in_study": STUDY | INSTANCE,
    "delete_instance_in_series": SERIES | INSTANCE,
    "bulk_delete_by_criteria": {"criteria": {"DICOMPatientId": "P1"}},
}


def test_its_tools_for_whole_patients_studies_and_series_never_work(use: Use) -> None:
    """They ask SearchImageSets for 100 entries, of which a page has 50 at most."""
    calls = [(tool, {"datastore_id": DATASTORE} | arguments) for tool, arguments in ASKS_FOR_TOO_MANY.items()]
    *refused, image_set = use(*calls, ("get_image_set", IDS))
    reason = (
        "An error occurred (ValidationException) when calling the SearchImageSets operation: 1 validation error "
        "detected: Value '100' at 'maxResults' failed to satisfy constraint: "
        "Member must have value less than or equal to 50"
    )
    assert refused == [failed(tool, reason) for tool in ASKS_FOR_TOO_MANY]
    assert image_set == IMAGE_SET


TAGS = {
    "DICOMPatientId": "P1",
    "DICOMPatientName": "Doe^Jane",
    "DICOMStudyInstanceUID": "1.2.3",
    "DICOMStudyDescription": "Café, 東京",
    "DICOMNumberOfStudyRelatedSeries": 1,
    "DICOMNumberOfStudyRelatedInstances": 1,
    "DICOMSeriesInstanceUID": "1.2.3.4",
    "DICOMSeriesModality": "CT",
}


def test_it_searches(use: Use) -> None:
    by_patient = {"filters": [{"values": [{"DICOMPatientId": "P2"}], "operator": "EQUAL"}]}
    found, nothing = use(
        ("search_image_sets", {"datastore_id": DATASTORE}),
        ("search_image_sets", {"datastore_id": DATASTORE, "search_criteria": by_patient}),
    )
    summary = {
        "image_set_id": SAMPLE,
        "version": 1,
        "created_at": IMAGE_SET["created_at"],
        "updated_at": IMAGE_SET["updated_at"],
        "dicom_tags": TAGS,
    }
    assert found == {"image_sets_metadata_summaries": [summary], "next_token": None}
    assert nothing == {"image_sets_metadata_summaries": [], "next_token": None}


SEARCHES_BY: dict[str, dict[str, Any]] = {
    "search_by_patient_id": PATIENT,
    "search_by_study_uid": STUDY,
    "search_by_series_uid": SERIES,
}


def test_it_searches_by_patient_study_and_series(use: Use) -> None:
    """These tools return the answer of boto3 as it is."""
    found = use(*[(tool, {"datastore_id": DATASTORE} | by) for tool, by in SEARCHES_BY.items()])
    summary = {
        "imageSetId": SAMPLE,
        "version": 1,
        "createdAt": "1970-01-01T00:00:01.500000Z",
        "updatedAt": "1970-01-01T00:00:01.500000Z",
        "storageTier": "FREQUENT_ACCESS",
        "DICOMTags": TAGS,
    }
    assert found == [{"ResponseMetadata": ANY, "imageSetsMetadataSummaries": [summary]}] * 3


def test_it_deletes_all_that_a_search_finds_if_that_is_a_page_at_most(use: Use) -> None:
    criteria = {"criteria": {"DICOMPatientId": "P1"}, "max_deletions": 50}
    deleted, image_set = use(
        ("bulk_delete_by_criteria", {"datastore_id": DATASTORE} | criteria), ("get_image_set", IDS)
    )
    response = {
        "ResponseMetadata": ANY,
        "datastoreId": DATASTORE,
        "imageSetId": SAMPLE,
        "imageSetState": "LOCKED",
        "imageSetWorkflowStatus": "DELETING",
    }
    assert deleted == {
        "criteria": {"DICOMPatientId": "P1"},
        "maxDeletions": 50,
        "deletedImageSets": [{"imageSetId": SAMPLE, "status": "deleted", "response": response}],
        "totalDeleted": 1,
        "totalFound": 1,
    }
    assert image_set["image_set_workflow_status"] == "DELETING"


def test_it_cannot_delete_by_modality(use: Use) -> None:
    """Modality is no value of SearchImageSets, so boto3 sends nothing."""
    by_modality = {"datastore_id": DATASTORE, "criteria": {"DICOMModality": "CT"}, "max_deletions": 1}
    assert use(("bulk_delete_by_criteria", by_modality)) == [
        failed(
            "bulk_delete_by_criteria",
            "Parameter validation failed:\n"
            'Unknown parameter in searchCriteria.filters[0].values[0]: "DICOMModality", must be one of: '
            "DICOMPatientId, DICOMAccessionNumber, DICOMStudyId, DICOMStudyInstanceUID, DICOMSeriesInstanceUID, "
            "createdAt, updatedAt, DICOMStudyDateAndTime, isPrimary",
        )
    ]


JOB = {"datastore_id": DATASTORE, "job_id": "1"}
EXPORTS: dict[str, dict[str, Any]] = {
    "start_dicom_export_job": {
        "datastore_id": DATASTORE,
        "data_access_role_arn": "arn:aws:iam::123456789012:role/export",
        "output_s3_uri": "s3://exported/",
    },
    "get_dicom_export_job": JOB,
    "list_dicom_export_jobs": {"datastore_id": DATASTORE},
}


def test_its_export_tools_call_operations_that_do_not_exist(use: Use) -> None:
    """No export is in AWS's model, so boto3 has no such method."""
    assert use(*EXPORTS.items()) == [
        failed(tool, f"'HealthImaging' object has no attribute '{tool}'") for tool in EXPORTS
    ]
