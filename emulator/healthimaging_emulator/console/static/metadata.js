// Metadata documents: as a tree, and what differs between two, attribute by attribute.

import { element } from "./dom.js";

const OPEN_LEVELS = 2;

/** Show a document as a tree. */
export function showDocument(versionId, document) {
  return [element("h2", { tabindex: "-1" }, `Metadata of version ${versionId}`), ...branches(document, 0)];
}

function branches(value, level) {
  return Object.entries(value).map(([name, child]) => branch(name, child, level));
}

/** Make a part of the tree; what is inside is made when it is opened. */
function branch(name, value, level) {
  if (value === null || typeof value !== "object") {
    return element("div", { class: "leaf" }, element("b", {}, name), " ", element("code", {}, JSON.stringify(value)));
  }
  const size = Object.keys(value).length;
  const inside = element("div", { class: "inside" });
  const fill = () => details.open && !inside.hasChildNodes() && inside.append(...branches(value, level + 1));
  const details = element("details", { ontoggle: fill }, element("summary", {}, `${name} (${size})`), inside);
  details.open = level < OPEN_LEVELS && size <= 50;
  fill();
  return details;
}

/** Show the attributes that differ between two documents. */
export function showChanges(before, after) {
  const [old, now] = [flatten(before), flatten(after)];
  const paths = [...new Set([...old.keys(), ...now.keys()])].filter((path) => old.get(path) !== now.get(path)).sort();
  if (paths.length === 0) return [element("p", { class: "empty" }, "Their metadata is the same.")];
  const head = ["Attribute", "Before", "After"].map((name) => element("th", { scope: "col" }, name));
  const rows = paths.map((path) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, path),
      element("td", { "data-name": "Before", class: "removed" }, old.get(path) ?? ""),
      element("td", { "data-name": "After", class: "added" }, now.get(path) ?? ""),
    ),
  );
  return [element("table", { class: "list" }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows))];
}

/** Return the leaves of a document as JSON, by their paths. */
function flatten(value, path = "", found = new Map()) {
  if (value === null || typeof value !== "object" || Object.keys(value).length === 0) return found.set(path, JSON.stringify(value));
  for (const [name, child] of Object.entries(value)) flatten(child, path ? `${path}.${name}` : name, found);
  return found;
}
