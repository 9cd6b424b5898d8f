// @ts-check
/** The clip from end to end: where it is played, and where an edit begins and ends. */
import { h } from "./dom.js";
import { clock } from "./words.js";

export class Timeline {
  /**
   * @param {{seconds: number, fps: number, start: number, end: number | null, seek: (seconds: number) => void,
   *   mark: ((start: number, end: number | null) => void) | null}} of mark: called with new ends; null has none to set
   */
  constructor(of) {
    this.of = of;
    this.start = of.start;
    this.end = of.end;
    const step = 1 / of.fps;
    const range = (/** @type {string} */ kind, /** @type {string} */ label, /** @type {(seconds: number) => void} */ moved) =>
      h("input", { type: "range", class: kind, min: 0, max: of.seconds, step, value: 0, "aria-label": label,
        oninput: (/** @type {Event} */ event) => moved(Number(/** @type {HTMLInputElement} */ (event.target).value)) });
    this.head = range("head", "Place in the clip", of.seek);
    this.inPoint = range("in", "In point: the edit begins", (seconds) => this.markIn(seconds));
    this.outPoint = range("out", "Out point: the edit ends", (seconds) => this.markOut(seconds));
    this.element = h("div", { class: "timeline" }, of.mark && h("div", { class: "kept" }), this.head, of.mark && this.inPoint, of.mark && this.outPoint);
    this.#show();
  }

  /** @param {number} seconds */
  at(seconds) {
    this.head.value = String(seconds);
    this.head.setAttribute("aria-valuetext", clock(seconds));
  }

  /** @param {number} seconds */
  markIn(seconds) {
    this.start = Math.max(0, Math.min(seconds, (this.end ?? this.of.seconds) - 1 / this.of.fps));
    this.#marked(this.start);
  }

  /** @param {number} seconds */
  markOut(seconds) {
    const end = Math.max(seconds, this.start + 1 / this.of.fps);
    this.end = end >= this.of.seconds - 0.5 / this.of.fps ? null : end;
    this.#marked(end);
  }

  clear() {
    this.start = 0;
    this.end = null;
    this.#marked(0);
  }

  /** @param {number} seconds */
  #marked(seconds) {
    this.#show();
    this.of.mark?.(this.start, this.end);
    this.of.seek(seconds);
  }

  #show() {
    const end = this.end ?? this.of.seconds;
    this.inPoint.value = String(this.start);
    this.outPoint.value = String(end);
    this.inPoint.setAttribute("aria-valuetext", clock(this.start));
    this.outPoint.setAttribute("aria-valuetext", clock(end));
    this.element.style.setProperty("--in", String(this.start / this.of.seconds));
    this.element.style.setProperty("--out", String(end / this.of.seconds));
  }
}
