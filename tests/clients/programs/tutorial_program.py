"""Do the steps of AWS's tutorial with boto3, from a new data store to its deletion, and print the result of each."""

import gzip
import json
import sys
import time

import boto3

client = boto3.client("medical-imaging", endpoint_url=sys.argv[1])
role = "arn:aws:iam::123456789012:role/any"


def wait(read, *states):
    while (state := read()) not in states:
        time.sleep(0.01)
    return state


def search(*values, operator="EQUAL"):
    criteria = {"filters": [{"operator": operator, "values": list(values)}]}
    found = client.search_image_sets(datastoreId=datastore, searchCriteria=criteria)
    return [each["imageSetId"] for each in found["imageSetsMetadataSummaries"]]


datastore = client.create_datastore(datastoreName="tutorial")["datastoreId"]
created = wait(
    lambda: client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"], "ACTIVE", "FAILED"
)
job = client.start_dicom_import_job(
    datastoreId=datastore, dataAccessRoleArn=role, inputS3Uri="s3://scans/", outputS3Uri="s3://results/"
)["jobId"]


def read_job():
    return client.get_dicom_import_job(datastoreId=datastore, jobId=job)["jobProperties"]


imported = wait(lambda: read_job()["jobStatus"], "COMPLETED", "FAILED")
(found,) = client.search_image_sets(datastoreId=datastore)["imageSetsMetadataSummaries"]
ids, tags = {"datastoreId": datastore, "imageSetId": found["imageSetId"]}, found["DICOMTags"]
searches = [
    search({"DICOMPatientId": tags["DICOMPatientId"]}),
    search({"DICOMStudyInstanceUID": tags["DICOMStudyInstanceUID"]}),
    search(
        *({"DICOMStudyDateAndTime": {"DICOMStudyDate": date}} for date in ("19000101", "20991231")), operator="BETWEEN"
    ),
    search({"DICOMSeriesInstanceUID": "1.2.3"}),
]
metadata = json.loads(gzip.decompress(client.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()))
(series,) = metadata["Study"]["Series"].values()
(instance,) = series["Instances"].values()
frame = client.get_image_frame(**ids, imageFrameInformation={"imageFrameId": instance["ImageFrames"][0]["ID"]})
copied = client.copy_image_set(
    datastoreId=datastore,
    sourceImageSetId=ids["imageSetId"],
    copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}},
)["destinationImageSetProperties"]["imageSetId"]
copy = {"datastoreId": datastore, "imageSetId": copied}
wait(lambda: client.get_image_set(**copy)["imageSetState"], "ACTIVE")
updates = {"Patient": {"DICOM": {"PatientName": "TEST^TWO"}}}
client.update_image_set_metadata(
    **copy,
    latestVersionId="1",
    updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": json.dumps(updates).encode()}},
)
wait(lambda: client.get_image_set(**copy)["imageSetState"], "ACTIVE")
versions = client.list_image_set_versions(**copy)["imageSetPropertiesList"]
for each in (ids, copy):
    client.delete_image_set(**each)
    wait(lambda each=each: client.get_image_set(**each)["imageSetState"], "DELETED")
client.delete_datastore(datastoreId=datastore)
deleted = wait(lambda: client.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreStatus"], "DELETED")
result = {
    "created": created,
    "imported": imported,
    "found": list(map(len, searches)),
    "patient": metadata["Patient"]["DICOM"]["PatientID"],
    "frame": frame["contentType"],
    "versions": [(each["versionId"], each["ImageSetWorkflowStatus"]) for each in versions],
    "deleted": deleted,
}
print(json.dumps(result))
