// Makes the calls of a job with the AWS SDK for JavaScript, and prints what it returned or threw.
// Run with the folder of the SDK's installation as working directory.
import { createRequire } from "node:module";

const sdk = createRequire(process.cwd() + "/")("@aws-sdk/client-medical-imaging");

function epoch(key, value) {
  return this[key] instanceof Date ? this[key].getTime() / 1000 : value;
}

async function call(client, { operation, arguments: input, paginate, limit = Infinity }) {
  try {
    if (!paginate) return [await client.send(new sdk[`${operation}Command`](input))];
    const pages = [];
    for await (const page of sdk[`paginate${operation}`]({ client }, input)) if (pages.push(page) === limit) break;
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

const job = JSON.parse(process.argv[2]);
const results = [];
for (const each of job.calls) {
  const client = new sdk.MedicalImagingClient({ ...job.client, ...each.client });
  const result = await call(client, each);
  for (const page of Array.isArray(result) ? result : []) delete page.$metadata;
  results.push(result);
}
console.log(JSON.stringify({ results }, epoch));
