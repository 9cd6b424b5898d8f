// @ts-check
/** What is on the stage: nothing yet, the clip, a job at work on it, or its result beside it. */
import { API, fileFacts } from "./api.js";
import { change, draft, reuse } from "./draft.js";
import { byId, complain, fill, h, icon } from "./dom.js";
import * as jobs from "./jobs.js";
import { Painter } from "./painter.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";
import { ofFile, ofJob } from "./video.js";
import { welcome } from "./welcome.js";
import { doing, left, share, title } from "./words.js";

/** @typedef {import("./api.js").Job} Job */
/** @typedef {import("./api.js").UserFile} UserFile */

/** @type {{key: string, player: Player | null, timeline: Timeline | null, painter: Painter | null, work: HTMLElement | null}} */
const stage = { key: "empty", player: null, timeline: null, painter: null, work: null };

export const shownPlayer = () => stage.player;
export const shownTimeline = () => stage.timeline;

/** Shows what the address and the draft ask for. @param {string | null} id of a job */
export async function showStage(id) {
  const job = id ? await jobs.found(id, "#/").catch((error) => void complain(error)) : null;
  if (id && !job) return;
  const source = job ? job.source : draft.source;
  const key = job ? `job ${job.id} ${job.state === "running" || job.state === "queued" ? "open" : job.state}` : source ?? "empty";
  if (key !== stage.key) await put(key, job ?? null, source);
  if (job && stage.key === key) progress(job);
}

/** @param {string} key @param {Job | null} job @param {string | null} source */
async function put(key, job, source) {
  clear(key);
  const facts = source ? await fileFacts(source).catch(() => null) : null;
  if (stage.key !== key) return;
  if (!facts && !(job?.state === "done")) {
    if (source && !job) change({ source: null });
    return fill(byId("stage"), welcome(source ? "The server no longer has this clip." : undefined), job && ended(job));
  }
  if (job?.state === "done") putResult(job, facts);
  else putClip(/** @type {UserFile} */ (facts), job);
  try {
    await stage.player?.load();
  } catch (error) {
    if (stage.key === key) complain(error);
  }
}

/** @param {string} key */
function clear(key) {
  stage.player?.close();
  Object.assign(stage, { key, player: null, timeline: null, painter: null, work: null });
}

/** @param {UserFile} facts @param {Job | null} job */
function putClip(facts, job) {
  const fps = facts.fps ?? 24;
  const seconds = facts.seconds ?? (facts.frames ?? fps) / fps;
  const player = new Player({ one: ofFile(facts.id, facts.name), two: null, offset: 0, ratio: facts.width / facts.height, fps });
  const settings = job ? job.settings : draft;
  const mark = job ? null : (/** @type {number} */ start, /** @type {number | null} */ end) => {
    player.range = [start, end];
    change({ start, end });
  };
  player.range = [settings.start ?? 0, settings.end ?? null];
  timed(player, new Timeline({ seconds, fps, start: settings.start ?? 0, end: settings.end ?? null, seek: (to) => player.seek(to), mark }));
  fill(byId("stage"), player.element, job ? ended(job) : ends(facts));
  if (job) player.screen.append((stage.work = h("div", { class: "work" })));
}

/** @param {Job} job @param {UserFile | null} facts */
function putResult(job, facts) {
  const fps = facts?.fps ?? 24;
  const result = ofJob(job.id, "the result");
  const pair = facts ? { one: ofFile(facts.id, facts.name), two: result } : { one: result, two: null };
  const player = new Player({ ...pair, offset: job.settings.start ?? 0, ratio: facts ? facts.width / facts.height : 16 / 9, fps });
  const start = facts ? player.shown.offset : 0;
  const seconds = Math.max(job.frames ?? 1, 1) / fps;
  const seek = (/** @type {number} */ to) => player.seek(to + start);
  timed(player, new Timeline({ seconds, fps, start: 0, end: null, seek, mark: null }), start);
  fill(byId("stage"), player.element, finished(job), notes(job));
}

/** @param {Player} player @param {Timeline} timeline @param {number} [start] */
function timed(player, timeline, start = 0) {
  player.screen.after(timeline.element);
  player.onTime = (seconds) => timeline.at(seconds - start);
  stage.player = player;
  stage.timeline = timeline;
}

/** @param {UserFile} facts */
function ends(facts) {
  const small = (/** @type {string} */ text, /** @type {() => void} */ onclick, /** @type {string} */ hint) =>
    h("button", { type: "button", class: "button", title: hint, onclick }, text);
  return h("div", { class: "ends" }, h("span", { class: "name", title: facts.name }, `${facts.name}, ${facts.width} × ${facts.height}`),
    small("Set in", markIn, "The edit begins here (I)"), small("Set out", markOut, "The edit ends here (O)"),
    small("Whole clip", () => stage.timeline?.clear(), "In and out points go"), small("Another clip", another, "Choose another clip"));
}

export const markIn = () => stage.player && stage.timeline?.markIn(stage.player.seconds);
export const markOut = () => stage.player && stage.timeline?.markOut(stage.player.seconds + 1 / stage.player.shown.fps);
const another = () => change({ source: null });

/** @param {Job} job */
function finished(job) {
  const download = `${API}/jobs/${job.id}/result`;
  return h("div", { class: "actions" },
    h("a", { class: "button strong", href: download, download: true, title: "The file holds the whole request that made it: recast info and recast rerun read it" }, icon("download"), "Download"),
    h("button", { type: "button", class: "button", onclick: () => useAgain(job) }, icon("reuse"), "Use these settings"),
    h("a", { class: "button plain", href: "#/" }, "Back to the clip"));
}

/** Takes a job's settings into the panel. @param {Job} job */
export function useAgain(job) {
  reuse(job);
  location.hash = "#/";
}

/** @param {Job} job */
function notes(job) {
  return job.notes.length ? h("ul", { class: "notes" }, ...job.notes.map((note) => h("li", {}, note))) : null;
}

/** What is left to say of a job without a result. @param {Job} job */
function ended(job) {
  const again = () => void jobs.retry(job).catch(complain);
  const retry = h("button", { type: "button", class: "button strong", onclick: again }, icon("retry"), "Try again");
  const use = h("button", { type: "button", class: "button", onclick: () => useAgain(job) }, icon("reuse"), "Use these settings");
  const back = h("a", { class: "button plain", href: "#/" }, "Back to the clip");
  if (job.state === "failed") return h("div", { class: "actions" }, h("p", { class: "alert", role: "alert", style: { width: "100%" } }, job.error), retry, use, back);
  if (job.state === "cancelled") return h("div", { class: "actions" }, h("span", { class: "soft" }, `"${title(job)}" was cancelled.`), retry, use, back);
  return h("div", { class: "actions" }, back);
}

/** @param {Job} job */
function progress(job) {
  const { work } = stage;
  if (!work) return;
  work.hidden = job.state !== "running" && job.state !== "queued";
  const stop = () => void jobs.cancel(job).catch(complain);
  glimpse(work, job);
  const focused = work.contains(document.activeElement);
  const button = h("button", { type: "button", class: "button", disabled: job.cancelling, onclick: stop }, "Cancel");
  fill(work, work.querySelector("img"), h("div", { class: "row" }, h("span", { class: "grow" }, h("b", {}, doing(job)), " ", h("span", { class: "soft" }, left(job))), button),
    h("div", { class: "track", role: "progressbar", "aria-label": "Progress", "aria-valuenow": Math.round(100 * share(job)) }, h("i", { style: { "--done": share(job) } })));
  if (focused) button.focus();
}

/** What the job is making, as soon as that can be seen. @param {HTMLElement} work @param {Job} job */
function glimpse(work, job) {
  const at = `${job.stage} ${job.progress}`;
  if (job.stage !== "denoise" || !job.progress || work.dataset.at === at) return;
  work.dataset.at = at;
  const image = h("img", { class: "glimpse", alt: "What it is becoming", src: `${API}/jobs/${job.id}/glimpse?at=${job.progress}` });
  image.addEventListener("load", () => {
    work.querySelector("img")?.remove();
    work.prepend(image);
  });
}

/** Opens the painter of masks over the frame that is shown. */
export async function paint() {
  const { player } = stage;
  if (!player || !draft.source || stage.painter) return;
  player.pause();
  const facts = await fileFacts(draft.source);
  stage.painter = new Painter(facts, player.seconds, closePainter);
  byId("stage").replaceChildren(stage.painter.element);
  await stage.painter.load().catch(complain);
}

function closePainter() {
  stage.key = "";
  void showStage(null);
}
