// One image set: a timeline of its versions, their metadata, what changed between two, and the frames.

import { act, actIfSure, copy } from "./actions.js";
import { ask, path as write } from "./api.js";
import { button, element, labelled, showItems, showIfChanged } from "./dom.js";
import * as format from "./format.js";
import { frames } from "./frames.js";
import { badge } from "./image-sets.js";
import { showChanges, showDocument } from "./metadata.js";

const FIRST_VERSIONS = 50;

/** Show an image set. */
export function imageSet(datastoreId, imageSetId) {
  const path = write`datastores/${datastoreId}/imageSets/${imageSetId}`;
  const about = element("p", { class: "about" });
  const pending = element("div", { class: "pending", role: "status" });
  const timeline = element("ol", { class: "timeline" });
  const more = button("Show all versions", () => {
    limit = Infinity;
    refresh();
  });
  const older = element("select", { onchange: compare });
  const newer = element("select", { onchange: compare });
  const changes = element("div", { class: "changes" });
  const documentPanel = element("div", { class: "document" });
  const pictures = frames(path);
  const gone = element("p", { class: "empty", hidden: true }, "This image set is deleted: it has no metadata and no frames.");
  const content = element(
    "div",
    {},
    documentPanel,
    element("h2", {}, "What changed between two versions"),
    element("div", { class: "bar" }, labelled("From version", older), labelled("To version", newer), button("Compare", compare)),
    changes,
    pictures.node,
  );
  let limit = FIRST_VERSIONS;
  let shownLatest = "";

  const metadata = (versionId) => ask("GET", `${path}/metadata?versionId=${versionId}`);

  async function remove() {
    const isRemoved = await actIfSure(`Remove image set ${imageSetId}, as if it had never been?`, () => ask("DELETE", path), "Removed.");
    if (isRemoved) location.hash = `#/image-sets/${datastoreId}`;
  }

  async function open(versionId) {
    await act(async () => {
      documentPanel.replaceChildren(...showDocument(versionId, await metadata(versionId)));
      documentPanel.scrollIntoView({ block: "nearest" });
      documentPanel.querySelector("h2").focus();
    }, `Metadata of version ${versionId}.`);
  }

  async function compare() {
    await act(async () => {
      const [before, after] = await Promise.all([metadata(older.value), metadata(newer.value)]);
      changes.replaceChildren(...showChanges(before, after));
    }, `Compared version ${older.value} with version ${newer.value}.`);
  }

  async function refresh() {
    const [{ versions, copies = [] }, { tags }, { transitions }] = await Promise.all([
      ask("GET", `${path}/versions`),
      ask("GET", path),
      ask("GET", "transitions"),
    ]);
    showIfChanged(about, tags, () => describe(tags));
    const [transition] = transitions.filter(({ imageSetIds }) => imageSetIds.includes(imageSetId));
    showIfChanged(pending, transition, () => transition && showTransition(transition, path));
    const isDeleted = versions[0].imageSetState === "DELETED"; // the control API has no metadata of it
    gone.hidden = !isDeleted;
    content.hidden = isDeleted;
    const shown = versions.slice(0, limit).map((version, index) => ({
      ...version,
      isLatest: index === 0,
      isDeleted,
      copies: copies.filter(({ versionId }) => versionId === version.versionId),
    }));
    showItems(timeline, shown, ({ versionId }) => versionId, (version) => entry(version, datastoreId, open));
    more.hidden = shown.length === versions.length;
    more.textContent = `Show all ${versions.length} versions`;
    showVersionChoice(older, versions, versions[1] ?? versions[0]);
    showVersionChoice(newer, versions, versions[0]);
    const state = JSON.stringify(versions[0]);
    if (state !== shownLatest && !isDeleted) pictures.read(await ask("GET", `${path}/metadata`));
    shownLatest = state;
  }

  const node = element(
    "section",
    {},
    element("p", {}, element("a", { href: `#/image-sets/${datastoreId}` }, "All image sets")),
    element("h1", {}, "Image set ", element("code", {}, imageSetId), " ", button("Copy id", () => copy(imageSetId))),
    about,
    pending,
    element(
      "div",
      { class: "bar" },
      button("Remove", remove),
    ),
    element("h2", {}, "Versions, with their times in UTC"),
    timeline,
    more,
    gone,
    content,
  );
  return { node, refresh };
}

function describe(tags) {
  const parts = [
    ["Patient", [format.personName(tags.DICOMPatientName), tags.DICOMPatientId].filter(Boolean).join(" · ")],
    ["Study", [tags.DICOMStudyDescription, tags.DICOMStudyDate].filter(Boolean).join(" · ")],
    ["Modality", tags.DICOMSeriesModality],
    ["Instances", tags.DICOMNumberOfStudyRelatedInstances],
  ];
  return parts.filter(([, value]) => value).map(([name, value]) => element("span", {}, element("b", {}, name), ` ${value} `));
}

function showTransition({ operation, reads, seconds }, path) {
  const ends = [
    reads !== undefined && reads !== null && `when ${format.count(reads, "more request")} ${reads === 1 ? "has" : "have"} seen it`,
    seconds !== undefined && seconds !== null && `in ${format.duration(seconds)}`,
  ].filter(Boolean);
  const when = ends.length ? `It ends ${ends.join(", or ")}.` : "It stays until you finish it.";
  return [
    element("span", {}, `${operation} is under way. ${when}`),
    button("Finish now", () => act(() => ask("POST", `${path}/finish`), "Finished."), { "data-focus": "finish" }),
  ];
}

function entry(version, datastoreId, open) {
  const { versionId, createdAt, updatedAt, deletedAt, message, overrides, isPrimary, copies, isDeleted } = version;
  const times = [["created", versionId === "1" && createdAt], ["updated", updatedAt], ["deleted", deletedAt]].filter(([, at]) => at);
  return element(
    "li",
    { class: badge(version).className.replace("badge ", "") },
    element("h3", {}, `Version ${versionId} `, badge(version)),
    element("p", {}, times.map(([name, at]) => `${name} ${format.date(at)}`).join(", ")),
    message && element("p", { class: "message" }, message),
    element(
      "p",
      { class: "chips" },
      overrides?.forced && element("span", { class: "chip" }, "forced"),
      isPrimary && element("span", { class: "chip" }, "primary"),
      copies.map((copied) => copyLink(datastoreId, copied)),
    ),
    !isDeleted && button("Metadata", () => open(versionId), { "data-focus": "metadata", "aria-label": `Metadata of version ${versionId}` }),
  );
}

function copyLink(datastoreId, { direction, otherImageSetId, otherVersionId }) {
  const text = `copied ${direction} ${format.shortId(otherImageSetId)}, version ${otherVersionId}`;
  return element("a", { class: "chip", href: `#/image-sets/${datastoreId}/${otherImageSetId}`, title: otherImageSetId }, text);
}

/** Offer the versions; a choice that was made stays. */
function showVersionChoice(select, versions, preferred) {
  const chosen = select.value || preferred.versionId;
  const ids = versions.map(({ versionId }) => versionId);
  showIfChanged(select, ids, () => ids.map((id) => element("option", { value: id }, id)));
  select.value = ids.includes(chosen) ? chosen : preferred.versionId;
}
