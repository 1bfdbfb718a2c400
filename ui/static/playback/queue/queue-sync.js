// Keeps the listener's queue on the server, for their other devices and for a browser that forgets. The latest change counts;
// changes of two devices at the same time become one (`merged`).

import { isTemporary } from "../../api.js";
import { fromWire, isSame, merged, toWire } from "./queue-wire.js";

/** @typedef {import("./queue-wire.js").Playback} Playback */
/** @typedef {import("./queue-wire.js").StoredQueue} StoredQueue */

/**
 * @typedef {object} QueueSyncOptions
 * @property {() => Promise<import("../../api.js").Answer<StoredQueue>>} get
 * @property {(body: object) => Promise<import("../../api.js").Answer<{ saved: boolean }>>} post saved: false where the server has another revision
 * @property {() => Playback} current what this page has
 * @property {(playback: Playback) => void} adopt puts what another device has saved in place
 * @property {() => void} onSaved called when the server has all of it
 * @property {(settings: import("../settings.js").SentSettings) => void} onSettings
 * @property {string} device tells this page's changes from others'
 */

const SAVE_AFTER_MS = 400;
const RETRY_MS = 5000;
const MAX_ATTEMPTS = 4;

export class QueueSync {
  /** @type {string | null} whose queue is kept; null: nobody's */
  #listener = null;
  #revision = 0;
  /** @type {Playback | null} as the server has it; null: not known yet */
  #base = null;
  #timer = 0;
  /** @type {Promise<void>} one request at a time */
  #last = Promise.resolve();

  /** @param {QueueSyncOptions} options */
  constructor({ get, post, current, adopt, onSaved, onSettings, device }) {
    this.get = get;
    this.post = post;
    this.current = current;
    this.adopt = adopt;
    this.onSaved = onSaved;
    this.onSettings = onSettings;
    this.device = device;
  }

  /**
   * Another listener has come, and what this browser has kept of theirs is in place.
   * @param {string | null} listener
   * @param {boolean} hasChanges whether this browser has changes that the server may not have
   */
  show(listener, hasChanges) {
    clearTimeout(this.#timer);
    this.#listener = listener;
    this.#revision = 0;
    this.#base = null;
    return listener === null ? this.#last : this.#enqueue(() => this.#pull(listener, hasChanges));
  }

  /** Another device has changed the queue. */
  pull() {
    const listener = this.#listener;
    return listener === null ? this.#last : this.#enqueue(() => this.#pull(listener, this.#isChanged));
  }

  /** Something was changed here: it is saved in a moment. */
  change() {
    clearTimeout(this.#timer);
    if (this.#listener !== null) this.#timer = setTimeout(() => this.flush(), SAVE_AFTER_MS);
  }

  /** Saves what was changed now. */
  flush() {
    clearTimeout(this.#timer);
    const listener = this.#listener;
    return listener === null ? this.#last : this.#enqueue(() => this.#save(listener));
  }

  /** Whether the server has all of it. */
  get isSaved() {
    return this.#base !== null && !this.#isChanged;
  }

  get #isChanged() {
    return this.#base !== null && !isSame(withoutPosition(this.current()), withoutPosition(this.#base));
  }

  /** @param {() => Promise<void>} request */
  #enqueue(request) {
    this.#last = this.#last.then(request);
    return this.#last;
  }

  /**
   * @param {string} listener
   * @param {boolean} hasChanges
   */
  async #pull(listener, hasChanges) {
    const stored = await this.get();
    if (this.#listener !== listener) return;
    if (!stored.ok || stored.listener !== listener) {
      if (!stored.ok && stored.status !== 401) this.#timer = setTimeout(() => this.show(listener, hasChanges), RETRY_MS);
      return;
    }
    if (stored.settings) this.onSettings(stored.settings);
    if (stored.revision === this.#revision && this.#base) return;
    const [mine, theirs, base] = [this.current(), fromWire(stored), this.#base];
    this.#revision = stored.revision;
    this.#base = copy(theirs);
    if (stored.revision === 0) return this.#save(listener); // nothing was saved yet
    const adopted = hasChanges ? merged(mine, theirs, base) : theirs;
    if (!isSame(withoutPosition(adopted), withoutPosition(mine))) this.adopt(adopted);
    if (hasChanges) await this.#save(listener);
    else this.onSaved();
  }

  /** @param {string} listener */
  async #save(listener) {
    for (let attempt = 0; attempt < MAX_ATTEMPTS && this.#listener === listener && this.#isChanged; attempt += 1) {
      const mine = copy(this.current());
      const answer = await this.post({ revision: this.#revision, listener, device: this.device, ...toWire(mine) });
      if (this.#listener !== listener) return;
      if (answer.ok && answer.saved) {
        this.#revision += 1;
        this.#base = mine;
        this.onSaved();
      } else if (answer.ok) await this.#pullAndMerge(listener);
      else {
        if (isTemporary(answer.status)) this.#timer = setTimeout(() => this.flush(), RETRY_MS);
        return;
      }
    }
  }

  /** @param {string} listener */
  async #pullAndMerge(listener) {
    const stored = await this.get();
    if (!stored.ok || stored.listener !== listener || this.#listener !== listener) return;
    const adopted = merged(this.current(), fromWire(stored), this.#base);
    this.#revision = stored.revision;
    this.#base = copy(fromWire(stored));
    this.adopt(adopted);
  }
}

/**
 * What is compared: the position changes all the time, and is saved by the player.
 * @param {Playback} playback
 */
function withoutPosition(playback) {
  const wire = toWire(playback);
  return { ...wire, current: wire.current?.id ?? null };
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
const copy = (value) => JSON.parse(JSON.stringify(value));
