// @ts-check
/** How a clip gets here: dropped anywhere on the page, chosen, pasted, or a sample that the server renders. */
import { answered, send, whenMade } from "./api.js";
import { startWith } from "./draft.js";
import { byId, fill, h } from "./dom.js";

/** @typedef {import("./api.js").UserFile} UserFile */

let isSending = false;
let turn = 0; // of what was given last, which is the clip, however long others take

/** The part of the page that asks for a clip. @param {string} [why] why the last one was refused */
export function welcome(why) {
  const choose = h("input", { type: "file", id: "choose", class: "unseen", onchange: () => take(choose.files?.[0]) });
  return h("div", { class: "welcome" }, why && h("p", { class: "alert", role: "alert" }, why), h("h1", {}, why ? "Drop another clip here" : "Drop a clip here"),
    h("p", {}, "MP4, MOV, MKV, WebM, GIF and most other videos. It stays on this machine."),
    h("p", { class: "row" }, h("label", { class: "button strong" }, "Choose a clip", choose),
      h("button", { type: "button", class: "button", id: "sample", onclick: sample }, "Try a sample")));
}

/** Takes files that are dropped or pasted anywhere. @param {(file: UserFile) => void} pictured called with a picture */
export function acceptDrops(pictured) {
  const stage = byId("stage");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || stage.classList.remove("over"));
  const bring = (/** @type {DragEvent | ClipboardEvent} */ event, /** @type {DataTransfer | null} */ brought) => {
    stage.classList.remove("over");
    if (!brought?.files.length) return;
    event.preventDefault();
    void take(brought.files[0], pictured);
  };
  addEventListener("drop", (event) => bring(event, event.dataTransfer));
  addEventListener("paste", (event) => bring(event, event.clipboardData));
  addEventListener("beforeunload", (event) => isSending && event.preventDefault());
}

/**
 * Sends a file; a clip becomes the one to edit. @param {File | undefined} file
 * @param {(file: UserFile) => void} [pictured]
 */
export async function take(file, pictured) {
  if (!file) return;
  const mine = ++turn;
  location.hash = "#/";
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
  const told = h("p", {}, "");
  const wait = h("div", { class: "welcome" }, h("h1", {}, `Sending ${file.name}`), bar, told);
  const before = [...byId("stage").childNodes];
  fill(byId("stage"), wait);
  isSending = true;
  try {
    const sent = await send(file, file.name, (share) => {
      bar.value = share;
      told.textContent = share < 1 ? `${Math.round(100 * share)} %` : "Looking at what it is";
    });
    if (mine === turn) settle(sent, before, pictured);
  } catch (error) {
    if (mine === turn) fill(byId("stage"), welcome(`${file.name} was refused: ${error instanceof Error ? error.message : error}`));
  } finally {
    if (mine === turn) isSending = false;
  }
}

/** @param {UserFile} sent @param {ChildNode[]} before @param {((file: UserFile) => void) | undefined} pictured */
function settle(sent, before, pictured) {
  if (sent.kind === "video") return startWith(sent.id);
  fill(byId("stage"), ...before);
  if (pictured) pictured(sent);
  else fill(byId("stage"), welcome(`${sent.name} is a picture. Give a clip first; a picture can then say what it should look like.`));
}

/** A clip of recast's own world, for those who have none at hand. */
export async function sample() {
  const mine = ++turn;
  fill(byId("stage"), h("div", { class: "welcome" }, h("h1", {}, "Rendering a sample"), h("p", {}, "A dog on a meadow, of the world that the model in the package knows.")));
  try {
    const made = await whenMade(() => answered("/samples", { method: "POST", headers: { "X-Recast": "1" } }));
    const { id } = await made.json();
    if (mine === turn) startWith(id);
  } catch (error) {
    if (mine === turn) fill(byId("stage"), welcome(error instanceof Error ? error.message : String(error)));
  }
}
