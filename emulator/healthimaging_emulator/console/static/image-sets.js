// The image sets of a data store: searched, and page by page.

import { ask, path } from "./api.js";
import { button, element, labelled, showItems, showIfChanged } from "./dom.js";
import * as format from "./format.js";

const PAGE_SIZE = 50;

/** Show the image sets of a data store, by default of the first one. */
export function imageSets(datastoreId) {
  const place = { datastoreId, search: "", before: [], after: "", next: undefined };
  const stores = element("select", { onchange: () => (location.hash = `#/image-sets/${stores.value}`) });
  const search = element("input", { type: "search", placeholder: "id, patient, study, state", oninput: () => go([], "") });
  const rows = element("tbody");
  const empty = element("p", { class: "empty", hidden: true });
  const back = button("Previous page", () => go(place.before.slice(0, -1), place.before.at(-1)));
  const on = button("Next page", () => go([...place.before, place.after], place.next));

  function go(before, after) {
    Object.assign(place, { before, after, search: search.value.trim() });
    show();
  }

  async function show() {
    const { datastores } = await ask("GET", "datastores");
    place.datastoreId ??= datastores[0]?.datastoreId;
    showIfChanged(stores, datastores, () => datastores.map(storeOption));
    stores.value = place.datastoreId ?? "";
    const asked = { ...place };
    const page = place.datastoreId === undefined ? { imageSets: [] } : await ask("GET", address(place));
    if (asked.after !== place.after || asked.search !== place.search) return; // somebody has typed meanwhile
    place.next = page.next;
    showItems(rows, page.imageSets, ({ imageSetId }) => imageSetId, (each) => row(place.datastoreId, each));
    back.disabled = place.before.length === 0;
    on.disabled = page.next === undefined;
    empty.hidden = page.imageSets.length > 0;
    empty.textContent = place.search ? `No image set has ${place.search}.` : "There are no image sets here.";
  }

  const head = ["Image set", "Patient", "Study", "Version", "State", "Updated"].map((name) => element("th", { scope: "col" }, name));
  const node = element(
    "section",
    {},
    element("h1", {}, "Image sets"),
    element("div", { class: "bar" }, labelled("Data store", stores), labelled("Search", search)),
    element("table", { class: "list" }, element("thead", {}, element("tr", {}, head)), rows),
    empty,
    element("div", { class: "bar" }, back, on),
  );
  return { node, refresh: show };
}

function address({ datastoreId, search, after }) {
  return `${path`datastores/${datastoreId}/imageSets`}?${new URLSearchParams({ limit: PAGE_SIZE, after, search })}`;
}

function storeOption({ datastoreId, name, status }) {
  const about = [name ?? "", status === "ACTIVE" ? "" : status].filter(Boolean).join(", ");
  return element("option", { value: datastoreId }, about ? `${datastoreId} (${about})` : datastoreId);
}

function row(datastoreId, { imageSetId, latest, tags }) {
  const study = [tags.DICOMStudyDescription, tags.DICOMSeriesModality, tags.DICOMStudyDate].filter(Boolean).join(" · ");
  const patient = [format.personName(tags.DICOMPatientName), tags.DICOMPatientId].filter(Boolean).join(" · ");
  const link = element("a", { href: `#/image-sets/${datastoreId}/${imageSetId}`, "data-focus": "open" }, imageSetId);
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, link),
    cell("Patient", patient),
    cell("Study", study),
    cell("Version", latest.versionId),
    cell("State", badge(latest)),
    cell("Updated", format.date(latest.updatedAt ?? latest.createdAt)),
  );
}

function cell(name, content) {
  return element("td", { "data-name": name }, content);
}

/** Show the state of a version, and its status. */
export function badge({ imageSetState, ImageSetWorkflowStatus }) {
  const status = ImageSetWorkflowStatus ?? "";
  const kind = status.endsWith("FAILED") ? "failed" : imageSetState.toLowerCase();
  return element("span", { class: `badge ${kind}` }, [imageSetState, status].filter(Boolean).join(" "));
}
