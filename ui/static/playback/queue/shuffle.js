// A shuffled order that can be told ahead. Pure logic.

/** @typedef {import("../../track.js").Track} Track */

/**
 * The tracks in an order that depends on seed and ids alone, so that what is shown as next can be told ahead.
 * @param {Track[]} tracks
 * @param {number} seed
 */
export function shuffled(tracks, seed) {
  const keys = new Map(tracks.map(({ id }) => [id, hash(`${seed} ${id}`)]));
  return [...tracks].sort((a, b) => (keys.get(a.id) ?? 0) - (keys.get(b.id) ?? 0) || (a.id < b.id ? -1 : 1));
}

/**
 * FNV-1a with murmur3's finaliser, 32 bits.
 * @param {string} text
 */
function hash(text) {
  let value = 0x811c9dc5;
  for (let position = 0; position < text.length; position += 1) {
    value = Math.imul(value ^ text.charCodeAt(position), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
