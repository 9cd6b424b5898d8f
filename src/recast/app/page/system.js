// @ts-check
/** Which models there are, and whether this installation is well. */
import { answered, ask, whenMade } from "./api.js";
import { byId, complain, fill, h } from "./dom.js";
import { spelled } from "./words.js";

/** Models that are here, and those that can be fetched. */
export async function showModels() {
  const sheet = byId("sheet");
  fill(sheet, h("h1", {}, "Models"));
  /** @type {{name: string, about: string, licences: string[], gigabytes?: number, here: boolean}[]} */
  const models = await ask("GET", "/models/all");
  const row = (/** @type {typeof models[0]} */ model) => h("tr", {}, h("td", {}, h("b", {}, model.name)),
    h("td", {}, model.about, !model.here && h("p", { class: "small soft" }, h("code", {}, `recast models pull ${model.name}`))),
    h("td", { class: "soft small" }, model.licences.join(", ")), h("td", { class: "number soft small" }, model.gigabytes ? `${model.gigabytes} GB` : ""),
    h("td", {}, h("span", { class: `badge ${model.here ? "good" : ""}` }, model.here ? "here" : "not fetched")));
  const head = ["Model", "What it is", "Licences", "Size", ""].map((text) => h("th", { scope: "col" }, text));
  fill(sheet, h("h1", {}, "Models"), h("p", { class: "soft" }, "Nothing is fetched from here: the command shows licence and size, and asks first."),
    h("table", { class: "table" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, models.map(row))));
}

/** What `recast doctor` says. */
export async function showSystem() {
  const sheet = byId("sheet");
  const look = h("button", { type: "button", class: "button strong", onclick: () => void examine().catch(complain) }, "Look now");
  const state = h("p", { class: "soft", role: "status" }, "Versions, device, codecs, the model, and a small edit to try them: as `recast doctor` does.");
  const found = h("div");
  const examine = async (asks = true) => {
    look.disabled = true;
    state.textContent = "Looking. It edits four frames to see whether that works.";
    try {
      if (asks) await ask("POST", "/doctor");
      const report = await (await whenMade(() => answered("/doctor"))).json();
      state.textContent = report.healthy ? "All is well." : "Something is wrong; see below.";
      fill(found, table(report));
    } finally {
      look.disabled = false;
    }
  };
  const health = await ask("GET", "/health");
  fill(sheet, h("h1", {}, "System"), h("p", {}, `recast ${health.version}`), h("div", { class: "tools" }, look, state), found);
  // A report that was made before, or is being made, is shown without asking.
  await examine(false).catch(() => (state.textContent = "Nobody has looked yet: versions, device, codecs, the model, and a small edit to try them."));
}

/** @param {Record<string, any>} report */
function table(report) {
  const rows = Object.entries(report).filter(([name]) => name !== "healthy");
  return h("table", { class: "table" }, h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, spelled(name)), h("td", {}, told(value))))));
}

/** @param {any} value @returns {Node[]} */
function told(value) {
  if (Array.isArray(value)) return [new Text(value.join(", "))];
  if (value && typeof value === "object") return Object.entries(value).map(([name, held]) => h("div", {}, h("span", { class: "soft" }, `${name} `), String(held ?? "missing")));
  const failed = String(value).startsWith("FAILED");
  return [h("span", { class: `badge ${failed ? "bad" : "good"}` }, failed ? "failed" : "works"), new Text(` ${String(value).replace("FAILED: ", "")}`)];
}
