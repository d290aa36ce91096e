// Does the steps of AWS's tutorial with the AWS SDK for JavaScript, and prints the result of each.
import { createRequire } from "node:module";
import { gunzipSync } from "node:zlib";

const sdk = createRequire(process.cwd() + "/")("@aws-sdk/client-medical-imaging");
const client = new sdk.MedicalImagingClient({ endpoint: process.argv[2], disableHostPrefix: true });
const send = (name, input) => client.send(new sdk[`${name}Command`](input));

async function wait(read, ...states) {
  for (;;) {
    const state = await read();
    if (states.includes(state)) return state;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const datastoreId = (await send("CreateDatastore", { datastoreName: "tutorial" })).datastoreId;
const readDatastore = async () => (await send("GetDatastore", { datastoreId })).datastoreProperties.datastoreStatus;
const created = await wait(readDatastore, "ACTIVE", "FAILED");
const { jobId } = await send("StartDICOMImportJob", {
  datastoreId,
  dataAccessRoleArn: "arn:aws:iam::123456789012:role/any",
  inputS3Uri: "s3://scans/",
  outputS3Uri: "s3://results/",
});
const readJob = async () => (await send("GetDICOMImportJob", { datastoreId, jobId })).jobProperties.jobStatus;
const imported = await wait(readJob, "COMPLETED", "FAILED");

async function search(operator, ...values) {
  const searchCriteria = { filters: [{ operator, values }] };
  return (await send("SearchImageSets", { datastoreId, searchCriteria })).imageSetsMetadataSummaries.length;
}

const [first] = (await send("SearchImageSets", { datastoreId })).imageSetsMetadataSummaries;
const ids = { datastoreId, imageSetId: first.imageSetId };
const dates = ["19000101", "20991231"].map((date) => ({ DICOMStudyDateAndTime: { DICOMStudyDate: date } }));
const found = [
  await search("EQUAL", { DICOMPatientId: first.DICOMTags.DICOMPatientId }),
  await search("EQUAL", { DICOMStudyInstanceUID: first.DICOMTags.DICOMStudyInstanceUID }),
  await search("BETWEEN", ...dates),
  await search("EQUAL", { DICOMSeriesInstanceUID: "1.2.3" }),
];
const blob = (await send("GetImageSetMetadata", ids)).imageSetMetadataBlob;
const metadata = JSON.parse(gunzipSync(await blob.transformToByteArray()));
const [series] = Object.values(metadata.Study.Series);
const [instance] = Object.values(series.Instances);
const frame = await send("GetImageFrame", {
  ...ids,
  imageFrameInformation: { imageFrameId: instance.ImageFrames[0].ID },
});
await frame.imageFrameBlob.transformToByteArray(); // a stream that nobody reads keeps Node alive
const copyImageSetInformation = { sourceImageSet: { latestVersionId: "1" } };
const copied = await send("CopyImageSet", { datastoreId, sourceImageSetId: ids.imageSetId, copyImageSetInformation });
const copy = { datastoreId, imageSetId: copied.destinationImageSetProperties.imageSetId };
const readState = (each) => async () => (await send("GetImageSet", each)).imageSetState;
await wait(readState(copy), "ACTIVE");
const updatableAttributes = Buffer.from(JSON.stringify({ Patient: { DICOM: { PatientName: "TEST^TWO" } } }));
const updateImageSetMetadataUpdates = { DICOMUpdates: { updatableAttributes } };
await send("UpdateImageSetMetadata", { ...copy, latestVersionId: "1", updateImageSetMetadataUpdates });
await wait(readState(copy), "ACTIVE");
const versions = (await send("ListImageSetVersions", copy)).imageSetPropertiesList;
for (const each of [ids, copy]) {
  await send("DeleteImageSet", each);
  await wait(readState(each), "DELETED");
}
await send("DeleteDatastore", { datastoreId });
const result = {
  created,
  imported,
  found,
  patient: metadata.Patient.DICOM.PatientID,
  frame: frame.contentType,
  versions: versions.map((each) => [each.versionId, each.ImageSetWorkflowStatus]),
  deleted: await wait(readDatastore, "DELETED"),
};
console.log(JSON.stringify(result));
