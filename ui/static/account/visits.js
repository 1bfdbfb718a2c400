// Tells the stream that a listener has come back, so that time, a new model and mutings renew the list. Pure logic.

/**
 * @typedef {object} VisitsOptions
 * @property {(event: { action: "visit" }) => void} send
 * @property {() => unknown} load what `save` stored, by any tab of this browser
 * @property {(times: Record<string, number>) => void} save
 * @property {() => number} [now] milliseconds since 1970
 */

const VISIT_EVERY_MS = 10 * 60_000;

export class Visits {
  /** whether a listener may have come back: the page was opened, or another one was chosen */
  #isExpected = true;
  /** @type {number | null} since when the tab is hidden */
  #hiddenAt = null;
  /** @type {Record<string, number>} time of the latest visit by listener; storage may refuse to keep it */
  #times = {};

  /** @param {VisitsOptions} options */
  constructor({ send, load, save, now = Date.now }) {
    this.send = send;
    this.load = load;
    this.save = save;
    this.now = now;
  }

  /** Another listener was chosen. */
  expect() {
    this.#isExpected = true;
  }

  /** @param {boolean} isVisible whether the tab is */
  setVisible(isVisible) {
    if (!isVisible) {
      this.#hiddenAt ??= this.now();
    } else {
      if (this.#hiddenAt !== null && this.now() - this.#hiddenAt >= VISIT_EVERY_MS) this.#isExpected = true;
      this.#hiddenAt = null;
    }
  }

  /**
   * The page shows the list of a listener.
   * @param {string | null} listener
   * @param {boolean} hasOwnList else there is nothing to renew
   */
  show(listener, hasOwnList) {
    if (!this.#isExpected || this.#hiddenAt !== null || listener === null || !hasOwnList) return;
    this.#isExpected = false;
    const now = this.now();
    const times = Object.entries({ ...timesIn(this.load()), ...this.#times });
    this.#times = Object.fromEntries(times.filter(([, at]) => now - at < VISIT_EVERY_MS && at <= now));
    if (listener in this.#times) return;
    this.#times[listener] = now;
    this.save(this.#times);
    this.send({ action: "visit" });
  }
}

/**
 * @param {unknown} stored
 * @returns {Record<string, number>}
 */
const timesIn = (stored) => (typeof stored === "object" && stored !== null ? { ...stored } : {});
