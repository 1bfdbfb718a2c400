// What follows the current track: the queue, then "For you". Whoever shows or takes the next track asks here. Pure logic.

/** @typedef {import("../../track.js").Track} Track */

export class Following {
  /** @type {string | null} id of the track of "For you" that is loaded to follow: it does, however the list changes */
  #preparedForYou = null;
  #preparedOrder = ""; // shuffled or not, when it was loaded

  /**
   * @param {import("./queue.js").Queue} queue
   * @param {() => Track[]} listForYou the tracks of "For you" in the order in which they follow
   */
  constructor(queue, listForYou) {
    this.queue = queue;
    this.listForYou = listForYou;
  }

  /** The tracks of "For you" in the order in which they follow. */
  forYou() {
    const tracks = this.listForYou();
    if (this.#preparedOrder !== this.#order) return tracks;
    const isPrepared = (/** @type {Track} */ { id }) => id === this.#preparedForYou;
    return [...tracks.filter(isPrepared), ...tracks.filter((track) => !isPrepared(track))];
  }

  /** All that follows, in the order in which it plays: what the queue shows, and `take` takes the first of. */
  upcoming() {
    return this.queue.upcoming(this.forYou());
  }

  /** Takes the first of `upcoming`; null where nothing follows. */
  take() {
    return this.queue.take(this.forYou());
  }

  /**
   * Takes a track that is shown.
   * @param {import("./queue.js").Part} part
   * @param {number} position in the part
   */
  takeAt(part, position) {
    return part === "for-you" ? (this.forYou()[position] ?? null) : this.queue.takeAt(part, position);
  }

  /** The first of `upcoming`, which is loaded now. */
  prepare() {
    const [next] = this.upcoming();
    this.#preparedOrder = this.#order;
    this.#preparedForYou = next?.part === "for-you" ? next.track.id : null;
    return next?.track ?? null;
  }

  get #order() {
    return `${this.queue.shuffle} ${this.queue.seed}`;
  }

  /** A track starts: nothing is loaded to follow it. */
  start() {
    this.#preparedForYou = null;
  }
}
