// The lines that lead each client to this emulator and account.

import { copy } from "./actions.js";
import { emulatorUrl, session } from "./api.js";
import { button, element, showIfChanged } from "./dom.js";

/** Show how clients connect. */
export function connect() {
  const snippets = element("div");
  const node = element(
    "section",
    {},
    element("h1", {}, "Connect a client"),
    element("p", {}, "AWS's model puts runtime- in front of the host of most operations, so a plain endpoint_url fails. Use these lines instead."),
    snippets,
  );
  return { node, refresh: async () => showIfChanged(snippets, session.account, (account) => lines(account).map(snippet)) };
}

function snippet([name, text]) {
  return element("section", {}, element("h2", {}, name), element("pre", { tabindex: "0" }, text), button("Copy", () => copy(text), { "aria-label": `Copy the lines for ${name}` }));
}

function lines(account) {
  const endpoint = emulatorUrl.replace("://", "://emulator@");
  return [
    [
      "boto3 since 1.37.5, AWS CLI and aiobotocore, by variables",
      `export AWS_ENDPOINT_URL_MEDICAL_IMAGING=${emulatorUrl} AWS_DISABLE_HOST_PREFIX_INJECTION=true
export AWS_ACCESS_KEY_ID=${account} AWS_SECRET_ACCESS_KEY=emulator
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1`,
    ],
    [
      "boto3",
      `import boto3

client = boto3.client(
    "medical-imaging",
    endpoint_url="${endpoint}",
    region_name="us-east-1",
    aws_access_key_id="${account}",
    aws_secret_access_key="emulator",
)
print(client.list_datastores()["datastoreSummaries"])`,
    ],
    [
      "AWS CLI",
      `export AWS_ACCESS_KEY_ID=${account} AWS_SECRET_ACCESS_KEY=emulator AWS_DEFAULT_REGION=us-east-1
aws medical-imaging list-datastores --endpoint-url ${endpoint}`,
    ],
    [
      "JavaScript",
      `import { ListDatastoresCommand, MedicalImagingClient } from "@aws-sdk/client-medical-imaging";

const client = new MedicalImagingClient({
  endpoint: "${emulatorUrl}",
  disableHostPrefix: true,
  region: "us-east-1",
  credentials: { accessKeyId: "${account}", secretAccessKey: "emulator" },
});
console.log((await client.send(new ListDatastoresCommand({}))).datastoreSummaries);`,
    ],
    [
      "a test in another process",
      `from healthimaging_emulator import Fault, RemoteAccount

account = RemoteAccount("${emulatorUrl}", "${account}")
account.faults.add(Fault.error("ThrottlingException", times=1))`,
    ],
  ];
}
