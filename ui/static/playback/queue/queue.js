// What plays next: the listener's own additions, then the list that something was played from, then "For you". Pure logic,
// saved and shown elsewhere. `upcoming` tells all that follows in its order, and `take` takes the first of it.

import { queueState } from "./queue-wire.js";
import { putBack, takeOut } from "./removed-track.js";
import { shuffled } from "./shuffle.js";

/** @typedef {import("../../track.js").Track} Track */
/** @typedef {"off" | "all" | "one"} Repeat */
/** @typedef {"own" | "list" | "for-you"} Part */
/** @typedef {{ part: Part, track: Track }} Upcoming */
/** @typedef {import("./removed-track.js").Removed & { part: Part, context: PlayContext | null }} Taken */

/**
 * The list that tracks are played from.
 * @typedef {object} PlayContext
 * @property {string} kind for-you, mix, album, artist, playlist, genre, mood, search, tracks, radio, sound, path, recent, similar, track, …
 * @property {string} [id]
 * @property {string} [title] as the listener sees it
 * @property {string} [address] of its page: "#/album/…"
 */

/** @typedef {import("./queue-wire.js").QueueState} QueueState */

export const MAX_QUEUED_TRACKS = 500;
export const MAX_LIST_TRACKS = 1000;
const MAX_BEFORE_START = 200; // of a long list, tracks before the one that was chosen

/** @type {Record<Repeat, Repeat>} */
const NEXT_REPEAT = { off: "all", all: "one", one: "off" };

export class Queue {
  /** @type {Track[]} */
  items = [];
  /** @type {Track[]} */
  played = [];
  /** @type {PlayContext | null} */
  context = null;
  /** @type {Track[]} */
  list = [];
  /** @type {Track[]} */
  listPlayed = [];
  /** @type {string[]} */
  order = [];
  shuffle = false;
  seed = 0;
  /** @type {Repeat} */
  repeat = "off";
  /** @type {Taken[]} tracks that the listener has rejected, the latest last */
  #rejected = [];

  /**
   * @param {() => void} [onChange] called after every change
   * @param {() => number} [random] a number from 0 up to 1, for shuffle
   */
  constructor(onChange = () => {}, random = Math.random) {
    this.onChange = onChange;
    this.random = random;
  }

  /**
   * All that follows, in the order in which it plays.
   * @param {Track[]} [forYou] the tracks of "For you" in the order in which they follow
   * @returns {Upcoming[]}
   */
  upcoming(forYou = []) {
    const listed = [...this.items.map(asPart("own")), ...this.list.map(asPart("list"))];
    if (this.repeat !== "all") return [...listed, ...forYou.map(asPart("for-you"))];
    if (listed.length) return listed;
    if (this.listPlayed.length > 1) return this.#inOrder(this.listPlayed, 1).map(asPart("list"));
    return [...this.played.map(asPart("own")), ...(this.played.length ? [] : forYou.map(asPart("for-you")))];
  }

  /**
   * Takes the first of `upcoming`.
   * @param {Track[]} [forYou]
   * @returns {Track | null} null where nothing follows
   */
  take(forYou = []) {
    const [next] = this.upcoming(forYou);
    if (!next) return null;
    if (!this.items.length && !this.list.length && next.part !== "for-you") this.#startOver(next.part);
    return next.part === "for-you" ? next.track : this.takeAt(next.part, 0);
  }

  /**
   * Takes a track out of turn: of the own additions that one alone; of the list also those before it, as it goes on from there.
   * @param {Part} part
   * @param {number} position in the part
   * @returns {Track | null} null where there is none
   */
  takeAt(part, position) {
    const track = this.#tracksOf(part)[position];
    if (!track || part === "for-you") return null;
    if (part === "own") {
      this.items.splice(position, 1);
      this.played.push(track);
      if (this.played.length > MAX_QUEUED_TRACKS) this.played.shift();
    } else this.listPlayed.push(...this.list.splice(0, position + 1));
    this.onChange();
    return track;
  }

  /**
   * Goes on in this list from now on, in place of the one before. Own additions stay.
   * @param {PlayContext} context of kind "for-you": no list of its own, as "For you" follows anyway
   * @param {Track[]} tracks
   * @param {string | null} [startId] the track that starts; null: the first, with shuffle any
   * @returns {Track | null} the track that starts; null where there are no tracks
   */
  playFrom(context, tracks, startId = null) {
    const chosen = tracks.findIndex(({ id }) => id === startId);
    const start = chosen >= 0 ? chosen : this.shuffle ? Math.floor(this.random() * tracks.length) : 0;
    const track = tracks[start] ?? null;
    if (!track) return null;
    const isForYou = context.kind === "for-you";
    const first = Math.max(0, start - MAX_BEFORE_START);
    const all = isForYou ? [] : tracks.slice(first, first + MAX_LIST_TRACKS);
    this.context = isForYou ? null : context;
    this.order = all.map(({ id }) => id);
    this.listPlayed = this.shuffle ? all.filter((each) => each === track) : all.slice(0, start - first + 1);
    this.list = this.shuffle ? all.filter((each) => each !== track) : all.slice(start - first + 1);
    if (this.shuffle) this.#shuffleList();
    this.onChange();
    return track;
  }

  /** @param {...Track} tracks at the end of the own additions; those beyond MAX_QUEUED_TRACKS are left out */
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
    if (!this.items.length && this.listPlayed.at(-1)?.id === track.id) {
      this.listPlayed.pop();
      this.list.unshift(track);
    } else {
      this.items.unshift(track);
      const position = this.played.findLastIndex(({ id }) => id === track.id);
      if (position >= 0) this.played.splice(position, 1);
    }
    this.onChange();
  }

  /** Removes the own additions and the list: "For you" follows. */
  clear() {
    Object.assign(this, { items: [], played: [], context: null, list: [], listPlayed: [], order: [] });
    this.#rejected = [];
    this.onChange();
  }

  /**
   * @param {Part} part
   * @param {number} position
   * @returns {() => void} brings the track back to its place
   */
  remove(part, position) {
    const taken = this.#take(part, position);
    this.onChange();
    return () => taken && this.#return(taken) && this.onChange();
  }

  /**
   * Removes what a radio put there and the listener has rejected since, and brings back what is rejected no longer.
   * @param {(track: Track) => boolean} isRejected
   */
  removeRejected(isRejected) {
    const returning = this.#rejected.filter(({ track }) => !isRejected(track)).reverse();
    this.#rejected = this.#rejected.filter(({ track }) => isRejected(track));
    const leaving = (/** @type {Track} */ track) => track.source === "radio" && isRejected(track);
    let isChanged = returning.map((taken) => this.#return(taken)).includes(true);
    for (const part of /** @type {const} */ (["own", "list"])) {
      for (let at = this.#tracksOf(part).findIndex(leaving); at >= 0; at = this.#tracksOf(part).findIndex(leaving)) {
        this.#rejected.push(/** @type {Taken} */ (this.#take(part, at)));
        isChanged = true;
      }
    }
    if (isChanged) this.onChange();
  }

  /**
   * @param {Part} part
   * @param {number} position
   * @returns {Taken | null}
   */
  #take(part, position) {
    const removed = takeOut(this.#tracksOf(part), position);
    return removed && { ...removed, part, context: this.context };
  }

  /**
   * @param {Taken} taken
   * @returns {boolean} whether it came back: not into another list than its own
   */
  #return(taken) {
    if (taken.part === "list" && taken.context !== this.context) return false;
    putBack(this.#tracksOf(taken.part), taken);
    return true;
  }

  /**
   * Moves a track within its part; a position outside of it changes nothing.
   * @param {Part} part
   * @param {number} from
   * @param {number} to
   */
  move(part, from, to) {
    const tracks = this.#tracksOf(part);
    if (!(from in tracks) || !(to in tracks)) return;
    tracks.splice(to, 0, ...tracks.splice(from, 1));
    this.onChange();
  }

  /** Shuffles what follows of the list, or brings it back to its own order. Own additions keep theirs. */
  toggleShuffle() {
    this.shuffle = !this.shuffle;
    if (this.shuffle) this.#shuffleList();
    else this.list = this.#inOrder(this.list, 0);
    this.onChange();
  }

  /** Off, all, one, and off again. */
  cycleRepeat() {
    this.repeat = NEXT_REPEAT[this.repeat];
    this.onChange();
  }

  state() {
    return queueState(this);
  }

  /** A copy of the state that later changes leave as it is. */
  snapshot() {
    const state = this.state();
    const { items, played, list, listPlayed, order } = state;
    return { ...state, items: [...items], played: [...played], list: [...list], listPlayed: [...listPlayed], order: [...order] };
  }

  /** @param {Partial<QueueState>} [state] what is missing becomes that of an empty queue */
  restore(state) {
    Object.assign(this, queueState(state));
    this.#rejected = [];
    this.onChange();
  }

  #shuffleList() {
    this.seed = Math.floor(this.random() * 2 ** 32);
    this.list = this.#inOrder(this.list, 0);
  }

  /**
   * "Repeat all": what was played follows again.
   * @param {Part} part
   */
  #startOver(part) {
    if (part === "own") [this.items, this.played] = [this.played, []];
    else {
      this.list = this.#inOrder(this.listPlayed, 1);
      this.listPlayed = [];
      this.seed += 1;
    }
  }

  /**
   * The tracks in the order in which they play: shuffled by the seed, else the list's own.
   * @param {Track[]} tracks
   * @param {number} round 1: of the next turn
   */
  #inOrder(tracks, round) {
    if (this.shuffle) return shuffled(tracks, this.seed + round);
    const places = new Map(this.order.map((id, place) => [id, place]));
    const place = (/** @type {Track} */ { id }) => places.get(id) ?? this.order.length;
    return [...tracks].sort((a, b) => place(a) - place(b));
  }

  /** @param {Part} part */
  #tracksOf(part) {
    return part === "own" ? this.items : this.list;
  }

  get #room() {
    return Math.max(0, MAX_QUEUED_TRACKS - this.items.length);
  }
}

/** @param {Part} part */
const asPart = (part) => (/** @type {Track} */ track) => ({ part, track });
