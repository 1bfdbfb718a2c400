// The tracks that were left for others: those heard, for "previous", and all, so that "For you" goes on. Pure logic.

/** @typedef {import("../../track.js").Track} Track */

const MAX_TRACKS = 200;

export class LeftTracks {
  /** @type {Track[]} that were heard, the latest last */
  #heard = [];
  /** @type {string[]} of all tracks, heard or not, the latest last */
  ids = [];

  /**
   * Another track starts.
   * @param {Track} track the one before it
   * @param {boolean} wasHeard
   */
  add(track, wasHeard) {
    if (wasHeard) this.#heard.push(track);
    this.ids.push(track.id);
    if (this.#heard.length > MAX_TRACKS) this.#heard.shift();
    if (this.ids.length > MAX_TRACKS) this.ids.shift();
  }

  /** Takes the track that was heard before the current one. */
  takeHeard() {
    return this.#heard.pop();
  }

  clear() {
    this.#heard = [];
    this.ids = [];
  }
}
