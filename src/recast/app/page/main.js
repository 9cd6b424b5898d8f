// @ts-check
/** The page: which part of it is shown, by the address, and what its keys do. */
import { onChange } from "./draft.js";
import { byId, complain } from "./dom.js";
import { showComparison, showHistory } from "./history.js";
import { showJobs } from "./joblist.js";
import * as jobs from "./jobs.js";
import { addPicture, run, showPanel } from "./panel.js";
import { markIn, markOut, showStage, shownPlayer } from "./stage.js";
import { showModels, showSystem } from "./system.js";
import { showVariants } from "./variants.js";
import { acceptDrops, sample, take } from "./welcome.js";

/** @typedef {import("./player.js").Player} Player */

/** @type {{end: () => void, compared: Player | null, shown: string}} */
const page = { end: () => {}, compared: null, shown: "" };

/** Parts of the address: #/job/ID, #/compare/A/B. */
const address = () => location.hash.replace(/^#\/?/, "").split("/");

/** @returns {string | null} */
const jobAsked = () => (address()[0] === "job" ? address()[1] : null);

async function route() {
  const [name, ...rest] = address();
  const isEdit = name === "" || name === "job";
  byId("edit").hidden = !isEdit;
  byId("sheet").hidden = isEdit;
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("data-page") === (isEdit ? "edit" : name === "compare" ? "history" : name);
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (page.shown === location.hash && !isEdit) return;
  page.shown = location.hash;
  leave();
  if (isEdit) return showStage(jobAsked());
  shownPlayer()?.pause();
  if (name === "history") page.end = showHistory();
  else if (name === "models") await showModels();
  else if (name === "system") await showSystem();
  else if (name === "compare") page.compared = await showComparison(rest[0], rest[1]);
  else location.hash = "#/";
}

function leave() {
  page.end();
  page.end = () => {};
  page.compared?.close();
  page.compared = null;
}

const routed = () => void route().catch(complain);

function pulse() {
  const all = jobs.newest();
  const [running, waiting] = ["running", "queued"].map((state) => all.filter((job) => job.state === state).length);
  const text = [running && `${running} running`, waiting && `${waiting} waiting`].filter(Boolean).join(", ");
  byId("pulse").textContent = jobs.line.lost ? "The server does not answer" : text;
  byId("pulse").classList.toggle("lost", jobs.line.lost);
  document.title = running ? `(${running}) recast` : "recast";
}

/** @type {Record<string, (player: Player) => void>} */
const KEYS = {
  " ": (player) => player.toggle(),
  k: (player) => player.toggle(),
  ArrowLeft: (player) => player.step(-1),
  ArrowRight: (player) => player.step(1),
  i: () => markIn(),
  o: () => markOut(),
  1: (player) => player.shown.two && player.setMode("wipe"),
  2: (player) => player.shown.two && player.setMode("side"),
  3: (player) => player.shown.two && player.setMode("difference"),
  4: (player) => player.shown.two && player.setMode("source"),
  5: (player) => player.shown.two && player.setMode("result"),
};

/** @param {KeyboardEvent} event */
function keyed(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return void run().catch(complain);
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element) || target.closest("input, select, textarea, dialog, canvas")) return;
  if (event.key === " " && target.closest("button, a, summary")) return;
  if (event.key === "/" && document.getElementById("search")) {
    event.preventDefault();
    return byId("search").focus();
  }
  const player = address()[0] === "compare" ? page.compared : shownPlayer();
  const act = KEYS[event.key];
  if (!act || !player || (byId("edit").hidden && !page.compared)) return;
  event.preventDefault();
  act(player);
}

byId("choose").addEventListener("change", () => void take(/** @type {HTMLInputElement} */ (byId("choose")).files?.[0]));
byId("sample").addEventListener("click", () => void sample());
acceptDrops(addPicture);
showPanel();
showJobs();
showVariants();
onChange(() => byId("edit").hidden || void showStage(jobAsked()).catch(complain));
jobs.follow(() => {
  pulse();
  if (jobAsked()) void showStage(jobAsked()).catch(complain);
});
addEventListener("hashchange", routed);
addEventListener("keydown", keyed);
routed();
jobs.listen();
