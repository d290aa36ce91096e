// A form for a fault, made from the schema of the fault language, with the JSON that it writes.

import { ask } from "./api.js";
import { act } from "./actions.js";
import { element, labelled } from "./dom.js";

/** Members that say when a fault fires; all others are kinds of faults. */
const WHEN = ["id", "match", "skip", "every", "times", "probability", "seed", "expiresAfter", "when", "first"];

/** Make the form. "add" gets the fault. */
export function faultForm(add) {
  const form = element("form", { class: "fault-form" });
  load(form, add);
  return form;
}

async function load(form, add) {
  await act(async () => {
    const [{ components }, effects] = await Promise.all([ask("GET", "openapi.json"), ask("GET", "console/effects.json")]);
    form.append(...build(components.schemas, effects, form, add));
  }, "");
}

function build(schemas, effects, form, add) {
  const { properties } = schemas.Fault;
  const kinds = Object.keys(properties).filter((name) => !WHEN.includes(name));
  const choice = element("select", { onchange: chooseKind }, kinds.map((kind) => element("option", {}, kind)));
  const place = element("div", { class: "fields" });
  const when = object(WHEN.filter((name) => name !== "match").map((name) => [name, properties[name]]), schemas, write);
  const match = object(Object.entries(schemas.Match.properties), schemas, write);
  const preview = element("textarea", { rows: 5, spellcheck: "false", oninput: showEffects });
  const known = element("div", { class: "effects", role: "status" });
  let effect;

  function chooseKind() {
    effect = field(properties[choice.value], schemas, write);
    place.replaceChildren(named(choice.value, effect.node));
    write();
  }

  function write() {
    const matched = match.read();
    const fault = { ...(matched && { match: matched }), ...when.read(), [choice.value]: effect.read() };
    preview.value = JSON.stringify(fault);
    showEffects();
  }

  function showEffects() {
    const rows = findEffects(preview.value, effects);
    known.hidden = preview.value === "{}";
    known.replaceChildren(element("h3", {}, "How SDKs react"), ...describeEffects(rows));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => JSON.parse(preview.value), "").then((isJson) => isJson && add(JSON.parse(preview.value)));
  });
  chooseKind();
  return [
    element("div", { class: "fields" }, labelled("Kind of fault", choice), place),
    element("details", {}, element("summary", {}, "Which requests"), match.node),
    element("details", {}, element("summary", {}, "When and how often"), when.node),
    labelled("The fault in JSON", preview),
    element("p", {}, element("button", { class: "primary" }, "Add this fault")),
    known,
  ];
}

let lists = 0;

/** Give a field its name: a group of fields is not one label's. */
function named(name, node) {
  if (node.tagName !== "DIV") return labelled(name, node);
  return element("fieldset", {}, element("legend", {}, name), node);
}

/** Make a field for a schema: a node, and read() for its value, undefined if it is not given. */
function field(schema, schemas, changed) {
  const variants = (schema.anyOf ?? [schema]).map((each) => resolve(each, schemas)).filter(({ type }) => type !== "null");
  if (variants.length > 1 && !variants.some(({ type }) => type === "array")) return choice(variants, schemas, changed);
  const variant = variants.find(({ type }) => type !== "array") ?? variants[0];
  if (variant.enum) return options(variant.enum, changed);
  if (variant.properties) return object(Object.entries(variant.properties), schemas, changed, variant.required);
  if (variant.type === "boolean") return checkbox(changed);
  if (variant.type === "integer" || variant.type === "number") return input({ type: "number", step: variant.type === "integer" ? "1" : "any" }, Number, changed);
  if (variant.type === "object") return input({ type: "text", placeholder: "{}" }, JSON.parse, changed);
  return input({ type: "text" }, String, changed, variant.examples);
}

function resolve(schema, schemas) {
  return schema.$ref ? schemas[schema.$ref.split("/").at(-1)] : schema;
}

/** Make a field that chooses between several schemas. */
function choice(variants, schemas, changed) {
  const fields = variants.map((variant) => field(variant, schemas, changed));
  const place = element("div");
  const names = variants.map((variant) => (variant.enum ? variant.enum.join(", ") : `${variant.title ?? variant.type}, in detail`));
  const select = element("select", { onchange: choose }, names.map((name, index) => element("option", { value: index }, name)));
  function choose() {
    place.replaceChildren(fields[select.value].node);
    changed();
  }
  place.append(fields[0].node);
  return { node: element("div", { class: "fields" }, select, place), read: () => fields[select.value].read() };
}

function options(values, changed) {
  const select = element("select", { onchange: changed }, ["", ...values].map((value) => element("option", {}, value)));
  return { node: select, read: () => select.value || undefined };
}

function checkbox(changed) {
  const box = element("input", { type: "checkbox", onchange: changed });
  return { node: box, read: () => box.checked || undefined };
}

/** Make a text field. A value that cannot be converted is sent unchanged, so that the emulator names the mistake. */
function input(attributes, convert, changed, examples = []) {
  const list = element("datalist", { id: `examples-${(lists += 1)}` }, examples.map((value) => element("option", { value })));
  const field = element("input", { ...attributes, list: examples.length ? list.id : null, oninput: changed });
  const node = examples.length ? element("span", {}, field, list) : field;
  function read() {
    try {
      return field.value === "" ? undefined : convert(field.value);
    } catch {
      return field.value;
    }
  }
  return { node, read };
}

function object(properties, schemas, changed, required = []) {
  const fields = properties.map(([name, schema]) => [name, field(schema, schemas, changed)]);
  const node = element("div", { class: "fields" }, fields.map(([name, { node }]) => named(required.includes(name) ? `${name} (needed)` : name, node)));
  function read() {
    const given = fields.map(([name, { read }]) => [name, read()]).filter(([, value]) => value !== undefined);
    return given.length ? Object.fromEntries(given) : undefined;
  }
  return { node, read };
}

/** Return the rows of the table of effects that are about the effect of a fault. */
function findEffects(text, effects) {
  let fault;
  try {
    fault = JSON.parse(text);
  } catch {
    return [];
  }
  return effects.filter(({ fault: { match, ...effect } }) =>
    Object.entries(effect).every(([kind, wanted]) => isSame(fault?.[kind], wanted)),
  );
}

function isSame(given, wanted) {
  if (given === undefined || given === null) return false;
  if (wanted.code) return given.code === wanted.code;
  if (typeof wanted === "string" || wanted.kind) return (given.kind ?? given) === (wanted.kind ?? wanted);
  return typeof given === "object";
}

function describeEffects(rows) {
  if (rows.length === 0) return [element("p", { class: "empty" }, "No client was tried with it.")];
  return rows.map(({ sent, boto3, cli, javascript }) =>
    element(
      "dl",
      {},
      [["Sent", sent], ["boto3", boto3], ["AWS CLI", cli], ["JavaScript", javascript]].map(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]),
    ),
  );
}
