// @ts-check
/** The settings of an edit, and what begins it. */
import { refusalOf, refusals } from "./abilities.js";
import { API, ask, fileFacts, send } from "./api.js";
import { asked, change, draft, onChange, says, set } from "./draft.js";
import { byId, complain, fill, h, icon, segments, tool } from "./dom.js";
import { fieldOf, slider, typed } from "./fields.js";
import { follow, isFollowing } from "./follow.js";
import * as jobs from "./jobs.js";
import { paint } from "./stage.js";
import { scheduleFields, scheduleTrouble } from "./schedules.js";
import { begin } from "./variants.js";
import { about } from "./words.js";

/** @typedef {import("./api.js").Job} Job */
/** @typedef {import("./api.js").Method} Method */
/** @typedef {import("./api.js").Schema} Schema */
/** @typedef {import("./fields.js").Shown} Shown */

/** Settings that have a place of their own on the page. */
const NAMED = ["structure_detail", "cfg", "strength", "temporal_guidance", "seed", "source_prompt", "negative", "edit", "start", "end", "duration"];
const FIRST_FRAMES = 8;
/** Settings that say how long a frame takes. */
const ALIKE = ["steps", "ensemble", "size", "cfg"];

/** @type {{methods: Record<string, Method> | null, settings: Schema | null, models: string[], fields: Shown[], loading: boolean, asking: boolean}} */
const known = { methods: null, settings: null, models: ["pocket", "pocket-words"], fields: [], loading: false, asking: false };

const words = h("textarea", { id: "words", rows: 3, maxlength: 4000, placeholder: "a snowy field in winter", oninput: () => change({ words: words.value }) });
const pictures = h("div", { class: "pictures" });
const where = segments("Where to edit", { everywhere: "Everywhere", inside: "Painted part", outside: "All but it" }, draft.place.where, placed, "full");
const maskRow = h("div", { class: "row" });
const model = h("select", { id: "model", onchange: () => change({ model: model.value }) });
const method = h("select", { id: "method", onfocus: learn, onpointerdown: learn, onchange: () => change({ method: method.value }) });
const methodAbout = h("p", { class: "hint", role: "status" });
const knobs = h("div", { class: "group" });
const more = h("details", { ontoggle: learn }, h("summary", {}, "All settings"), h("div", { class: "fields" }, h("p", { class: "hint" }, "Asking the server for them")));
const seed = h("input", { type: "number", id: "seed", min: 0, step: 1, placeholder: "0", onchange: () => set("seed", seed.value === "" ? undefined : Number(seed.value)) });
const format = h("select", { id: "format", onchange: () => change({ format: format.value }) }, ...["mp4", "mov", "mkv", "webm"].map((each) => h("option", {}, each)));
const estimate = h("p", { class: "hint", role: "status" });
const edit = h("button", { type: "submit", class: "button strong", title: "Ctrl+Enter" }, "Edit the clip");
const tryOut = h("button", { type: "button", class: "button", id: "try", title: "A few frames from the in point, in four variants", onclick: () => void once(() => begin(FIRST_FRAMES)).catch(complain) }, "Try four");

/** Puts the panel together. */
export function showPanel() {
  fill(byId("panel"),
    h("div", { class: "group" }, h("div", { class: "field" }, h("label", { for: "words" }, "What should it look like?"), words), pictures),
    h("div", { class: "group" }, h("span", { class: "label" }, "Where"), where.element, maskRow),
    h("div", { class: "group" }, h("div", { class: "pair" }, h("div", { class: "field" }, h("label", { for: "method" }, "Method"), method), h("div", { class: "field" }, h("label", { for: "model" }, "Model"), model)), methodAbout),
    knobs,
    h("div", { class: "group" }, h("div", { class: "pair" }, h("div", { class: "field" }, h("label", { for: "seed" }, "Seed"),
      h("div", { class: "seed" }, seed, tool("dice", "Another seed", () => set("seed", Math.floor(Math.random() * 100000)), "button"))), h("div", { class: "field" }, h("label", { for: "format" }, "File"), format)), more),
    h("div", { class: "run" }, estimate, h("div", { class: "row" }, tryOut, edit)));
  byId("panel").addEventListener("submit", (event) => {
    event.preventDefault();
    void run().catch(complain);
  });
  onChange(show);
  jobs.follow(guess);
  makeKnobs();
  show();
  void follow();
  ask("GET", "/models").then((models) => { known.models = models; show(); }, complain);
}

/** What methods and settings there are. Asked for when it is needed, because the server has to look into torch for it. */
async function learn() {
  if (known.loading) return;
  known.loading = true;
  try {
    [known.methods, known.settings] = await Promise.all([ask("GET", "/methods"), ask("GET", "/settings")]);
    makeKnobs();
    show();
  } catch (error) {
    known.loading = false;
    complain(error);
  }
}

/** Queues the edit of the whole stretch, and shows it. */
export const run = () => once(async () => {
  const job = await ask("POST", "/jobs", asked());
  jobs.took(job);
  location.hash = `#/job/${job.id}`;
  byId("main").focus({ preventScroll: true }); // on the button, the space bar would begin another one
});

/** Queues something, unless something is being queued: a second press of a button or key asks for nothing more. @param {() => Promise<void>} queue */
async function once(queue) {
  if (edit.disabled || known.asking) return;
  known.asking = true;
  show();
  try {
    await queue();
  } finally {
    known.asking = false;
    show();
  }
}

/** @param {import("./api.js").UserFile} file that was dropped or chosen */
export function addPicture(file) {
  change({ images: [...draft.images, file.id] });
}

/** @param {string} value */
function placed(value) {
  change({ place: { ...draft.place, where: /** @type {import("./draft.js").Place["where"]} */ (value) } });
  if (value !== "everywhere" && !draft.place.file && !isFollowing()) void paint();
}

function show() {
  if (draft.source) void learn();
  if (document.activeElement !== words) words.value = draft.words;
  if (document.activeElement !== seed) seed.value = draft.settings.seed ?? "";
  format.value = draft.format;
  where.show(draft.place.where);
  showPictures();
  showMask();
  showMethods();
  for (const field of known.fields) field.show();
  edit.disabled = tryOut.disabled = !draft.source || !says() || Boolean(refusalOf(draft.model, draft.method) || scheduleTrouble(draft, show)) || (draft.place.where !== "everywhere" && !draft.place.file);
  guess();
}

function showPictures() {
  const add = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", class: "unseen", onchange: () => void bring(add.files?.[0]) });
  const shown = draft.images.map((id) => h("figure", {}, h("img", { src: `${API}/files/${id}/frame?side=128`, alt: "A picture of what it should look like" }),
    h("button", { type: "button", "aria-label": "Take the picture away", onclick: () => change({ images: draft.images.filter((each) => each !== id) }) }, icon("close"))));
  fill(pictures, ...shown, h("label", { class: "button addpicture" }, icon("plus"), draft.images.length ? "" : "A picture of it", add));
}

/** @param {File | undefined} file */
async function bring(file) {
  if (!file) return;
  try {
    const sent = await send(file, file.name);
    if (sent.kind === "picture") addPicture(sent);
    else complain(new Error(`${file.name} is a video; a picture says what the clip should look like.`));
  } catch (error) {
    complain(error);
  }
}

function showMask() {
  maskRow.hidden = draft.place.where === "everywhere";
  const { file } = draft.place;
  fill(maskRow, file && h("img", { src: `${API}/files/${file}/frame?seconds=${draft.place.seconds}&side=90`, alt: "The mask: white is edited", height: 54, style: { "border-radius": "6px" } }),
    h("button", { type: "button", class: "button", disabled: !draft.source, onclick: () => void paint() }, icon("brush"), file || isFollowing() ? "Paint anew" : "Paint it on this frame"),
    (file || isFollowing()) && h("span", { class: "hint grow", role: "status" }, file ? "Followed through the clip" : "Being followed through the clip"));
}

function showMethods() {
  const names = known.methods ? Object.keys(known.methods) : [draft.method].filter((name) => name !== "auto");
  const held = known.methods ? refusals(draft.model, show) : null;
  const [able, unable] = [false, true].map((refused) => names.filter((name) => Boolean(held?.[name]) === refused).map((name) => h("option", { value: name, title: held?.[name] }, name)));
  fill(method, h("option", { value: "auto" }, "Automatic"), ...able, unable.length && h("optgroup", { label: `Not by ${draft.model}` }, unable));
  method.value = draft.method;
  fill(model, ...[...new Set([...known.models, draft.model])].map((name) => h("option", { value: name }, name)));
  model.value = draft.model;
  const refusal = refusalOf(draft.model, draft.method);
  methodAbout.className = refusal ? "alert" : "hint";
  methodAbout.textContent = refusal ? `${draft.method} cannot edit by ${draft.model}: ${refusal}. Choose another method or model.` : aboutMethod();
  if (known.fields.length && byId("panel").dataset.method !== draft.method) makeKnobs();
}

function aboutMethod() {
  const held = known.methods?.[draft.method];
  return held ? `${held.about.split(/(?<=\.)\s/)[0]} ${held.paper}` : "The model's own choice: gen1 for pocket, which makes the clip anew over its structure. flowedit changes what the words say and keeps the rest.";
}

/** The knobs in people's words, then all others of the method and of edits as their schemas tell of them. */
function makeKnobs() {
  byId("panel").dataset.method = draft.method;
  const method = known.methods?.[draft.method === "auto" ? "gen1" : draft.method];
  const own = method?.schema.properties ?? {};
  const shared = known.settings?.properties ?? {};
  const lacks = (/** @type {string} */ name) => method && !(name in own);
  const fields = [
    slider("structure_detail", { default: 0 }, { min: 0, max: 1, step: 0.05, label: "Keep structure", hint: "Where things are and how they move. Less lets shapes change.",
      to: (value) => 1 - value / 7, from: (place) => 7 * (1 - place), told: (value) => `${Math.round(100 * (1 - value / 7))} %` }),
    lacks("strength") ? null : slider("strength", { default: own.strength?.default ?? 1 }, { min: 0, max: 1, step: 0.05, label: "How much to change", hint: "100 % makes the clip anew; less stays nearer to it.", told: (value) => `${Math.round(100 * value)} %` }),
    slider("cfg", {}, { min: 0, max: 12, step: 0.1, middle: 1.5, label: "Follow the words", hint: "More insists on them, at the cost of colours." }),
    lacks("temporal_guidance") ? null : slider("temporal_guidance", { default: 1 }, { min: 0, max: 2, step: 0.05, label: "Frame consistency", hint: "1 is the model as it is; less flickers, more is steadier from 12 steps on." }),
  ].filter((field) => field !== null);
  const asks = method?.needs_source ? [typed("source_prompt", { type: "array" }, "text", "What does it show now?", "a person on a city street")] : [];
  fill(knobs, ...[...asks, ...fields].map((field) => field.element));
  const rest = (/** @type {Record<string, import("./api.js").Field>} */ held) => Object.entries(held).filter(([name, schema]) => !NAMED.includes(name) && schema.type !== "object").map(([name, schema]) => fieldOf(name, schema));
  const others = known.settings ? [typed("negative", shared.negative ?? {}, "text", "What it should not look like"), ...rest(shared)] : [];
  const theirs = rest(own);
  const changing = known.settings ? scheduleFields(method?.over_time ?? []) : [];
  known.fields = [...asks, ...fields, ...others, ...theirs, ...changing];
  if (known.settings) fill(more.lastElementChild ?? more, ...(theirs.length ? [h("h2", {}, `Of the method ${draft.method === "auto" ? "" : draft.method}`)] : []), ...theirs.map((each) => each.element), h("h2", {}, "Of every edit"), ...others.map((each) => each.element),
    ...(changing.length ? [h("h2", {}, "Changing over the clip"), h("p", { class: "hint" }, "FRAME: VALUE or SECONDSs: VALUE, with commas between; it goes evenly from one to the next. ease or hold before the first: slowly at both ends, or at once. Instead of the setting above.")] : []), ...changing.map((each) => each.element));
}

/** How long it will take, by the last job like it. */
function guess() {
  const same = (/** @type {Job} */ job) => ALIKE.every((name) => JSON.stringify(job.settings[name]) === JSON.stringify(draft.settings[name]));
  const like = jobs.newest().find((job) => job.state === "done" && job.started && job.finished && job.frames && job.model === draft.model && job.method === draft.method && same(job));
  if (known.asking) estimate.textContent = "Being queued.";
  else if (!draft.source) estimate.textContent = "Give a clip first.";
  else if (!says()) estimate.textContent = "Say what it should look like, in words or by a picture.";
  else if (refusalOf(draft.model, draft.method)) estimate.textContent = `${draft.model} cannot do ${draft.method}.`;
  else if (scheduleTrouble(draft, show)) estimate.textContent = "What changes over the clip is not right yet: see All settings.";
  else if (edit.disabled) estimate.textContent = isFollowing() ? "The painted part is being followed through the clip." : "Paint the part to edit first.";
  else void fileFacts(draft.source).then((facts) => {
    const fps = facts.fps ?? 24;
    const seconds = (draft.end ?? facts.seconds ?? 0) - draft.start;
    const frames = Math.min(Math.max(1, Math.round(seconds * fps)), draft.settings.max_frames ?? Infinity);
    const each = like ? (Number(like.finished) - Number(like.started)) / Number(like.frames) : null;
    estimate.textContent = `${frames} frames${each ? `, about ${about(each * frames)} by the last edit of this kind` : ""}`;
  }, () => {});
}
