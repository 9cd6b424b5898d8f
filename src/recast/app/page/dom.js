// @ts-check
/** Elements, without markup in strings: nothing that a user typed is ever parsed as HTML. */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Names that begin with "on" are listeners, "style" holds custom properties, others are attributes.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, any>} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) put(element, key, value);
  element.append(.../** @type {Node[]} */ (children.flat().filter((child) => child || child === "")));
  return element;
}

/** @param {HTMLElement} element @param {string} key @param {any} value */
function put(element, key, value) {
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "style") for (const [name, held] of Object.entries(value)) element.style.setProperty(name, String(held));
  else if (value === true) element.setAttribute(key, "");
  else if (value !== false && value != null) element.setAttribute(key, String(value));
}

/** @param {Element} parent @param {...Child} children */
export function fill(parent, ...children) {
  parent.replaceChildren(.../** @type {Node[]} */ (children.filter(Boolean)));
}

/** @template {Element} [T=HTMLElement] @param {string} id @returns {T} */
export function byId(id) {
  return /** @type {T} */ (/** @type {unknown} */ (document.getElementById(id)));
}

/** @type {Record<string, string>} */
const PATHS = {
  play: "M5 3l9 5-9 5z",
  pause: "M5.5 3v10M10.5 3v10",
  back: "M10 3L5 8l5 5M3 3v10",
  next: "M6 3l5 5-5 5M13 3v10",
  close: "M4 4l8 8M12 4l-8 8",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  download: "M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10",
  reuse: "M3 8a5 5 0 0 1 9-3M12.5 2v3h-3M13 8a5 5 0 0 1-9 3M3.5 14v-3h3",
  dice: "M3 3h10v10H3zM6 6h.01M10 6h.01M8 8h.01M6 10h.01M10 10h.01",
  bin: "M3 4.500h10M6.5 4V2.500h3V4M4.5 4.500l.6 9h5.800l.6-9",
  brush: "M9 7l4.5-4.500M7.5 7.500l1.5 1.500M7 8.500c-2.5 0-2 3-4.5 4 1.5 1.2 6 1.5 6-2z",
  plus: "M8 3v10M3 8h10",
};

/** @param {string} name @returns {SVGElement} */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with an icon alone; the label is read aloud and shown on hover.
 * @param {string} name @param {string} label @param {(event: MouseEvent) => void} onclick @param {string} [kind]
 */
export function tool(name, label, onclick, kind = "tool") {
  return h("button", { type: "button", class: kind, title: label, "aria-label": label, onclick }, icon(name));
}

/**
 * A choice of few, as a row of buttons.
 * @param {string} label @param {Record<string, string>} choices @param {string} chosen
 * @param {(value: string) => void} choose @param {string} [kind]
 */
export function segments(label, choices, chosen, choose, kind = "") {
  const buttons = Object.entries(choices).map(([value, text]) =>
    h("button", { type: "button", value, "aria-pressed": String(value === chosen), onclick: () => choose(value) }, text));
  const group = h("div", { class: `segments ${kind}`, role: "group", "aria-label": label }, buttons);
  return { element: group, show: (/** @type {string} */ value) => buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.value === value))) };
}

/** Says what went wrong, until it is closed; the same once, however often it comes. @param {unknown} error */
export function complain(error) {
  const text = error instanceof Error ? error.message : String(error);
  for (const said of byId("toasts").querySelectorAll(".toast")) if (said.textContent === text) said.remove();
  const toast = h("div", { class: "toast" }, h("span", { class: "grow" }, text), tool("close", "Close", () => toast.remove(), "button plain"));
  byId("toasts").append(toast);
  setTimeout(() => toast.remove(), 15000);
}
