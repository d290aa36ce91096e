// What a person does here: it is done through the control API, and said.

/** Do something, then say that it is done. What the emulator refuses is said in its own words. Returns whether it is done. */
export async function act(work, done) {
  try {
    await work();
    announce(done);
    return true;
  } catch (error) {
    announce(error.message, true);
    return false;
  }
}

function announce(text, isRefused = false) {
  document.dispatchEvent(new CustomEvent("acted", { detail: { text, isRefused } }));
}

/** Copy a text to the clipboard. */
export function copy(text) {
  return act(() => navigator.clipboard.writeText(text), "Copied.");
}
