// @ts-check
/** The mask of the whole clip from its painted frame: the server makes it, and goes on when the page is closed. */
import { answered, whenMade } from "./api.js";
import { change, draft } from "./draft.js";
import { complain } from "./dom.js";

/** Whether the painted frame still has to be followed. */
export const isFollowing = () => Boolean(draft.place.still && !draft.place.file);

/** Waits for the mask of the draft's painted frame, and takes it. */
export async function follow() {
  const { source, place } = draft;
  if (!source || !isFollowing()) return;
  const query = `still=${place.still}&frame=${place.frame}&grow=${place.grow}`;
  const isWanted = () => draft.source === source && draft.place.still === place.still;
  try {
    const made = await whenMade(() => answered(`/files/${source}/mask?${query}`, { method: "POST", headers: { "X-Recast": "1" } }));
    const { id } = await made.json();
    if (isWanted()) change({ place: { ...draft.place, file: id } });
  } catch (error) {
    if (isWanted()) change({ place: { ...draft.place, still: null } });
    complain(error);
  }
}
