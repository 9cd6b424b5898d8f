// @ts-check
/** The server's answers; a refusal is an Error with the server's own reason. */
import { h } from "./dom.js";

/**
 * @typedef {{id: string, name: string, kind: string, size: number, width: number, height: number,
 *   frames: number | null, fps: number | null, seconds: number | null, container: string}} UserFile
 * @typedef {{id: string, state: "queued" | "running" | "done" | "failed" | "cancelled", prompt: string[], method: string,
 *   model: string, stage: string, progress: number | null, created: number, started: number | null,
 *   finished: number | null, frames: number | null, notes: string[], error: string, cancelling: boolean, source: string,
 *   images: string[], mask: string | null, format: string, batch: string, priority: number, settings: Record<string, any>}} Job
 * @typedef {{type?: string, enum?: string[], minimum?: number, maximum?: number, exclusiveMinimum?: number, default?: any,
 *   exclusiveMaximum?: number, description?: string, title?: string, anyOf?: Field[], items?: any}} Field
 * @typedef {{properties: Record<string, Field>}} Schema
 * @typedef {{paper: string, about: string, needs: string[], needs_source: boolean, over_time: string[], schema: Schema}} Method
 */

export const API = "/api/v1";
const CHANGING = { "X-Recast": "1" };

export class Refusal extends Error {
  /** @param {number} status @param {string} why */
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/**
 * The JSON that the server answers; null for none.
 * @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>}
 */
export async function ask(method, path, body) {
  const headers = { ...(method === "GET" ? {} : CHANGING), ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  const answer = await answered(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} path @param {RequestInit} request @returns {Promise<Response>} */
export async function answered(path, request = {}) {
  let answer;
  try {
    answer = await fetch(API + path, request);
  } catch {
    throw new Refusal(0, "The server does not answer. Is `recast serve` still running?");
  }
  if (answer.status === 401) {
    await signIn();
    return answered(path, request);
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** @param {Response} answer */
async function refusal(answer) {
  const told = await answer.json().catch(() => null);
  return new Refusal(answer.status, told?.error ?? `The server answered ${answer.status} ${answer.statusText}.`);
}

/**
 * Asks until the server has made what takes a while. @param {() => Promise<Response>} look
 * @param {AbortSignal} [signal] @returns {Promise<Response>}
 */
export async function whenMade(look, signal) {
  for (;;) {
    const answer = await look();
    if (answer.status !== 202) return answer;
    await new Promise((done) => setTimeout(done, 700));
    signal?.throwIfAborted();
  }
}

/**
 * Sends a file. @param {Blob} file @param {string} name @param {(share: number) => void} [watch]
 * @returns {Promise<UserFile>}
 */
export function send(file, name, watch = () => {}) {
  // Not by fetch, which does not say how far an upload is.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${API}/files?name=${encodeURIComponent(name)}`);
    request.setRequestHeader("X-Recast", "1");
    request.responseType = "json";
    request.upload.onprogress = (event) => watch(event.loaded / event.total);
    request.onerror = () => reject(new Refusal(0, `${name} did not reach the server. Send it again.`));
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Refusal(request.status, request.response?.error ?? `The server answered ${request.status}.`));
    };
    request.send(file);
  });
}

/** @type {Map<string, Promise<UserFile>>} */
const facts = new Map();

/** What is known of a file; asked for once. @param {string} id @returns {Promise<UserFile>} */
export function fileFacts(id) {
  const held = facts.get(id) ?? ask("GET", `/files/${id}`);
  facts.set(id, held);
  held.catch(() => facts.delete(id));
  return held;
}

/** @type {Promise<void> | null} */
let signing = null;

/** Asks for the token, once however many requests wait for it. @returns {Promise<void>} */
function signIn() {
  signing ??= new Promise((done) => {
    const token = h("input", { type: "password", autocomplete: "current-password", required: true, "aria-label": "Token" });
    const wrong = h("p", { class: "alert", hidden: true, role: "alert" }, "The server does not know this token.");
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const answer = await fetch(`${API}/session`, { method: "POST", headers: { ...CHANGING, Authorization: `Bearer ${token.value}` } });
      wrong.hidden = answer.ok;
      if (!answer.ok) return;
      dialog.remove();
      signing = null;
      done();
    };
    const dialog = h("dialog", { "aria-labelledby": "signin", oncancel: (/** @type {Event} */ event) => event.preventDefault() },
      h("form", { onsubmit: submit }, h("h1", { id: "signin" }, "This server wants a token"),
        h("p", { class: "soft" }, "It is what `recast serve --token` was started with."), token, wrong,
        h("button", { class: "button strong" }, "Sign in")));
    document.body.append(dialog);
    dialog.showModal();
  });
  return signing;
}
