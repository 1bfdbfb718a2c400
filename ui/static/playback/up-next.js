// Which track of "For you" follows when the queue is empty. Pure logic.

/** @typedef {import("../track.js").Track} Track */

/**
 * The tracks in the order in which they follow: those not started yet, then those started longest ago.
 * @param {Track[]} tracks those that may follow
 * @param {string[]} startedIds ids of the tracks that were started, the latest last
 */
export function upNext(tracks, startedIds) {
  const isFresh = (/** @type {Track} */ track) => !startedIds.includes(track.id);
  const lastStart = (/** @type {Track} */ track) => startedIds.lastIndexOf(track.id);
  const repeated = tracks.filter((track) => !isFresh(track)).sort((a, b) => lastStart(a) - lastStart(b));
  return [...tracks.filter(isFresh), ...repeated];
}

/**
 * The track that follows: the first of `upNext`, with shuffle any that was not started yet.
 * @param {Track[]} tracks
 * @param {string[]} startedIds
 * @param {{ shuffle: boolean, random?: () => number }} options
 * @returns {Track | null}
 */
export function nextTrack(tracks, startedIds, { shuffle, random = Math.random }) {
  const ordered = upNext(tracks, startedIds);
  const fresh = ordered.filter((track) => !startedIds.includes(track.id));
  const chosen = shuffle ? fresh[Math.floor(random() * fresh.length)] : undefined;
  return chosen ?? ordered[0] ?? null;
}
