// Frames as pictures, which the emulator draws.

import { download, path as write } from "./api.js";
import { button, element } from "./dom.js";
import * as format from "./format.js";

const FRAMES_PER_CLICK = 12;

/** Show the frames that a metadata document names. */
export function frames(path) {
  const gallery = element("div", { class: "gallery" });
  const hint = element("p", { class: "empty" });
  const more = button("Show frames", show);
  let ids = null;

  async function show() {
    if (ids === null) return;
    const wanted = ids.slice(gallery.childElementCount, gallery.childElementCount + FRAMES_PER_CLICK);
    const figures = wanted.map((id) => element("figure", {}, element("figcaption", {}, format.shortId(id))));
    gallery.append(...figures);
    more.hidden = gallery.childElementCount >= ids.length;
    for (const [index, id] of wanted.entries()) await draw(figures[index], id);
  }

  async function draw(figure, id) {
    try {
      const picture = URL.createObjectURL(await download(path + write`/frames/${id}.png`));
      figure.prepend(element("img", { src: picture, alt: `Frame ${id}`, onload: () => URL.revokeObjectURL(picture) }));
    } catch (error) {
      figure.prepend(element("p", { class: "refusal" }, error.message));
    }
  }

  /** Take the frames from a document; pictures that are shown stay, if their frames do. */
  function read(document) {
    const found = [...frameIds(document)];
    if (found.join() === ids?.join()) return;
    ids = found;
    gallery.replaceChildren();
    more.hidden = ids.length === 0;
    more.textContent = `Show ${format.count(ids.length, "frame")}`;
    hint.textContent = ids.length === 0 ? "The latest version has no frames." : "";
  }

  return { node: element("section", {}, element("h2", {}, "Frames"), hint, gallery, more), read };
}

function* frameIds(document) {
  for (const series of Object.values(document.Study?.Series ?? {}))
    for (const instance of Object.values(series.Instances ?? {})) for (const frame of instance.ImageFrames ?? []) if (frame?.ID) yield frame.ID;
}
