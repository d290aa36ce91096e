// The calls of SDKs, as they come, each with its attempts on a time axis.

import { act } from "./actions.js";
import { ask } from "./api.js";
import { button, element, labelled, showItems } from "./dom.js";
import * as format from "./format.js";

/** Show the call journal. */
export function calls() {
  const known = new Map();
  const list = element("ol", { class: "calls" });
  const empty = element("p", { class: "empty" }, "No calls yet. The page Connect shows how a client finds the emulator.");
  const text = element("input", { type: "search", placeholder: "operation, id, code, fault", oninput: show });
  const kind = element("select", { onchange: show }, ["All calls", "With an error", "Retried", "With a fault"].map((name) => element("option", {}, name)));
  const opened = new Set();
  let last = "";

  async function refresh() {
    const journal = await ask("GET", `calls?after=${last}`);
    if (journal.isWhole) known.clear();
    for (const call of journal.calls) known.set(call.id, call);
    for (const id of known.keys()) if (id < journal.first) known.delete(id);
    if (journal.last !== last) show();
    last = journal.last;
    empty.hidden = known.size > 0;
  }

  function show() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...known.values()].filter((call) => isOfKind(call, kind.value) && hasWords(call, words));
    const shown = found.sort((a, b) => b.id - a.id).map((call) => ({ ...call, isOpen: opened.has(call.id) }));
    showItems(list, shown, ({ id }) => id, (call) => entry(call, toggle));
  }

  function toggle(id) {
    if (!opened.delete(id)) opened.add(id);
    show();
  }

  const node = element(
    "section",
    {},
    element("h1", {}, "Calls"),
    element(
      "div",
      { class: "bar" },
      labelled("Filter", text),
      labelled("Show", kind),
      button("Clear", () => act(() => ask("DELETE", "calls"), "The journal is empty.")),
    ),
    empty,
    list,
  );
  return { node, refresh };
}

function isOfKind({ attempts }, kind) {
  return {
    "With an error": attempts.some(({ code, status }) => code || !status),
    Retried: attempts.length > 1,
    "With a fault": attempts.some(({ faults }) => faults.length > 0),
  }[kind] ?? true;
}

function hasWords(call, words) {
  if (words.length === 0) return true;
  const attempts = call.attempts.flatMap(({ code, status, faults }) => [code, status, ...faults]);
  const text = [call.operation, call.path, call.outcome, ...Object.values(call.identifiers).flat(), ...attempts].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function entry(call, toggle) {
  const { id, operation, method, path, outcome, page, attempts, isOpen } = call;
  const title = operation ? `${operation}${page > 1 ? `, page ${page}` : ""}` : `${method} ${path}`;
  const heading = button(title, () => toggle(id), { "aria-expanded": String(isOpen), "data-focus": "open", class: "plain" });
  return element(
    "li",
    {},
    element(
      "div",
      { class: "call" },
      element("time", {}, attempts.length ? format.time(attempts[0].time) : ""),
      heading,
      element("span", { class: "ids" }, Object.values(call.identifiers).flat().map(format.shortId).join(" ")),
      element("span", { class: `badge ${outcomeKind(outcome)}` }, outcome ?? "waiting"),
      axis(attempts),
    ),
    isOpen && detail(call),
  );
}

function outcomeKind(outcome) {
  return outcome === "Success" ? "active" : outcome ? "failed" : "locked";
}

/** Draw the attempts along a time axis; between them the pauses of the client, before each the latency of faults. */
function axis(attempts) {
  const bars = attempts.flatMap(({ number, pause, delay, status, code, faults }) => {
    const answer = [status ?? "no answer", code, ...faults.map((fault) => `by ${fault}`)].filter(Boolean).join(" ");
    return [
      pause > 0 && stretch("pause", pause, `The client waited ${format.duration(pause)}`),
      delay > 0 && stretch("delay", delay, `Faults delayed the answer by ${format.duration(delay)}`),
      element(
        "span",
        { class: `attempt ${code || !status ? "failed" : "active"}`, title: `Attempt ${number}: ${answer}` },
        String(status ?? "none"),
      ),
    ];
  });
  const text = attempts.map(({ status, code, pause }) => `${pause ? `after ${format.duration(pause)} ` : ""}${code ?? status ?? "no answer"}`);
  return element("div", { class: "axis", role: "img", "aria-label": `${format.count(attempts.length, "attempt")}: ${text.join(", ")}` }, bars);
}

/** Make a part of the axis that is as long as its seconds, compared with the others. */
function stretch(kind, seconds, title) {
  const made = element("span", { class: kind, title }, format.duration(seconds));
  made.style.flexGrow = seconds;
  return made;
}

function detail({ method, path, input, invocationId, retryMode, attempts }) {
  const request = [
    ["Request", `${method} ${path}`],
    ["Invocation id", invocationId],
    ["Retry mode", retryMode],
  ].filter(([, value]) => value);
  return element(
    "div",
    { class: "detail" },
    element("dl", {}, request.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    Object.keys(input).length > 0 && [element("h3", {}, "Input"), element("pre", { tabindex: "0" }, JSON.stringify(input, null, 2))],
    attempts.map(attemptDetail),
  );
}

function attemptDetail(attempt) {
  const { number, time, status, code, pause, delay, faults, unused, outcome, met, ended, answer } = attempt;
  const facts = [
    `${format.time(time)}`,
    status ? `${status} ${code ?? ""}` : "no answer",
    pause && `after a pause of ${format.duration(pause)}`,
    delay && `${format.duration(delay)} of latency`,
    faults.length && `fault ${faults.join(", ")}`,
    unused.length && `without use for ${unused.join(", ")}`,
    outcome && `the operation itself answered ${outcome}`,
    met.length && `saw ${met.join(", ")}`,
    ended.length && `ended ${ended.join(", ")}`,
  ].filter(Boolean);
  return [
    element("h3", {}, `Attempt ${number}`),
    element("p", {}, facts.join(" · ")),
    answer && element("pre", { tabindex: "0" }, indent(answer)),
  ];
}

/** Indent JSON; a text that was cut stays as it is. */
function indent(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
