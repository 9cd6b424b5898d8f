// @ts-check
/** The edit that is being prepared. It outlives a reload, each tab has its own, and a new tab begins with the last one. */

/** @typedef {import("./api.js").Job} Job */
/**
 * Where to edit. still: the painted frame, frame: its number, grow: pixels that the area is grown by, file: the mask of
 * the whole clip, as soon as the still has been followed.
 * @typedef {{where: "everywhere" | "inside" | "outside", still: string | null, frame: number, grow: number, seconds: number,
 *   file: string | null}} Place
 */
/**
 * settings: those that were touched, by the names of the API. end: null is the clip's own.
 * @typedef {{source: string | null, words: string, images: string[], model: string, method: string, format: string,
 *   start: number, end: number | null, place: Place, settings: Record<string, any>, variants: string}} Draft
 */

const KEY = "recast-draft";

/** @returns {Place} */
const everywhere = () => ({ where: "everywhere", still: null, frame: 0, grow: 0, seconds: 0, file: null });

/** @returns {Draft} */
const empty = () => ({
  source: null, words: "", images: [], model: "pocket", method: "auto", format: "mp4", start: 0, end: null,
  place: everywhere(), settings: {}, variants: "",
});

/** @type {Draft} */
export const draft = { ...empty(), ...stored() };
/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {Partial<Draft>} */
function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}

/** Changes the draft, keeps it, and tells those who show it. @param {Partial<Draft>} changes */
export function change(changes) {
  Object.assign(draft, changes);
  const text = JSON.stringify(draft);
  try {
    sessionStorage.setItem(KEY, text);
    localStorage.setItem(KEY, text);
  } catch {
    // A browser that stores nothing still edits.
  }
  for (const listener of [...listeners]) listener();
}

/** @param {() => void} listener */
export function onChange(listener) {
  listeners.add(listener);
}

/** @param {string} name @param {any} value undefined leaves it to the model */
export function set(name, value) {
  const settings = { ...draft.settings, [name]: value };
  if (value === undefined) delete settings[name];
  change({ settings });
}

/** Begins with another clip: what belongs to places and times of the old one goes. @param {string} source */
export function startWith(source) {
  change({ source, start: 0, end: null, place: everywhere(), variants: "" });
}

/** "Use these settings": the draft becomes what the job was asked. @param {Job} job */
export function reuse(job) {
  const { start = 0, end = null, edit = "inside", duration, max_frames, ...settings } = job.settings;
  /** @type {Place} */
  const place = { ...everywhere(), where: job.mask ? edit : "everywhere", file: job.mask };
  change({
    source: job.source, words: job.prompt.join("\n"), images: job.images, model: job.model, method: job.method,
    format: job.format, start, end, place, settings, variants: "",
  });
}

/** Whether the draft says what the clip should look like. */
export function says() {
  return Boolean(draft.words.trim() || draft.images.length || draft.settings.schedules?.words);
}

/** What POST /jobs is sent. @param {Record<string, any>} [more] settings beyond the draft's */
export function asked(more = {}) {
  const { place } = draft;
  const masked = place.where !== "everywhere" && place.file;
  /** @type {Record<string, any>} */
  const settings = { ...draft.settings, method: draft.method, ...more };
  if (draft.start) settings.start = draft.start;
  if (draft.end !== null) settings.end = draft.end;
  if (masked) settings.edit = place.where;
  return {
    source: draft.source,
    prompt: draft.words.split("\n").map((text) => text.trim()).filter(Boolean),
    images: draft.images,
    mask: masked ? place.file : null,
    model: draft.model,
    format: draft.format,
    settings,
  };
}
