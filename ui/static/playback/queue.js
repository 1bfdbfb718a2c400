// The queue: tracks that the listener put before "For you". Pure logic, saved and shown elsewhere.

/** @typedef {import("../track.js").Track} Track */
/** @typedef {"off" | "all" | "one"} Repeat */
/** @typedef {{ items: Track[], played: Track[], shuffle: boolean, repeat: Repeat }} QueueState */

export const MAX_QUEUED_TRACKS = 500;

/** @type {Record<Repeat, Repeat>} */
const NEXT_REPEAT = { off: "all", all: "one", one: "off" };

export class Queue {
  /** @type {Track[]} the next track first */
  items = [];
  /** @type {Track[]} taken from the queue since it was filled, for "repeat all" */
  played = [];
  shuffle = false;
  /** @type {Repeat} */
  repeat = "off";
  /** @type {Set<Track>} left by "previous": they follow first, also with shuffle */
  #left = new Set();

  /**
   * @param {() => void} [onChange] called after every change
   * @param {() => number} [random] a number from 0 up to 1, for shuffle
   */
  constructor(onChange = () => {}, random = Math.random) {
    this.onChange = onChange;
    this.random = random;
  }

  /** @param {...Track} tracks at the end; those beyond MAX_QUEUED_TRACKS are left out */
  add(...tracks) {
    this.items.push(...tracks.slice(0, this.#room));
    this.onChange();
  }

  /** @param {...Track} tracks before all others */
  addNext(...tracks) {
    this.items.unshift(...tracks.slice(0, this.#room));
    this.onChange();
  }

  /** @param {Track} track that "previous" leaves: it follows next */
  putBack(track) {
    this.items.unshift(track);
    this.#left.add(track);
    const position = this.played.findLastIndex(({ id }) => id === track.id);
    if (position >= 0) this.played.splice(position, 1);
    this.onChange();
  }

  /** @param {Track[]} tracks in place of all others */
  replaceAll(tracks) {
    this.items = tracks.slice(0, MAX_QUEUED_TRACKS);
    this.played = [];
    this.onChange();
  }

  clear() {
    this.replaceAll([]);
  }

  /** @param {number} position */
  remove(position) {
    this.items.splice(position, 1);
    this.onChange();
  }

  /**
   * Removes what a radio put there and the listener has rejected since.
   * @param {(track: Track) => boolean} isRejected
   */
  removeRejected(isRejected) {
    const others = this.items.filter((track) => track.source !== "radio" || !isRejected(track));
    if (others.length === this.items.length) return;
    this.items = others;
    this.onChange();
  }

  /**
   * Moves a track; a position outside of the queue changes nothing.
   * @param {number} from
   * @param {number} to
   */
  move(from, to) {
    if (!(from in this.items) || !(to in this.items)) return;
    this.items.splice(to, 0, ...this.items.splice(from, 1));
    this.onChange();
  }

  /**
   * Takes the track at a position out of the queue; without a position the next one, or any with shuffle.
   * @param {number | null} [position]
   * @returns {Track | null} null where the queue is empty
   */
  take(position = null) {
    if (!this.items.length && this.repeat === "all") [this.items, this.played] = [this.played, []];
    const isFirst = !this.shuffle || (this.items[0] && this.#left.has(this.items[0]));
    const next = isFirst ? 0 : Math.floor(this.random() * this.items.length);
    const [track] = this.items.splice(position ?? next, 1);
    if (!track) return null;
    this.#left.delete(track);
    this.played.push(track);
    if (this.played.length > MAX_QUEUED_TRACKS) this.played.shift();
    this.onChange();
    return track;
  }

  toggleShuffle() {
    this.shuffle = !this.shuffle;
    this.onChange();
  }

  /** Off, all, one, and off again. */
  cycleRepeat() {
    this.repeat = NEXT_REPEAT[this.repeat];
    this.onChange();
  }

  /** @returns {QueueState} */
  state() {
    return { items: this.items, played: this.played, shuffle: this.shuffle, repeat: this.repeat };
  }

  /** @param {Partial<QueueState>} [state] what is missing becomes that of an empty queue */
  restore({ items = [], played = [], shuffle = false, repeat = "off" } = {}) {
    Object.assign(this, { items, played, shuffle, repeat });
    this.onChange();
  }

  get #room() {
    return Math.max(0, MAX_QUEUED_TRACKS - this.items.length);
  }
}
