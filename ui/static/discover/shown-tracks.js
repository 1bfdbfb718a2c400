// Tells the stream which tracks of the listener's list were really on the screen: one event for each list. What is shown
// often and never taken can then make room for other tracks. Pure logic, but for `watchCards`.

import { findAll } from "../page/dom.js";

/**
 * @typedef {object} ShownTracksOptions
 * @property {(trackIds: string[], modelVersion: string) => void} send
 * @property {() => string | null} loadSent the mark of the list that was sent last, by any tab of this browser
 * @property {(mark: string) => void} saveSent
 * @property {() => number} [now] milliseconds
 * @property {(callback: () => void, milliseconds: number) => unknown} [later]
 */

const ON_SCREEN_MS = 1000; // a track counts from then on
const EVENT_EVERY_MS = 10_000;
const MAX_TRACKS = 100;
const VISIBLE_SHARE = 0.5; // of a card that is on the screen

export class ShownTracks {
  /** @type {string | null} mark of the list; null: it is not the listener's own, or was sent already */
  #mark = null;
  #modelVersion = "";
  /** @type {Map<string, number>} by track id, since when it is on the screen */
  #onScreen = new Map();
  /** @type {Set<string>} ids of the tracks that were on the screen for long enough */
  #counted = new Set();
  #isVisible = true;
  /** @type {string | null} mark of the list that was sent last */
  #sent = null;
  #sentAt = -Infinity;
  #round = 0; // counts the lists, so that the timer of one does not end another's
  #waitsInRound = -1;

  /** @param {ShownTracksOptions} options */
  constructor({ send, loadSent, saveSent, now = Date.now, later = setTimeout }) {
    this.send = send;
    this.loadSent = loadSent;
    this.saveSent = saveSent;
    this.now = now;
    // the browser's setTimeout does not take another `this`
    this.later = (/** @type {() => void} */ callback, /** @type {number} */ milliseconds) => later(callback, milliseconds);
  }

  /**
   * A list is put in place. Of the one before, what was on the screen is sent.
   * @param {string | null} mark differs for each list and listener; null: the list is not the listener's own
   * @param {string} [modelVersion] of the list; empty where unknown
   */
  showList(mark, modelVersion = "") {
    if (mark !== null && mark === this.#mark) return;
    this.#flush();
    this.drop();
    this.#mark = this.#isSent(mark) ? null : mark;
    this.#modelVersion = modelVersion;
    this.#restart();
  }

  /** Forgets the list without sending it: another listener has come. */
  drop() {
    this.#mark = null;
    this.#counted.clear();
    this.#round += 1;
  }

  /** @param {string} trackId */
  enter(trackId) {
    if (!this.#onScreen.has(trackId)) this.#onScreen.set(trackId, this.now());
    this.#wait();
  }

  /** @param {string} trackId */
  leave(trackId) {
    this.#count();
    this.#onScreen.delete(trackId);
  }

  /** @param {boolean} isVisible whether the tab is */
  setVisible(isVisible) {
    if (isVisible === this.#isVisible) return;
    if (isVisible) {
      this.#isVisible = true;
      this.#restart();
    } else {
      this.#flush(); // the page may not come back
      this.#isVisible = false;
    }
  }

  /** What is on the screen is on it from now. */
  #restart() {
    for (const trackId of this.#onScreen.keys()) this.#onScreen.set(trackId, this.now());
    if (this.#onScreen.size > 0) this.#wait();
  }

  #wait() {
    const round = this.#round;
    if (this.#waitsInRound === round || this.#mark === null || !this.#isVisible) return;
    this.#waitsInRound = round;
    this.later(() => {
      if (this.#round !== round) return;
      this.#waitsInRound = -1;
      this.#flush();
      if (this.#onScreen.size > 0) this.#wait();
    }, EVENT_EVERY_MS);
  }

  #count() {
    if (!this.#isVisible) return;
    for (const [trackId, since] of this.#onScreen) {
      if (this.now() - since >= ON_SCREEN_MS) this.#counted.add(trackId);
    }
  }

  /** Sends what was on the screen of this list, unless it was sent already or the latest event is too new. */
  #flush() {
    this.#count();
    if (this.#mark === null || this.#counted.size === 0 || this.now() - this.#sentAt < EVENT_EVERY_MS) return;
    if (!this.#isSent(this.#mark)) {
      this.#sent = this.#mark;
      this.saveSent(this.#mark);
      this.#sentAt = this.now();
      this.send([...this.#counted].slice(0, MAX_TRACKS), this.#modelVersion);
    }
    this.#mark = null;
  }

  /**
   * Whether this tab or another one has sent a list.
   * @param {string | null} mark
   */
  #isSent(mark) {
    return mark !== null && (mark === this.#sent || mark === this.loadSent());
  }
}

/**
 * @param {ShownTracks} shown
 * @returns {() => void} to call when the list has new cards
 */
export function watchCards(shown) {
  const observer = new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) {
        const trackId = (target instanceof HTMLElement && target.dataset.trackId) || "";
        if (isIntersecting) shown.enter(trackId);
        else shown.leave(trackId);
      }
    },
    { threshold: VISIBLE_SHARE },
  );
  document.addEventListener("visibilitychange", () => shown.setVisible(!document.hidden));
  shown.setVisible(!document.hidden);
  return () => {
    for (const card of findAll("#for-you .card")) observer.observe(card);
  };
}
