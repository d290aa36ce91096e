// change_primary.py with the AWS SDK for JavaScript: change a copy of a primary image set, and put a copy of that in
// its place. Run with the folder of the SDK's installation as working directory.
import { createRequire } from "node:module";
import { setTimeout } from "node:timers/promises";
import { gunzipSync } from "node:zlib";

const sdk = createRequire(process.cwd() + "/")("@aws-sdk/client-medical-imaging");
const CHANGES = { SchemaVersion: 1.1, Study: { DICOM: { StudyInstanceUID: "1.2.840.99999.20" } } };

const [datastoreId, DICOMPatientId] = process.argv.slice(2);
const client = new sdk.MedicalImagingClient({ disableHostPrefix: true }); // the environment has the endpoint
const names = new Map(); // each image set has a name, to show it by

function send(operation, input) {
  return client.send(new sdk[`${operation}Command`]({ datastoreId, ...input }));
}

// Returns ids of image sets, in the order of their creation.
async function find(...values) {
  const filters = [{ DICOMPatientId }, ...values].map((value) => ({ operator: "EQUAL", values: [value] }));
  const searchCriteria = { filters, sort: { sortField: "createdAt", sortOrder: "ASC" } };
  const answer = await send("SearchImageSets", { searchCriteria });
  return answer.imageSetsMetadataSummaries.map(({ imageSetId }) => imageSetId);
}

function idOf(name) {
  return [...names.keys()].find((id) => names.get(id) === name);
}

// Returns the properties of an image set, as soon as it is not LOCKED.
async function wait(name) {
  for (;;) {
    const found = await send("GetImageSet", { imageSetId: idOf(name) });
    if (found.imageSetState !== "LOCKED") return found;
    await setTimeout(10); // take longer if somebody pays for the requests
  }
}

// Shows a step that has begun, and all image sets after it: those that there are, and those that are found.
async function show(title, begun) {
  console.log(`${title}: ${begun}`);
  for (const name of names.values()) {
    const { versionId, imageSetState, imageSetWorkflowStatus, isPrimary } = await wait(name);
    const kind = isPrimary ? "primary" : "not primary";
    console.log(`  ${name} ${versionId}: ${imageSetState} ${imageSetWorkflowStatus}, ${kind}`);
  }
  for (const [kind, ids] of [["found", await find()], ["primary", await find({ isPrimary: true })]])
    console.log(`  ${kind}: ${ids.map((id) => names.get(id)).join(", ") || "none"}`);
}

async function copy(source, name, options) {
  const copyImageSetInformation = { sourceImageSet: { latestVersionId: (await wait(source)).versionId } };
  const input = { sourceImageSetId: idOf(source), copyImageSetInformation, ...options };
  const { destinationImageSetProperties: begun } = await send("CopyImageSet", input);
  names.set(begun.imageSetId, name);
  await show(`copy of the ${source}`, `${begun.latestVersionId} ${begun.imageSetWorkflowStatus}`);
}

async function update(name, changes) {
  const updatableAttributes = Buffer.from(JSON.stringify(changes));
  const answer = await send("UpdateImageSetMetadata", {
    imageSetId: idOf(name),
    latestVersionId: (await wait(name)).versionId,
    updateImageSetMetadataUpdates: { DICOMUpdates: { updatableAttributes } },
    force: true,
  });
  await show(`update of the ${name}`, `${answer.latestVersionId} ${answer.imageSetWorkflowStatus}`);
}

async function remove(name) {
  const answer = await send("DeleteImageSet", { imageSetId: idOf(name) });
  await show(`deletion of the ${name}`, answer.imageSetWorkflowStatus);
}

for (const id of await find()) names.set(id, "original");
await copy("original", "draft");
await update("draft", CHANGES);
await remove("original");
await copy("draft", "successor", { promoteToPrimary: true });
await remove("draft");
const { imageSetMetadataBlob } = await send("GetImageSetMetadata", { imageSetId: idOf("successor") });
const document = JSON.parse(gunzipSync(await imageSetMetadataBlob.transformToByteArray()));
console.log(`study of the successor: ${document.Study.DICOM.StudyInstanceUID}`);
