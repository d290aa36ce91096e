// The faults, in the order in which they are tried: switched, moved, removed, and added.

import { act, actIfSure } from "./actions.js";
import { ask, path } from "./api.js";
import { button, element, showItems } from "./dom.js";
import { faultForm } from "./fault-form.js";

/** Faults to add with one click. */
const USEFUL = [
  ["Throttle the next call", { error: { code: "ThrottlingException" }, times: 1 }],
  ["Throttle the first two attempts", { match: { attempt: [1, 2] }, error: { code: "ThrottlingException" } }],
  ["AWS's own rates", { rateLimit: "aws" }],
  ["Server error, once", { error: { code: "InternalServerException" }, times: 1 }],
  ["Access denied", { error: { code: "AccessDeniedException" } }],
  ["Answers 2 s late", { latency: { seconds: 2, jitter: 0.5 } }],
  ["Lost answer to an update", { match: { operation: "UpdateImageSetMetadata" }, connection: "reset", when: "after", times: 1 }],
  ["Cut answer, once", { connection: "cut", times: 1 }],
  ["List that ends early", { match: { operation: "ListImageSetVersions" }, pagination: "drop-token" }],
  ["Updates and copies that fail", { match: { operation: ["UpdateImageSetMetadata", "CopyImageSet"] }, workflow: { outcome: "failed", message: "INVALID_REQUEST:  Injected." } }],
];

const add = (fault) => act(() => ask("POST", "faults", fault), "The fault is added.");

/** Show the faults. */
export function faults() {
  const rows = element("ol", { class: "faults" });
  const empty = element("p", { class: "empty" }, "There are no faults: every request is answered as the service would.");

  async function refresh() {
    const { faults } = await ask("GET", "faults");
    const items = faults.map((fault, index) => ({ fault, position: index + 1, isLast: index === faults.length - 1 }));
    showItems(rows, items, ({ fault }) => fault.id, entry);
    empty.hidden = faults.length > 0;
  }

  const node = element(
    "section",
    {},
    element("h1", {}, "Faults"),
    element("p", {}, "They are tried from top to bottom. The first one that fires answers, unless it has only a latency."),
    empty,
    rows,
    element("div", { class: "bar" }, button("Remove all", () => actIfSure("Remove all faults?", () => ask("DELETE", "faults"), "All faults are removed."))),
    element("h2", {}, "Common faults"),
    element("div", { class: "bar wrap" }, USEFUL.map(([name, fault]) => button(name, () => add(fault), { title: JSON.stringify(fault) }))),
    element("h2", {}, "Add a fault"),
    faultForm(add),
  );
  return { node, refresh };
}

function entry({ fault, position, isLast }) {
  const { id, matched, fired, isOn = true, match = {}, ...effect } = fault;
  const text = JSON.stringify(Object.keys(match).length ? { match, ...effect } : effect);
  const change = (body, done) => act(() => ask("PUT", path`faults/${id}`, body), done);
  const toggle = element("input", {
    type: "checkbox",
    role: "switch",
    "data-focus": "switch",
    "aria-label": `Fault ${id} is on`,
    onchange: (event) => change({ isOn: event.target.checked }, `${id} is switched ${event.target.checked ? "on" : "off"}.`),
  });
  toggle.checked = isOn;
  return element(
    "li",
    { class: isOn ? "" : "off" },
    element("div", { class: "bar" }, toggle, element("b", {}, id), element("span", { class: "counts" }, `matched ${matched}, fired ${fired}`)),
    element("code", {}, text),
    element(
      "div",
      { class: "bar" },
      button("Up", () => change({ position: position - 1 }, `${id} is tried earlier.`), { disabled: position === 1, "data-focus": "up", "aria-label": `Move ${id} up` }),
      button("Down", () => change({ position: position + 1 }, `${id} is tried later.`), { disabled: isLast, "data-focus": "down", "aria-label": `Move ${id} down` }),
      button("Remove", () => act(() => ask("DELETE", path`faults/${id}`), `${id} is removed.`), { "aria-label": `Remove ${id}` }),
    ),
  );
}
