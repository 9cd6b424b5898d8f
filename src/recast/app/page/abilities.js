// @ts-check
/** Which methods a model cannot do, and why. The server has to load the model to tell, so each is asked for once. */
import { answered, whenMade } from "./api.js";
import { complain } from "./dom.js";

/** @type {Map<string, Record<string, string> | null>} by model; null while the server looks */
const found = new Map();

/**
 * Why the model cannot do a method, by method; null as long as that is not known. @param {string} model
 * @param {() => void} tell called when it is
 */
export function refusals(model, tell) {
  if (!found.has(model)) {
    found.set(model, null);
    void look(model).then(tell, complain); // a model that does not load is told of once, and again with its first job
  }
  return found.get(model) ?? null;
}

/** @param {string} model @param {string} method @returns {string} why it cannot be, as far as it is known */
export const refusalOf = (model, method) => found.get(model)?.[method] ?? "";

/** @param {string} model */
async function look(model) {
  const answer = await whenMade(() => answered(`/models/${encodeURIComponent(model)}/methods`));
  found.set(model, await answer.json());
}
