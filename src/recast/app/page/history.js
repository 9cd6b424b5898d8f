// @ts-check
/** Every job, to be searched, opened, used again; any two of them to be compared. */
import { ask, fileFacts } from "./api.js";
import { byId, complain, fill, h } from "./dom.js";
import * as jobs from "./jobs.js";
import { buttons, thumb } from "./joblist.js";
import { Player } from "./player.js";
import { ofJob } from "./video.js";
import { outcome, title } from "./words.js";

/** @typedef {import("./api.js").Job} Job */

const MOST = 200;

/** @type {Set<string>} jobs that are picked for a comparison; the last two count */
const picked = new Set();

/** @returns {() => void} what ends it */
export function showHistory() {
  const cards = h("div", { class: "cards" });
  const none = h("p", { class: "soft" });
  const compare = h("a", { class: "button strong" }, "Compare two");
  const search = h("input", { type: "search", id: "search", placeholder: "Search words, methods, models (press /)", "aria-label": "Search in the history" });
  let turn = 0;
  const renew = async () => {
    const mine = ++turn;
    const found = /** @type {Job[]} */ (await ask("GET", `/jobs?limit=${MOST}&search=${encodeURIComponent(search.value)}`));
    if (mine !== turn) return;
    const shown = found.filter((job) => !job.batch.startsWith("try-"));
    fill(cards, ...shown.map((job) => card(job, chosen)));
    none.hidden = shown.length > 0;
    none.textContent = shown.length ? "" : search.value ? `Nothing is found for "${search.value}".` : "Nothing yet: what you edit is kept here.";
  };
  const chosen = () => {
    const two = [...picked];
    compare.toggleAttribute("href", false);
    if (two.length === 2) compare.setAttribute("href", `#/compare/${two.join("/")}`);
    compare.setAttribute("aria-disabled", String(two.length !== 2));
    compare.style.opacity = two.length === 2 ? "1" : ".45";
    for (const box of cards.querySelectorAll("input")) box.checked = picked.has(box.value);
  };
  search.addEventListener("input", () => void renew().catch(complain));
  fill(byId("sheet"), h("h1", {}, "History"), h("div", { class: "tools" }, search, compare), none, cards);
  chosen();
  void renew().then(chosen).catch(complain);
  let state = states();
  return jobs.follow(() => {
    if (state === states()) return;
    state = states();
    void renew().then(chosen).catch(complain);
  });
}

const states = () => jobs.newest().map((job) => `${job.id}${job.state}`).join();

/** @param {Job} job @param {() => void} chosen */
function card(job, chosen) {
  const pick = h("input", { type: "checkbox", value: job.id, "aria-label": `Compare: ${title(job)}`, onchange: () => {
    if (pick.checked) picked.add(job.id);
    else picked.delete(job.id);
    if (picked.size > 2) picked.delete([...picked][0]);
    chosen();
  } });
  const row = buttons(job);
  if (job.state === "done") row.append(h("label", {}, pick, "Compare"));
  return h("article", { class: "card", "data-job": job.id }, thumb(job), h("div", { class: "text" }, h("a", { class: "title", href: `#/job/${job.id}` }, title(job)),
    h("p", { class: "small soft" }, outcome(job)), h("p", { class: "small soft" }, how(job)), row));
}

/** The settings of a job in a line. @param {Job} job */
function how(job) {
  const settings = Object.entries(job.settings).filter(([name]) => name !== "method").map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [job.method === "auto" ? job.model : `${job.method} on ${job.model}`, ...settings].join(", ");
}

/** Two results in step. @param {string} first @param {string} second @returns {Promise<Player | null>} */
export async function showComparison(first, second) {
  const sheet = byId("sheet");
  fill(sheet, h("h1", {}, "Compare"));
  const [one, two] = await Promise.all([first, second].map((id) => jobs.found(id, "#/history")));
  if (!one || !two) return null;
  const facts = await fileFacts(one.source).catch(() => null);
  const begins = (/** @type {Job} */ job) => (one.source === two.source ? job.settings.start ?? 0 : 0);
  const player = new Player({ one: ofJob(one.id, title(one)), two: ofJob(two.id, title(two)), offset: Math.max(0, begins(two) - begins(one)),
    ratio: facts ? facts.width / facts.height : 16 / 9, fps: facts?.fps ?? 24, names: names(one, two) });
  fill(sheet, h("h1", {}, "Compare"), h("div", { class: "frame" }, player.element),
    h("table", { class: "table" }, h("tbody", {}, [one, two].map((job, at) => h("tr", {}, h("td", {}, h("b", {}, player.shown.names?.[at] ?? "")), h("td", { class: "soft small" }, how(job)), h("td", {}, buttons(job)))))),
    h("p", {}, h("a", { href: "#/history" }, "Back to the history")));
  await player.load();
  return player;
}

/** @param {Job} one @param {Job} two @returns {[string, string]} */
function names(one, two) {
  return title(one) === title(two) ? [`A: ${one.method}, seed ${one.settings.seed ?? 0}`, `B: ${two.method}, seed ${two.settings.seed ?? 0}`] : [title(one), title(two)];
}
