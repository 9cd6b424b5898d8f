// @ts-check
/** Settings that change over the clip: a field for each, as the command line's --schedule, with what is wrong beside it. */
import { ask } from "./api.js";
import { asked, draft, set } from "./draft.js";
import { complain, h } from "./dom.js";

/** @typedef {import("./fields.js").Shown} Shown */

/** @type {Record<string, [string, string]>} what they are called, and an example */
const NAMES = {
  words: ["Words", "0: a meadow, 48: a snowy field"],
  cfg: ["Follow the words", "ease 0: 1, 24: 6"],
  strength: ["How much to change", "hold 0: 0, 1.5s: 1"],
  structure_detail: ["Keep structure, as t_s: 0 all, 7 least", "0: 0, 48: 5"],
  temporal_guidance: ["Frame consistency", "0: 1, 48: 1.4"],
};

/** @type {{key: string, errors: Record<string, string>}} what the server said of the draft that the key stands for */
const checked = { key: "", errors: {} };

/** @returns {Record<string, string>} */
const given = () => draft.settings.schedules ?? {};

/** @param {string[]} able settings that the method takes frame by frame @returns {Shown[]} */
export function scheduleFields(able) {
  return Object.keys(NAMES).filter((name) => able.includes(name) || name in given()).map(field);
}

/** @param {string} name @returns {Shown} */
function field(name) {
  const [label, example] = NAMES[name];
  const keep = () => {
    const { [name]: _, ...others } = given();
    const text = input.value.trim();
    const schedules = text ? { ...others, [name]: text } : others;
    set("schedules", Object.keys(schedules).length ? schedules : undefined);
  };
  const id = `schedule-${name}`;
  const input = h("input", { id, type: "text", maxlength: 2000, placeholder: example, "aria-describedby": `${id}-wrong`, "data-schedule": name, onchange: keep });
  const wrong = h("p", { class: "alert", id: `${id}-wrong`, role: "alert", hidden: true });
  const element = h("div", { class: "field" }, h("div", { class: "head" }, h("label", { for: id }, label)), input, wrong);
  const show = () => {
    if (document.activeElement !== input) input.value = given()[name] ?? "";
    const error = given()[name] ? checked.errors[name] : "";
    if (wrong.textContent !== (error ?? "")) wrong.textContent = error ?? "";
    wrong.hidden = !error;
    input.setAttribute("aria-invalid", String(Boolean(error)));
  };
  show();
  return { element, show };
}

/**
 * Whether a schedule is known to be wrong. The server is asked where what it judges by has changed.
 * @param {import("./draft.js").Draft} current @param {() => void} tell called when it has answered
 */
export function scheduleTrouble(current, tell) {
  const key = current.source && Object.keys(given()).length ? JSON.stringify(asked()) : "";
  if (key !== checked.key) {
    Object.assign(checked, { key, errors: {} });
    if (key) ask("POST", "/schedules", JSON.parse(key)).then((errors) => {
      if (checked.key !== key) return; // what was asked about has changed since
      checked.errors = errors;
      tell();
    }, complain);
  }
  return Object.keys(checked.errors).length > 0;
}
