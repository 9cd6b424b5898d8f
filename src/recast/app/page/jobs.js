// @ts-check
/** The server's jobs, kept up to date. They are the only state that tabs share: a page that is reloaded asks for them. */
import { API, ask, Refusal } from "./api.js";
import { complain } from "./dom.js";

/** @typedef {import("./api.js").Job} Job */

/** @type {Map<string, Job>} */
const jobs = new Map();
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {EventSource | null} */
let stream = null;
let isFirst = true;
export const line = { lost: false };

/** Newest first. @returns {Job[]} */
export function newest() {
  return [...jobs.values()].sort((a, b) => b.created - a.created);
}

/** @param {string} id @returns {Job | undefined} */
export function held(id) {
  return jobs.get(id);
}

/** How many jobs will be done before a job that waits. @param {Job} job */
export function ahead(job) {
  const goesFirst = (/** @type {Job} */ other) => other.priority > job.priority || (other.priority === job.priority && other.created < job.created);
  return newest().filter((other) => other.state === "running" || (other.state === "queued" && goesFirst(other))).length;
}

/**
 * A job that may be older than those that are followed. Where it is gone, says so, and shows `instead`.
 * @param {string} id @param {string} instead @returns {Promise<Job | null>}
 */
export async function found(id, instead) {
  try {
    return jobs.get(id) ?? (await ask("GET", `/jobs/${id}`));
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 404)) throw error;
    complain(new Error("This edit is no longer on the server."));
    location.replace(instead); // so that the way back does not lead here again
    return null;
  }
}

/** Takes a job that an answer told of, before the stream does. @param {Job} job */
export function took(job) {
  jobs.set(job.id, job);
  tell();
}

/** Calls at each change until what it returns is called. @param {() => void} listener */
export function follow(listener) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function tell() {
  for (const listener of [...listeners]) listener();
}

/** Begins to listen. A tab that nobody sees hangs up, because browsers allow few connections to one server. */
export function listen() {
  document.addEventListener("visibilitychange", () => (document.hidden ? hangUp() : connect()));
  if (!document.hidden) connect();
}

function hangUp() {
  stream?.close();
  stream = null;
}

function connect() {
  if (stream) return;
  const opened = new EventSource(`${API}/events`);
  stream = opened;
  opened.onopen = () => (isFirst = true);
  opened.onmessage = (event) => heard(JSON.parse(event.data));
  opened.onerror = () => {
    line.lost = true;
    tell();
    if (opened.readyState !== EventSource.CLOSED || stream !== opened) return;
    hangUp();
    // Refused rather than broken off: perhaps for want of the token, which this question brings up.
    ask("GET", "/jobs?limit=1").then(connect, () => setTimeout(connect, 3000));
  };
}

/** @param {Record<string, Job | null>} told */
function heard(told) {
  if (isFirst) jobs.clear();
  isFirst = false;
  line.lost = false;
  for (const [id, job] of Object.entries(told)) {
    if (job) jobs.set(id, job);
    else jobs.delete(id);
  }
  tell();
}

/** @param {Job} job */
export async function cancel(job) {
  took(await ask("POST", `/jobs/${job.id}/cancel`));
}

/** @param {Job} job */
export async function retry(job) {
  took(await ask("POST", `/jobs/${job.id}/retry`));
}

/** Deletes a job and its result. @param {Job} job */
export async function remove(job) {
  await ask("DELETE", `/jobs/${job.id}`);
  jobs.delete(job.id);
  tell();
}
