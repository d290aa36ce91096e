// Makes the calls of a job with the AWS SDK for JavaScript, and prints the pages or the error of each.
// In a job, {"bytes": "text"} stands for bytes; bytes of an answer are printed in base64.
// Run with the folder of the SDK's installation as working directory.
import { createRequire } from "node:module";

const sdk = createRequire(process.cwd() + "/")("@aws-sdk/client-medical-imaging");

function decode(key, value) {
  return typeof value?.bytes === "string" ? Buffer.from(value.bytes) : value;
}

function encode(key, value) {
  return this[key] instanceof Date ? this[key].getTime() / 1000 : value;
}

// Returns a page with its streams read.
async function read({ $metadata, ...page }) {
  for (const [name, value] of Object.entries(page))
    if (value?.transformToString) page[name] = await value.transformToString("base64");
  return page;
}

async function call(client, { operation, arguments: input, paginate, limit = Infinity }) {
  try {
    if (!paginate) return [await read(await client.send(new sdk[`${operation}Command`](input)))];
    const pages = [];
    for await (const page of sdk[`paginate${operation}`]({ client }, input))
      if (pages.push(await read(page)) === limit) break;
    return pages;
  } catch (error) {
    return {
      Code: error.name,
      Message: error.message,
      status: error.$metadata?.httpStatusCode,
      modelled: sdk[error.name] !== undefined && error instanceof sdk[error.name],
    };
  }
}

const job = JSON.parse(process.argv[2], decode);
const results = [];
for (const each of job.calls) {
  const client = new sdk.MedicalImagingClient({ ...job.client, ...each.client });
  results.push(await call(client, each));
}
console.log(JSON.stringify({ results }, encode));
