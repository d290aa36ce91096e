// How values are written for people.

/** Write epoch seconds as a date and a time in UTC, with seconds. */
export function date(seconds) {
  return seconds === undefined || seconds === null ? "" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}

/** Write epoch seconds as a time of day in UTC, with milliseconds. */
export function time(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 23);
}

/** Write a number of seconds, as 250 ms or 1.5 s. */
export function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${Number(seconds.toFixed(2))} s`;
}

/** Shorten an id to its ends. */
export function shortId(id) {
  return id.length > 12 ? `${id.slice(0, 4)}…${id.slice(-4)}` : id;
}

/** Write "1 version" or "2 versions". */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Write a person's name from DICOM's components. */
export function personName(name) {
  return (name ?? "").split("^").filter(Boolean).join(" ");
}
