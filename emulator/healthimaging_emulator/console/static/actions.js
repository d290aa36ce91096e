// User actions: send a request to the control API, and show its outcome.

/** Run an action, then show "done" or the error. Returns whether it succeeded. */
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

/** Run an action that cannot be undone, if the person agrees. */
export function actIfSure(question, work, done) {
  return confirm(question) ? act(work, done) : Promise.resolve(false);
}

function announce(text, isRefused = false) {
  document.dispatchEvent(new CustomEvent("acted", { detail: { text, isRefused } }));
}

/** Copy a text to the clipboard. */
export function copy(text) {
  return act(() => navigator.clipboard.writeText(text), "Copied.");
}
