// The account of this tab: its clock, what goes on, its state as a seed, and other accounts.

import { act, actIfSure } from "./actions.js";
import { ask, download, session } from "./api.js";
import { button, element, labelled, showIfChanged } from "./dom.js";
import * as format from "./format.js";

const PARTS = ["changes", "faults", "calls", "clock"];
const STEPS = [["1 minute", 60], ["1 hour", 3600], ["1 day", 86400]];

/** Show the account. */
export function account() {
  const now = element("p", { class: "now" });
  const transitions = element("div");

  async function refresh() {
    const [clock, pending] = await Promise.all([ask("GET", "clock"), ask("GET", "transitions")]);
    now.textContent = `${format.date(clock.now)} UTC, ${clock.isFrozen ? "frozen" : "running"}`;
    showIfChanged(transitions, pending.transitions, showTransitions);
  }

  const node = element(
    "section",
    {},
    element("h1", {}, "Account"),
    element("h2", {}, "Clock"),
    now,
    clockActions(),
    element("h2", {}, "Under way"),
    transitions,
    element("h2", {}, "Reset"),
    resetForm(),
    element("h2", {}, "Seed"),
    seedActions(),
    element("h2", {}, "Another account"),
    accountForm(),
    element("h2", {}, "Remove"),
    removeButton(),
  );
  return { node, refresh };
}

function clockActions() {
  const date = element("input", { type: "text", placeholder: "2024-01-01T00:00:00Z" });
  const seconds = element("input", { type: "number", min: "0", step: "any" });
  const set = (body, done) => act(() => ask("PUT", "clock", body), done);
  return element(
    "div",
    { class: "bar wrap" },
    button("Freeze now", () => set({ freeze: true }, "The clock is frozen.")),
    element("span", { class: "pair" }, labelled("Date", date), button("Freeze at this date", () => set({ freeze: date.value }, "The clock is frozen."))),
    button("Run", () => set({ run: true }, "The clock runs.")),
    STEPS.map(([name, step]) => button(`Advance ${name}`, () => set({ advance: step }, `The clock is ${name} further.`))),
    element("span", { class: "pair" }, labelled("Seconds", seconds), button("Advance", () => set({ advance: Number(seconds.value) }, `The clock is ${seconds.value} s further.`))),
  );
}

function showTransitions(transitions) {
  if (transitions.length === 0) return element("p", { class: "empty" }, "No write is under way.");
  const rows = transitions.map(({ operation, imageSetIds, resourceId }) => element("li", {}, `${operation} of ${resourceId ?? imageSetIds.join(", ")}`));
  return [element("ul", {}, rows), button("Finish all now", () => act(() => ask("POST", "transitions/finish"), "All are finished."))];
}

function resetForm() {
  const boxes = PARTS.map((part) => Object.assign(element("input", { type: "checkbox" }), { checked: true, name: part }));
  const chosen = () => boxes.filter(({ checked }) => checked).map(({ name }) => name);
  const reset = () =>
    actIfSure(`Reset ${chosen().join(", ") || "nothing"} of account ${session.account}?`, () => resetParts(chosen()), "The account is reset.");
  return element("div", { class: "bar wrap" }, boxes.map((box) => element("label", {}, box, ` ${box.name}`)), button("Reset to the seed", reset));
}

async function resetParts(only) {
  if (only.length === 0) throw new Error("Choose at least one part.");
  await ask("POST", "reset", { only });
}

function seedActions() {
  const file = element("input", { type: "file", accept: ".json,application/json" });
  const add = () => act(() => loadSeed("POST", file), "The seed is added.");
  const replace = () =>
    actIfSure(`Replace everything in account ${session.account}?`, () => loadSeed("PUT", file), "The account begins with this seed.");
  return element(
    "div",
    { class: "bar wrap" },
    button("Export as a seed", () => act(exportSeed, "The seed is exported.")),
    labelled("Seed in JSON", file),
    button("Replace everything by it", replace),
    button("Add it", add),
  );
}

async function loadSeed(method, { files }) {
  if (files.length === 0) throw new Error("Choose a file first.");
  await ask(method, "seed", files[0]);
}

async function exportSeed() {
  const url = URL.createObjectURL(await download("seed"));
  element("a", { href: url, download: `seed-${session.account}.json` }).click();
  URL.revokeObjectURL(url);
}

function accountForm() {
  const id = element("input", { type: "text", inputmode: "numeric", placeholder: "12 digits" });
  return element(
    "div",
    { class: "bar wrap" },
    labelled("Account id", id),
    button("Switch to it", () => act(() => switchTo(id.value.trim()), "Switched.")),
  );
}

function removeButton() {
  const remove = () => ask("DELETE", "account");
  const name = `Remove account ${session.account}`;
  return button(name, () => actIfSure(`${name}, and all that it holds?`, remove, "The account begins with the initial seed."));
}

/** Switch to an account, if the emulator takes its id. */
async function switchTo(id) {
  const before = session.account;
  session.account = id;
  try {
    await ask("GET", "clock");
  } catch (error) {
    session.account = before;
    throw error;
  }
}
