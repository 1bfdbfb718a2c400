// The order in which the tracks of "For you" follow. Pure logic.

import { shuffled } from "./shuffle.js";

/** @typedef {import("../../track.js").Track} Track */

/**
 * The tracks in the order in which they follow: those not started yet, then those started longest ago.
 * @param {Track[]} tracks those that may follow
 * @param {string[]} startedIds ids of the tracks that were started, the latest last
 * @param {number | null} [seed] of the shuffled order; null: in the order of the list
 */
export function upNext(tracks, startedIds, seed = null) {
  const isFresh = (/** @type {Track} */ track) => !startedIds.includes(track.id);
  const lastStart = (/** @type {Track} */ track) => startedIds.lastIndexOf(track.id);
  const fresh = tracks.filter(isFresh);
  const repeated = tracks.filter((track) => !isFresh(track)).sort((a, b) => lastStart(a) - lastStart(b));
  return [...(seed === null ? fresh : shuffled(fresh, seed)), ...repeated];
}
