// @ts-check
/** Puts clips into video elements: as they came where the browser plays that, else the server's copy. */
import { API, answered, whenMade } from "./api.js";

/**
 * What plays a clip: its own address, and where there is a copy of it, which may have to be made.
 * @typedef {{own: string, copy: string, name: string}} Playable
 */

/** @param {string} id @param {string} name @returns {Playable} */
export const ofFile = (id, name) => ({ own: `${API}/files/${id}/content`, copy: `/files/${id}/view`, name });

/** @param {string} id @param {string} name @returns {Playable} */
export const ofJob = (id, name) => ({ own: `${API}/jobs/${id}/view`, copy: `/jobs/${id}/view`, name });

/**
 * Resolves when the element shows the clip. @param {HTMLVideoElement} video @param {Playable} clip
 * @param {{waiting?: () => void, signal?: AbortSignal}} [how] waiting: called where a copy has to be made
 */
export async function show(video, clip, { waiting, signal } = {}) {
  if (await plays(video, clip.own)) return;
  signal?.throwIfAborted();
  waiting?.();
  await whenMade(() => answered(clip.copy, { headers: { Range: "bytes=0-0" }, signal }), signal);
  if (!(await plays(video, API + clip.copy))) throw new Error(`This browser plays neither ${clip.name} nor a copy of it.`);
}

/** @param {HTMLVideoElement} video @param {string} url @returns {Promise<boolean>} */
function plays(video, url) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = (/** @type {boolean} */ fine) => {
      over.abort();
      resolve(fine);
    };
    // Some browsers play the sound of what they cannot show, and say nothing.
    video.addEventListener("loadeddata", () => end(video.videoWidth > 0), { signal: over.signal });
    video.addEventListener("error", () => end(false), { signal: over.signal });
    video.src = url;
    video.load();
  });
}
