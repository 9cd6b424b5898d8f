// @ts-check
/** Numbers and states in people's words. */

/** @typedef {import("./api.js").Job} Job */

/** @param {number} seconds a place in a clip, as 0:03.25 */
export function clock(seconds) {
  const whole = Math.max(0, seconds);
  return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(2).padStart(5, "0")}`;
}

/** @param {number} seconds how long something takes, roughly */
export function about(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** @param {number} time in seconds since 1970 */
export function when(time) {
  const date = new Date(1000 * time);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(undefined, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

/** @param {string} name of a setting, as people read it */
export function spelled(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

/** @param {Job} job */
export function title(job) {
  return job.prompt.join(" + ") || job.settings.schedules?.words || (job.images.length ? "From a picture" : "An edit");
}

/** @type {Record<string, [string, number, number]>} what a stage does, and the share of the whole where it begins and ends */
const STAGES = {
  load: ["Loading the model", 0, 0.05],
  read: ["Reading the clip", 0.05, 0.08],
  structure: ["Finding its structure", 0.08, 0.15],
  content: ["Reading the words", 0.15, 0.18],
  denoise: ["Making the new clip", 0.18, 0.85],
  decode: ["Developing its frames", 0.85, 0.93],
  write: ["Writing the file", 0.93, 1],
};

/** How much of a running job is done, 0..1. @param {Job} job */
export function share(job) {
  const [, from, to] = STAGES[job.stage] ?? ["", 0, 0];
  return from + (to - from) * (job.progress ?? 0);
}

/** @param {Job} job */
export function doing(job) {
  if (job.state === "queued") return "Waiting for its turn";
  if (job.cancelling) return "Stopping at the next step";
  return STAGES[job.stage]?.[0] ?? "Starting";
}

/** How long a running job will still take, in words, as soon as that can be told. @param {Job} job */
export function left(job) {
  const done = share(job);
  if (job.state !== "running" || !job.started || done < 0.2) return "";
  return `about ${about((Date.now() / 1000 - job.started) * (1 - done) / done)} left`;
}

/** @param {Job} job */
export function outcome(job) {
  const took = job.started && job.finished ? `, took ${about(job.finished - job.started)}` : "";
  if (job.state === "done") return `${when(job.finished ?? job.created)}${took}`;
  if (job.state === "cancelled") return "Cancelled";
  return job.state === "failed" ? "Failed" : doing(job);
}
