// @ts-check
/** A fast look before the whole: few frames, in four variants that differ by their seed. */
import { API, ask, fileFacts } from "./api.js";
import { asked, change, draft, onChange, set } from "./draft.js";
import { byId, fill, h } from "./dom.js";
import * as jobs from "./jobs.js";
import { doing } from "./words.js";

/** @typedef {import("./api.js").Job} Job */

const COUNT = 4;
const BEFORE_OTHERS = 10;

/** Queues the variants, before other jobs that wait. @param {number} frames */
export async function begin(frames) {
  const batch = `try-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
  const first = Number(draft.settings.seed ?? 0);
  change({ variants: batch });
  for (let number = 0; number < COUNT; number++) {
    const wish = asked({ seed: first + number, max_frames: frames });
    jobs.took(await ask("POST", "/jobs", { ...wish, format: "mp4", batch, priority: BEFORE_OTHERS }));
  }
}

/** Keeps the variants of this draft in sight. */
export function showVariants() {
  /** @type {Map<string, HTMLElement>} */
  const boxes = new Map();
  const show = () => {
    const tried = jobs.newest().filter((job) => draft.variants && job.batch === draft.variants).sort((a, b) => seedOf(a) - seedOf(b));
    const area = byId("variants");
    area.hidden = !tried.length || location.hash.startsWith("#/job/");
    if (!tried.length || area.dataset.shown === signature(tried)) return;
    area.dataset.shown = signature(tried);
    const held = tried.map((job) => {
      const key = `${job.id} ${job.state} ${job.stage}`;
      const box = boxes.get(key) ?? boxOf(job);
      boxes.set(key, box);
      return h("div", { class: `variant ${seedOf(job) === (draft.settings.seed ?? 0) ? "chosen" : ""}` }, box, choose(job));
    });
    const hide = h("button", { type: "button", class: "button plain", onclick: () => change({ variants: "" }) }, "Close");
    fill(area, h("div", { class: "heading" }, h("h2", {}, "Four variants of the first frames"), hide), h("div", { class: "variants" }, held));
  };
  jobs.follow(show);
  onChange(show);
  addEventListener("hashchange", show);
  show();
}

/** @param {Job[]} tried */
const signature = (tried) => `${draft.settings.seed ?? 0} ${tried.map((job) => `${job.id} ${job.state} ${job.stage}`).join()}`;
/** @param {Job} job */
const seedOf = (job) => Number(job.settings.seed ?? 0);

/** @param {Job} job */
function boxOf(job) {
  const box = h("div", { class: "box" });
  void fileFacts(job.source).then((facts) => box.style.setProperty("--ratio", String(facts.width / facts.height)), () => {});
  if (job.state === "done") {
    const video = h("video", { src: `${API}/jobs/${job.id}/view`, loop: true, playsinline: true, autoplay: !matchMedia("(prefers-reduced-motion: reduce)").matches, "aria-label": `Variant of seed ${seedOf(job)}` });
    video.muted = true;
    box.append(video);
  } else box.textContent = job.state === "failed" ? job.error : job.state === "cancelled" ? "Cancelled" : doing(job);
  return box;
}

/** @param {Job} job */
function choose(job) {
  const seed = seedOf(job);
  const chosen = seed === (draft.settings.seed ?? 0);
  return h("button", { type: "button", class: "button", "aria-pressed": String(chosen), onclick: () => set("seed", seed) }, chosen ? `Seed ${seed} is chosen` : `Take seed ${seed}`);
}
