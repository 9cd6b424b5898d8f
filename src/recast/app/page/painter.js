// @ts-check
/** A mask, painted on one frame of the clip; the server follows it through the others. */
import { API, answered, send } from "./api.js";
import { change, draft } from "./draft.js";
import { complain, h, segments, tool } from "./dom.js";
import { follow } from "./follow.js";

/** @typedef {import("./api.js").UserFile} UserFile */

const MOST_SIDE = 720;
const COLOUR = "#ff6a3c";

export class Painter {
  /** @param {UserFile} facts of the clip @param {number} seconds of the frame @param {() => void} close */
  constructor(facts, seconds, close) {
    this.facts = facts;
    this.seconds = seconds;
    this.close = close;
    this.frame = 0;
    this.erases = false;
    /** @type {[number, number] | null} */
    this.last = null;
    /** @type {ImageData[]} */
    this.before = [];
    const scale = Math.min(1, MOST_SIDE / Math.min(facts.width, facts.height));
    const size = { width: Math.round(facts.width * scale), height: Math.round(facts.height * scale) };
    this.picture = h("img", { alt: "The frame to paint on", style: { position: "absolute", inset: 0, width: "100%", height: "100%" } });
    this.canvas = h("canvas", { ...size, style: { opacity: 0.6 }, tabindex: 0, "aria-label": "Paint what to edit. Keys: arrows move the brush, space paints, B and E choose brush and eraser" });
    this.pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
    this.cursor = [size.width / 2, size.height / 2];
    this.dot = h("span", { hidden: true, style: { position: "absolute", border: "1.5px solid #fff", "border-radius": "50%", "pointer-events": "none", transform: "translate(-50%, -50%)" } });
    this.size = h("input", { type: "range", min: 2, max: 40, value: 12, "aria-label": "Size of the brush" });
    this.grow = h("input", { type: "range", min: -20, max: 40, value: 4, "aria-label": "Grow the area" });
    this.brushes = segments("Brush", { brush: "Brush", eraser: "Eraser" }, "brush", (kind) => this.#choose(kind === "eraser"));
    this.done = h("button", { type: "button", class: "button strong", onclick: () => void this.#finish() }, "Use this mask");
    this.element = this.#built();
    this.#listen();
  }

  #built() {
    const { facts } = this;
    const screen = h("div", { class: "screen", style: { "--ratio": facts.width / facts.height } }, this.picture, this.canvas, this.dot);
    return h("div", { class: "painter" }, screen, h("div", { class: "brush" }, this.brushes.element,
      h("label", {}, "Size", this.size), h("label", {}, "Grow", this.grow), tool("retry", "Undo (Ctrl+Z)", () => this.#undo()),
      h("span", { class: "grow" }), h("button", { type: "button", class: "button plain", onclick: this.close }, "Cancel"), this.done));
  }

  /** Fetches the frame, and what was painted on it before. */
  async load() {
    const answer = await answered(`/files/${this.facts.id}/frame?seconds=${this.seconds}&side=${MOST_SIDE}`);
    this.frame = Number(answer.headers.get("X-Frame"));
    this.picture.src = `${API}/files/${this.facts.id}/frame?seconds=${this.seconds}&side=${MOST_SIDE}`;
    await this.picture.decode();
    this.canvas.focus();
  }

  /** @param {boolean} erases */
  #choose(erases) {
    this.erases = erases;
    this.brushes.show(erases ? "eraser" : "brush");
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#keep();
      this.last = this.#place(event);
      this.#stroke(this.last);
    });
    canvas.addEventListener("pointermove", (event) => {
      this.cursor = this.#place(event);
      this.#point();
      if (this.last) this.#stroke(this.#place(event));
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.last = null));
    canvas.addEventListener("pointerleave", () => (this.dot.hidden = true));
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {PointerEvent} event @returns {[number, number]} in pixels of the canvas */
  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.canvas.width, ((event.clientY - box.top) / box.height) * this.canvas.height];
  }

  get radius() {
    return (Number(this.size.value) / 200) * Math.min(this.canvas.width, this.canvas.height);
  }

  /** @param {[number, number]} to */
  #stroke(to) {
    const { pen } = this;
    pen.globalCompositeOperation = this.erases ? "destination-out" : "source-over";
    Object.assign(pen, { strokeStyle: COLOUR, lineCap: "round", lineJoin: "round", lineWidth: 2 * this.radius });
    pen.beginPath();
    pen.moveTo(...(this.last ?? to));
    pen.lineTo(to[0] + 0.01, to[1]);
    pen.stroke();
    this.last = this.last && to;
  }

  #point() {
    const share = (/** @type {number} */ value, /** @type {number} */ whole) => `${(100 * value) / whole}%`;
    const side = `${(2 * this.radius * this.canvas.clientWidth) / this.canvas.width}px`;
    Object.assign(this.dot.style, { left: share(this.cursor[0], this.canvas.width), top: share(this.cursor[1], this.canvas.height), width: side, height: side });
    this.dot.hidden = false;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") return this.#undo();
    if (event.key === "b" || event.key === "e") return this.#choose(event.key === "e");
    if (event.target !== this.canvas) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (event.key === " ") {
      this.#keep();
      this.#stroke([this.cursor[0], this.cursor[1]]);
    } else if (move) this.cursor = this.cursor.map((value, axis) => value + move[axis] * this.radius);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#point();
  }

  #keep() {
    this.before.push(this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height));
    this.before.splice(0, this.before.length - 20);
  }

  #undo() {
    const image = this.before.pop();
    if (image) this.pen.putImageData(image, 0, 0);
  }

  async #finish() {
    const { done, facts } = this;
    if (!this.#isPainted()) return complain(new Error("Nothing is painted yet. Paint over what is to change."));
    done.disabled = true;
    try {
      const still = await send(await this.#still(), "mask.png");
      const grow = Math.round((Number(this.grow.value) / 720) * Math.min(facts.width, facts.height));
      const where = draft.place.where === "outside" ? "outside" : "inside";
      change({ place: { where, still: still.id, frame: this.frame, grow, seconds: this.seconds, file: null } });
      void follow();
      this.close();
    } catch (error) {
      done.disabled = false;
      complain(error);
    }
  }

  #isPainted() {
    return this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height).data.some((value, at) => at % 4 === 3 && value > 127);
  }

  /** White where it is painted, black elsewhere. @returns {Promise<Blob>} */
  #still() {
    const image = this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let at = 0; at < image.data.length; at += 4) image.data.set([...Array(3).fill(image.data[at + 3] > 127 ? 255 : 0), 255], at);
    const flat = h("canvas", { width: image.width, height: image.height });
    flat.getContext("2d")?.putImageData(image, 0, 0);
    return new Promise((resolve, reject) => flat.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser made no picture of the mask.")))));
  }
}
