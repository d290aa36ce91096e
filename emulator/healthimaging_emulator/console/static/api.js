// The control API, for the account and with the token of this tab.

import { element, labelled } from "./dom.js";

const base = new URL(".", document.baseURI);

/** The emulator's URL, for the lines that connect clients. */
export const emulatorUrl = new URL("..", base).href.replace(/\/$/, "");

/** An error that the control API answered. */
export class ControlError extends Error {
  constructor(status, { code, message, path }) {
    super(path ? `${path}: ${message}` : message);
    Object.assign(this, { status, code });
  }
}

/** The emulator gave no answer. */
export class Unreachable extends Error {}

export const session = {
  get account() {
    return sessionStorage.getItem("account") ?? "000000000000";
  },
  set account(id) {
    sessionStorage.setItem("account", id);
  },
};

/** Write a path of the control API; what stands in its places may be any text, but no step to another path. */
export function path(strings, ...values) {
  const parts = values.map((value) => (/^\.{0,2}$/.test(value) ? "%00" : encodeURIComponent(value)));
  return strings.reduce((made, text, index) => made + parts[index - 1] + text);
}

/** Send a request. Returns the decoded answer, null if it has no body. Raises ControlError and Unreachable. */
export async function ask(method, path, body) {
  const response = await send(method, path, body);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Get a file, as a Blob. Raises ControlError and Unreachable. */
export async function download(path) {
  return (await send("GET", path)).blob();
}

async function send(method, path, body) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const response = await request(method, path, body, token);
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    const refusal = new ControlError(response.status, answer.error ?? { message: `the emulator answered ${response.status}` });
    if (!(refusal.code === "Forbidden" && refusal.message.includes("x-emulator-token"))) throw refusal;
    if (sessionStorage.getItem("token") === token) await askForToken(token === null ? "" : refusal.message);
  }
}

async function request(method, path, body, token) {
  const headers = { "x-emulator-account": encodeURI(session.account) };
  if (token !== null) headers["x-emulator-token"] = String.fromCharCode(...new TextEncoder().encode(token));
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const content = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  try {
    return await fetch(new URL(path, base), { method, headers, body: content });
  } catch (error) {
    throw new Unreachable(`The emulator at ${emulatorUrl} does not answer.`, { cause: error });
  }
}

let asking = null;

/** Ask for the control token, once for all requests that wait for it. */
function askForToken(message) {
  asking ??= new Promise((resolve) => {
    const field = element("input", { type: "password", required: true, autocomplete: "off" });
    const form = element(
      "form",
      { onsubmit: use },
      labelled("Control token, as given to serve --control-token", field),
      element("p", { class: "refusal" }, message),
      element("button", { class: "primary" }, "Use this token"),
    );
    const dialog = element("dialog", { "aria-label": "Control token", onclose: () => dialog.isConnected && dialog.showModal() }, form);
    function use(event) {
      event.preventDefault();
      sessionStorage.setItem("token", field.value);
      dialog.remove();
      asking = null;
      resolve();
    }
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
