// @ts-check
/** Jobs in a list: what they are, how far they are, and what can be done about them. */
import { API } from "./api.js";
import { byId, complain, fill, h, tool } from "./dom.js";
import * as jobs from "./jobs.js";
import { useAgain } from "./stage.js";
import { doing, left, outcome, share, title, when } from "./words.js";

/** @typedef {import("./api.js").Job} Job */

const MOST = 6;

/** @param {Job} job */
export const isOpen = (job) => job.state === "queued" || job.state === "running";

/** A picture of the job: of its result, else of its clip. @param {Job} job */
export function thumb(job) {
  const place = job.state === "done" ? `jobs/${job.id}` : `files/${job.source}`;
  const image = h("img", { class: "thumb", loading: "lazy", alt: "", src: `${API}/${place}/frame?seconds=${job.state === "done" ? 0 : job.settings.start ?? 0}` });
  image.addEventListener("error", () => image.replaceWith(h("div", { class: "thumb" })));
  return image;
}

/** Keeps the newest jobs in sight below the stage. */
export function showJobs() {
  const area = byId("jobs");
  /** @type {Map<string, {key: string, element: HTMLElement}>} */
  const lines = new Map();
  const list = h("ul");
  const heading = h("div", { class: "heading" }, h("h2", {}, "Jobs"), h("a", { href: "#/history", class: "small soft" }, "All of them"));
  fill(area, heading, list);
  const show = () => {
    const all = jobs.newest().filter((job) => !job.batch.startsWith("try-") || isOpen(job));
    const shown = [...all.filter(isOpen).reverse(), ...all.filter((job) => !isOpen(job))].slice(0, Math.max(MOST, all.filter(isOpen).length));
    area.hidden = !shown.length;
    const elements = shown.map((job) => {
      const key = `${job.state} ${job.cancelling}`;
      const held = lines.get(job.id);
      const element = held?.key === key ? held.element : lineOf(job);
      lines.set(job.id, { key, element });
      renew(element, job);
      return element;
    });
    if (elements.some((element, at) => list.children[at] !== element) || list.children.length !== elements.length) fill(list, ...elements);
  };
  jobs.follow(show);
  addEventListener("hashchange", show);
  show();
}

/** @param {Job} job */
function lineOf(job) {
  return h("li", { class: "jobline", "data-job": job.id }, thumb(job), h("div", { class: "grow" },
    h("a", { class: "title", href: `#/job/${job.id}` }, title(job)), h("p", { class: "small soft state" }),
    isOpen(job) && h("div", { class: "track" }, h("i"))), buttons(job));
}

/** @param {HTMLElement} line @param {Job} job */
function renew(line, job) {
  line.classList.toggle("open", location.hash === `#/job/${job.id}`);
  const state = /** @type {HTMLElement} */ (line.querySelector(".state"));
  const parts = job.state === "running" ? [doing(job), left(job)] : [job.state === "queued" ? waiting(job) : outcome(job), job.method === "auto" ? job.model : `${job.method}, ${job.model}`];
  const text = parts.filter(Boolean).join(" · ") + (job.error ? `: ${job.error}` : "");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("why", job.state === "failed");
  line.querySelector("i")?.style.setProperty("--done", String(share(job)));
}

/** @param {Job} job */
function waiting(job) {
  const before = jobs.ahead(job);
  return `${doing(job)}${before ? `, ${before} before it` : ""}, since ${when(job.created)}`;
}

/** @param {Job} job */
export function buttons(job) {
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => unknown} */ act) =>
    tool(name, `${label}: ${title(job)}`, () => void Promise.resolve(act()).catch(complain), "button plain");
  const download = h("a", { class: "button plain", href: `${API}/jobs/${job.id}/result`, download: true, title: "Download", "aria-label": `Download: ${title(job)}` });
  download.append(...tool("download", "", () => {}).childNodes);
  if (isOpen(job)) return h("div", { class: "buttons" }, job.cancelling ? null : button("close", "Cancel", () => jobs.cancel(job)));
  return h("div", { class: "buttons" }, job.state === "done" ? download : button("retry", "Try again", () => jobs.retry(job)),
    button("reuse", "Use these settings", () => useAgain(job)), button("bin", "Delete", () => confirm(`Delete "${title(job)}" and its result?`) && jobs.remove(job)));
}
