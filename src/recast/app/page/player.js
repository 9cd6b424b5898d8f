// @ts-check
/** One clip, or two in step: beside each other, behind a wipe, or their difference. */
import { h, icon, segments, tool } from "./dom.js";
import { show } from "./video.js";
import { clock } from "./words.js";

/** @typedef {import("./video.js").Playable} Playable */
/** @typedef {"wipe" | "side" | "difference" | "source" | "result"} Mode */
/**
 * two: null for one clip alone. offset: the time of the first clip at which the second one begins.
 * names: what the two are called.
 * @typedef {{one: Playable, two: Playable | null, offset: number, ratio: number, fps: number, names?: [string, string]}} Shown
 */

const APART = 0.045;
const FAR = 0.2;
const REMEMBERED = "recast-mode";

export class Player {
  /** @param {Shown} shown */
  constructor(shown) {
    this.shown = shown;
    /** @type {(seconds: number) => void} called as the place changes, in seconds of the first clip */
    this.onTime = () => {};
    /** @type {[number, number | null]} what is played of a clip that is alone */
    this.range = [0, null];
    this.closed = new AbortController();
    this.one = h("video", { class: "source", playsinline: true, preload: "auto", "aria-label": shown.names?.[0] ?? "Source" });
    this.two = h("video", { class: "result", playsinline: true, preload: "auto", "aria-label": shown.names?.[1] ?? "Result" });
    this.one.muted = Boolean(shown.two);
    this.message = h("p", { class: "name one", hidden: true, style: { top: "44%" } });
    this.screen = this.#screen();
    this.playButton = tool("play", "Play (space)", () => this.toggle());
    this.time = h("span", { class: "time number" }, clock(0));
    const [first, second] = shown.names ?? ["Source", "Result"];
    this.modes = segments("How to compare", { wipe: "Wipe", side: "Side by side", difference: "Difference", source: first, result: second }, "wipe",
      (mode) => this.setMode(/** @type {Mode} */ (mode)));
    this.modes.element.hidden = !shown.two;
    this.transport = h("div", { class: "transport" }, this.playButton, tool("back", "A frame back (left arrow)", () => this.step(-1)),
      tool("next", "A frame on (right arrow)", () => this.step(1)), this.time, this.modes.element);
    this.element = h("div", { class: "player" }, this.screen, this.transport);
    this.setMode(shown.two ? /** @type {Mode} */ (localStorage.getItem(REMEMBERED) ?? "wipe") : "source");
    this.#listen();
  }

  #screen() {
    const { shown } = this;
    const wipe = h("input", { class: "wipe", type: "range", min: 0, max: 1, step: 0.005, value: 0.5, "aria-label": "Place of the wipe" });
    const [one, two] = shown.names ?? ["Source", "Result"];
    const screen = h("div", { class: "screen", style: { "--ratio": shown.ratio, "--wipe": 0.5 } }, this.one, shown.two && this.two,
      shown.two && wipe, shown.two && h("span", { class: "name one" }, one), shown.two && h("span", { class: "name two" }, two), this.message);
    wipe.addEventListener("input", () => screen.style.setProperty("--wipe", wipe.value));
    return screen;
  }

  /** The element that leads: a result is shorter than its source. */
  get lead() {
    return this.shown.two ? this.two : this.one;
  }

  /** Seconds of the first clip. */
  get seconds() {
    return this.lead.currentTime + (this.shown.two ? this.shown.offset : 0);
  }

  get duration() {
    return this.lead.duration || 0;
  }

  /** Loads what is to be seen. */
  async load() {
    const signal = this.closed.signal;
    const waiting = () => {
      this.message.textContent = "Making a copy that this browser can play";
      this.message.hidden = false;
    };
    await Promise.all([show(this.one, this.shown.one, { waiting, signal }), this.shown.two && show(this.two, this.shown.two, { waiting, signal })]);
    this.message.hidden = true;
    this.seek(this.shown.two ? this.shown.offset : this.range[0]);
  }

  /** @param {Mode} mode */
  setMode(mode) {
    this.screen.dataset.mode = mode;
    this.modes.show(mode);
    if (this.shown.two) localStorage.setItem(REMEMBERED, mode);
  }

  toggle() {
    if (!this.lead.paused) return this.pause();
    if (this.lead.ended || this.#isPast()) this.seek(this.#begin());
    void this.lead.play().catch(() => {});
  }

  pause() {
    this.one.pause();
    this.two.pause();
    this.#align(0);
  }

  /** @param {number} frames */
  step(frames) {
    this.pause();
    this.seek(this.seconds + frames / this.shown.fps);
  }

  /** @param {number} seconds of the first clip */
  seek(seconds) {
    const own = seconds - (this.shown.two ? this.shown.offset : 0);
    this.lead.currentTime = Math.min(Math.max(0, own), Math.max(0, this.duration - 0.001));
    this.#align(0);
    this.#tell();
  }

  close() {
    this.closed.abort();
    for (const video of [this.one, this.two]) {
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
  }

  #begin() {
    return this.shown.two ? this.shown.offset : this.range[0];
  }

  #isPast() {
    const [, end] = this.range;
    return !this.shown.two && end !== null && this.seconds >= end - 0.5 / this.shown.fps;
  }

  #listen() {
    const { signal } = this.closed;
    const lead = this.lead;
    lead.addEventListener("play", () => this.#went(true), { signal });
    lead.addEventListener("pause", () => this.#went(false), { signal });
    lead.addEventListener("seeked", () => this.#tell(), { signal });
    lead.addEventListener("ended", () => this.#again(), { signal });
  }

  /** @param {boolean} on */
  #went(on) {
    this.playButton.replaceChildren(icon(on ? "pause" : "play"));
    this.playButton.title = `${on ? "Pause" : "Play"} (space)`;
    this.playButton.setAttribute("aria-label", this.playButton.title);
    if (this.shown.two) on ? void this.one.play().catch(() => {}) : this.one.pause();
    if (on) requestAnimationFrame(() => this.#run());
  }

  #run() {
    if (this.lead.paused || this.closed.signal.aborted) return;
    if (this.#isPast()) return this.#again();
    this.#align(APART);
    this.#tell();
    requestAnimationFrame(() => this.#run());
  }

  #again() {
    this.seek(this.#begin());
    void this.lead.play().catch(() => {});
  }

  /** Brings the first clip to where the leading one is. @param {number} apart how far it may be away, in seconds */
  #align(apart) {
    if (!this.shown.two) return;
    const away = this.two.currentTime + this.shown.offset - this.one.currentTime;
    this.one.playbackRate = Math.abs(away) > apart && apart ? 1 + Math.sign(away) * 0.1 : 1;
    if (Math.abs(away) > (apart ? FAR : 0.001)) this.one.currentTime = this.two.currentTime + this.shown.offset;
  }

  #tell() {
    this.time.textContent = `${clock(this.lead.currentTime)} / ${clock(this.duration)}`;
    this.onTime(this.seconds);
  }
}
