// Build and update elements. Every text becomes a text node, never markup.

/** Make an element. Attributes that begin with "on" are listeners; false, null and undefined leave one out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Make a button. */
export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", ...attributes, onclick }, text);
}

/** Make a field with its label. */
export function labelled(text, field) {
  return element("label", { class: "field" }, element("span", {}, text), field);
}

const shown = new WeakMap();

/** Show items in a container: one element each, made again only if the item has changed. The focus stays. */
export function showItems(container, items, keyOf, make) {
  const before = shown.get(container) ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const text = JSON.stringify(item);
    const old = before.get(key);
    if (old?.text === text) {
      after.set(key, old);
      continue;
    }
    const entry = { text, node: make(item) };
    if (old) replaceKeepingFocus(old.node, entry.node);
    after.set(key, entry);
  }
  for (const [key, entry] of before) if (!after.has(key)) entry.node.remove();
  let place = container.firstElementChild;
  for (const { node } of after.values()) {
    if (node === place) place = place.nextElementSibling;
    else container.insertBefore(node, place);
  }
  shown.set(container, after);
}

/** Put an element in the place of another; if the focus was inside, it goes to the part of the same name. */
function replaceKeepingFocus(old, next) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(next);
  if (focused) (next.querySelector(`[data-focus="${focused.dataset.focus}"]`) ?? next).focus();
}

/** Put other content into a container, unless it shows the same already. */
export function showIfChanged(container, value, make) {
  const text = JSON.stringify(value) ?? "";
  if (container.dataset.shown === text) return;
  container.dataset.shown = text;
  container.replaceChildren(...[make(value)].flat(Infinity).filter(Boolean));
}
