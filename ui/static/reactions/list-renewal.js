// When a new list of recommendations takes the place of the one on the page: never under the finger. It waits until the
// list is out of sight, until the next track starts, or until the listener asks for it. Pure logic.

/**
 * @template List
 * @typedef {object} ListRenewalOptions
 * @property {(list: List, isFirst: boolean) => void} show puts a list in place
 * @property {(list: List) => boolean} isSame whether it has the tracks that the page shows, in their order
 * @property {() => boolean} isInSight whether any of the list is on the screen
 * @property {() => boolean} isInUse whether the listener is about to do something with a card
 * @property {(list: List | null) => void} offer tells that a list waits; null: none does
 */

/** @template List */
export class ListRenewal {
  /** @type {List | null} */
  #waiting = null;

  /** @param {ListRenewalOptions<List>} options */
  constructor({ show, isSame, isInSight, isInUse, offer }) {
    this.show = show;
    this.isSame = isSame;
    this.isInSight = isInSight;
    this.isInUse = isInUse;
    this.offer = offer;
  }

  /**
   * A list has come.
   * @param {List} list
   * @param {boolean} isFirst of this listener: the one on the page is of another, or there is none
   */
  receive(list, isFirst) {
    if (isFirst || this.isSame(list) || !this.isInSight()) return this.#show(list, isFirst);
    this.#waiting = list;
    this.offer(list);
  }

  /** The list may have gone out of sight. */
  settle() {
    if (this.#waiting !== null && !this.isInSight()) this.#show(this.#waiting, false);
  }

  /** Another track has started. */
  nextTrack() {
    if (this.#waiting !== null && !(this.isInSight() && this.isInUse())) this.#show(this.#waiting, false);
  }

  /** The listener asks for it. */
  showNow() {
    if (this.#waiting !== null) this.#show(this.#waiting, false);
  }

  /**
   * @param {List} list
   * @param {boolean} isFirst
   */
  #show(list, isFirst) {
    this.#waiting = null;
    this.show(list, isFirst);
    this.offer(null);
  }
}

/**
 * What differs between two lists of track ids.
 * @param {string[]} before
 * @param {string[]} after
 * @returns {{ added: string[], moved: string[] }} moved: those outside of the longest part that kept its order
 */
export function changesBetween(before, after) {
  const placeBefore = new Map(before.map((id, place) => [id, place]));
  const stayed = after.filter((id) => placeBefore.has(id));
  /** @type {string[][]} by length less one, the ordered part of that length that ends earliest in `before` */
  const ordered = [];
  const place = (/** @type {string | undefined} */ id) => placeBefore.get(id ?? "") ?? -1;
  for (const id of stayed) {
    let length = ordered.findIndex((part) => place(part.at(-1)) >= place(id));
    if (length < 0) length = ordered.length;
    ordered[length] = [...(ordered[length - 1] ?? []), id];
  }
  const kept = new Set(ordered.at(-1));
  return { added: after.filter((id) => !placeBefore.has(id)), moved: stayed.filter((id) => !kept.has(id)) };
}

/**
 * "5 new, 2 moved"
 * @param {{ added: string[], moved: string[] }} changes
 */
export function changesInWords({ added, moved }) {
  const words = [];
  if (added.length) words.push(`${added.length} new`);
  if (moved.length) words.push(`${moved.length} moved`);
  return words.join(", ") || "shorter";
}
