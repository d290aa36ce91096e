// The page: its address says what it shows, and what it shows is asked for again twice a second.

import { ask, session, Unreachable } from "./api.js";
import { element, showIfChanged } from "./dom.js";
import * as format from "./format.js";
import { account } from "./account.js";
import { calls } from "./calls.js";
import { connect } from "./connect.js";
import { faults } from "./faults.js";
import { imageSet } from "./image-set.js";
import { imageSets } from "./image-sets.js";

const PAGES = [
  { path: "image-sets", name: "Image sets", show: (...place) => (place.length > 1 ? imageSet(...place) : imageSets(...place)) },
  { path: "calls", name: "Calls", show: calls },
  { path: "faults", name: "Faults", show: faults },
  { path: "account", name: "Account", show: account },
  { path: "connect", name: "Connect", show: connect },
];
const REFRESH_MILLISECONDS = 500;

const view = document.querySelector("#view");
const trouble = document.querySelector("#trouble");
const notice = document.querySelector("#notice");
const accountField = document.querySelector("#account");
let current = { refresh: async () => {} };

/** Show the page that the address names. */
function navigate() {
  if (location.hash && !location.hash.startsWith("#/")) return;
  const [path = "", ...place] = location.hash.slice(2).split("/").map(decode);
  const page = PAGES.find((each) => each.path === path) ?? PAGES[0];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${page.path}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.name} · HealthImaging emulator`;
  current = page.show(...place);
  current.node.setAttribute("aria-busy", "true"); // and hidden, until there is something to show
  notice.textContent = "";
  view.replaceChildren(current.node);
  window.scrollTo(0, 0);
  refresh();
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a percent sign that encodes nothing
  }
}

let refreshing = false;

/** Ask for what the page shows, and show it. */
async function refresh() {
  if (refreshing) return;
  refreshing = true;
  const page = current;
  try {
    await Promise.all([page.refresh(), showSession()]);
    page.node.removeAttribute("aria-busy");
    trouble.hidden = true;
  } catch (error) {
    if (page === current) report(error);
  } finally {
    refreshing = false;
    if (page !== current) refresh();
  }
}

async function showSession() {
  const [{ now, isFrozen }, { accounts }] = await Promise.all([ask("GET", "clock"), ask("GET", "accounts")]);
  showIfChanged(document.querySelector("#clock"), [format.date(now), isFrozen], ([date, frozen]) => `${date} UTC${frozen ? ", frozen" : ""}`);
  const known = accounts.some(({ id }) => id === session.account) ? accounts : [...accounts, { id: session.account }];
  showIfChanged(accountField, known, () => known.map(({ id, test }) => element("option", { value: id }, test ? `${id} (${test})` : id)));
  accountField.value = session.account;
}

function report(error) {
  trouble.textContent = error.message;
  trouble.hidden = false;
  if (!(error instanceof Unreachable) && error.status === undefined) console.error(error);
}

let fading;

/** Say what was done, in passing, or what was refused, until something else is done. */
function say({ text, isRefused }) {
  notice.textContent = text;
  notice.className = isRefused ? "refusal" : "";
  clearTimeout(fading);
  if (!isRefused) fading = setTimeout(() => (notice.textContent = ""), 5000);
}

document.querySelector("nav").append(...PAGES.map(({ path, name }) => element("a", { href: `#/${path}` }, name)));
accountField.addEventListener("change", () => {
  session.account = accountField.value;
  navigate();
});
window.addEventListener("hashchange", navigate);
document.addEventListener("acted", ({ detail }) => {
  say(detail);
  refresh();
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => document.hidden || refresh(), REFRESH_MILLISECONDS);
navigate();
