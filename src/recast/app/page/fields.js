// @ts-check
/** Fields of a form, from the JSON Schema of a setting. A field that is not touched leaves its setting to the model. */
import { draft, set } from "./draft.js";
import { h } from "./dom.js";
import { spelled } from "./words.js";

/** @typedef {import("./api.js").Field} Field */
/** @typedef {{element: HTMLElement, show: () => void}} Shown */

let count = 0;

/**
 * The kind of a setting, without the null that means "not said". @param {Field} field @returns {Field}
 */
function plain(field) {
  const kinds = field.anyOf?.filter((each) => each.type !== "null");
  return kinds ? { ...field, ...(kinds.find((each) => each.type !== "array") ?? kinds[0]) } : field;
}

/** @param {string} name @param {Field} schema @returns {Shown} */
export function fieldOf(name, schema) {
  const field = plain(schema);
  if (schema.anyOf?.some((each) => each.type === "array")) return typed(name, schema, "text");
  if (field.type === "boolean") return checkbox(name, schema);
  if (field.enum) return choice(name, schema, field.enum);
  if ((field.type === "number" || field.type === "integer") && bounded(field)) return slider(name, schema, { ...limits(field), step: field.type === "integer" ? 1 : 0.05 });
  if (field.type === "number" || field.type === "integer") return typed(name, schema, "number");
  return typed(name, schema, "text");
}

/** @param {Field} field */
const bounded = (field) => limits(field).max !== undefined && limits(field).max <= 100 && limits(field).min !== undefined;
/** @param {Field} field @returns {{min: any, max: any}} */
const limits = (field) => ({ min: field.minimum ?? field.exclusiveMinimum, max: field.maximum ?? field.exclusiveMaximum });

/**
 * A slider. to, from: how the setting's value becomes the slider's and back, for those that people think of the other
 * way round; told: the value in words.
 * @param {string} name @param {Field} schema
 * @param {{min: number, max: number, step: number, label?: string, hint?: string, middle?: number,
 *   to?: (value: number) => number, from?: (place: number) => number, told?: (value: number) => string}} how
 * @returns {Shown}
 */
export function slider(name, schema, how) {
  const { min, max, step, to = (value) => value, from = (place) => place, told = (value) => String(value) } = how;
  const own = typeof schema.default === "number" ? schema.default : undefined;
  const rest = own ?? how.middle ?? (min + max) / 2;
  const input = h("input", { type: "range", min, max, step, oninput: () => set(name, rounded(from(Number(input.value)))) });
  const show = () => {
    const value = draft.settings[name];
    input.value = String(to(value ?? rest));
    input.style.setProperty("--at", String((Number(input.value) - min) / (max - min)));
    row.output.textContent = value !== undefined ? told(value) : own === undefined ? "automatic" : told(own);
    row.element.classList.toggle("set", value !== undefined);
    input.setAttribute("aria-valuetext", row.output.textContent ?? "");
  };
  const row = framed(name, schema, input, how.label, how.hint);
  show();
  return { element: row.element, show };
}

/** @param {number} value */
const rounded = (value) => Math.round(value * 1000) / 1000;

/** @param {string} name @param {Field} schema @param {string[]} choices @returns {Shown} */
function choice(name, schema, choices) {
  const usual = schema.default ?? null;
  const options = choices.map((value) => h("option", { value }, value));
  const input = h("select", { onchange: () => set(name, input.value === (usual ?? "") ? undefined : input.value) },
    usual === null && h("option", { value: "" }, "automatic"), options);
  const row = framed(name, schema, input);
  const show = () => {
    input.value = draft.settings[name] ?? usual ?? "";
    row.element.classList.toggle("set", draft.settings[name] !== undefined);
  };
  show();
  return { element: row.element, show };
}

/** @param {string} name @param {Field} schema @returns {Shown} */
function checkbox(name, schema) {
  const input = h("input", { type: "checkbox", onchange: () => set(name, input.checked === Boolean(schema.default) ? undefined : input.checked) });
  const id = `field-${count++}`;
  input.id = id;
  const element = h("div", { class: "field" }, h("div", { class: "check" }, input, h("label", { for: id }, schema.title ?? spelled(name))), hint(schema.description));
  const show = () => {
    input.checked = draft.settings[name] ?? Boolean(schema.default);
  };
  show();
  return { element, show };
}

/** @param {string} name @param {Field} schema @param {"number" | "text"} type @returns {Shown} */
export function typed(name, schema, type, label = "", placeholder = "") {
  const field = plain(schema);
  const lists = field.type === "array";
  const read = () => {
    const text = input.value.trim();
    if (!text) return undefined;
    if (type === "number") return Number(text);
    return lists ? text.split(name === "structure" ? "," : "\n").map((each) => each.trim()).filter(Boolean) : text;
  };
  const step = field.type === "integer" ? 1 : "any";
  const usual = placeholder || shownAs(schema.default) || "automatic";
  const input = h("input", { type, ...(type === "number" ? { step, ...limits(field) } : {}), placeholder: usual, onchange: () => set(name, read()) });
  const row = framed(name, schema, input, label);
  const show = () => {
    if (document.activeElement !== input) input.value = shownAs(draft.settings[name]);
    row.element.classList.toggle("set", draft.settings[name] !== undefined);
  };
  show();
  return { element: row.element, show };
}

/** A value as it is typed: words with weights as TEXT:W. @param {any} value @returns {string} */
function shownAs(value) {
  if (value === undefined || value === null) return "";
  if (!Array.isArray(value)) return String(value);
  if (value.every((each) => typeof each === "number")) return value.join("x");
  return value.map((each) => (Array.isArray(each) ? (each[1] === 1 ? each[0] : `${each[0]}:${each[1]}`) : each)).join(", ");
}

/** @param {string | undefined} text */
const hint = (text) => (text ? h("p", { class: "hint" }, text) : null);

/** @param {string} name @param {Field} schema @param {HTMLElement} input @param {string} [label] @param {string} [about] */
function framed(name, schema, input, label, about) {
  input.id = `field-${count++}`;
  input.dataset.setting = name;
  const called = label || spelled(name);
  const output = h("output", { for: input.id });
  const reset = h("button", { type: "button", class: "reset", "aria-label": `${called}: back to automatic`, onclick: () => set(name, undefined) }, "reset");
  const element = h("div", { class: "field" }, h("div", { class: "head" }, h("label", { for: input.id }, called), reset, output), input, hint(about ?? schema.description));
  return { element, output };
}
