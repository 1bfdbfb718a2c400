// A track that was taken out of a list, and comes back to its place. Pure logic.

/** @typedef {import("../../track.js").Track} Track */
/** @typedef {{ track: Track, position: number, followingId: string | null }} Removed */

/**
 * Takes a track out of a list.
 * @param {Track[]} tracks
 * @param {number} position
 * @returns {Removed | null} null where there is none
 */
export function takeOut(tracks, position) {
  const [track] = tracks.splice(position, 1);
  return track ? { track, position, followingId: tracks[position]?.id ?? null } : null;
}

/**
 * Puts a track back: before the one that it stood before, else at its position.
 * @param {Track[]} tracks
 * @param {Removed} removed
 */
export function putBack(tracks, { track, position, followingId }) {
  const following = tracks.findIndex(({ id }) => id === followingId);
  tracks.splice(following >= 0 ? following : Math.min(position, tracks.length), 0, track);
}
