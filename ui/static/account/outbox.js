// Listening events on their way to the server: sent one at a time, in order, queued while the server is unavailable.
// Each event keeps its listener: it waits until they are back rather than go out under another name. What is done before there
// is a listener is kept for the first who comes: a guest, or the name that is chosen. What waits is stored,
// and sent by the next page where this one is closed; sent twice, it is recognised by its id. Pure logic.

import { isTemporary, sleep } from "../api.js";

/** @typedef {import("../api.js").Success | import("../api.js").Failure} SendResult */
/** @typedef {{ event: Record<string, unknown>, queuedAt: number, number?: number }} QueuedEvent */

/**
 * @typedef {object} OutboxOptions
 * @property {(event: object) => Promise<SendResult>} post
 * @property {() => string | null | undefined} listener null: there is none; undefined: not known yet
 * @property {(event: Record<string, unknown>) => Promise<boolean>} [enter] makes a listener for the event, as a guest or by asking
 *   for a name; whether there is one now
 * @property {(result: SendResult, event: Record<string, unknown>) => void} onResult called after each answer
 * @property {() => string} id makes the event's id, so that a repeated one is recognised
 * @property {() => QueuedEvent[]} [load] what earlier pages have stored, the oldest first
 * @property {(queued: QueuedEvent) => void} [save]
 * @property {(queued: QueuedEvent) => void} [forget]
 * @property {() => number} [now] milliseconds since 1970
 * @property {(milliseconds: number) => Promise<void>} [wait]
 */

export const MAX_QUEUED_EVENTS = 1000;
export const RETRY_MS = 2000;
const SOMEONE_ELSE = 409;
const SIGNED_OUT = 401;
const LATE_AFTER_MS = 2000; // a later event carries its time; else the server's clock tells it

export class Outbox {
  /** @type {QueuedEvent[]} */
  #queue = [];
  #isSending = false;
  #sent = 0;

  /** @param {OutboxOptions} options */
  constructor(options) {
    const { post, listener, enter, onResult, id, load = () => [], save, forget, now = Date.now, wait = sleep } = options;
    this.post = post;
    this.listener = listener;
    this.enter = enter ?? (async () => false);
    this.onResult = onResult;
    this.id = id;
    this.save = save;
    this.forget = forget;
    this.#queue = load().slice(-MAX_QUEUED_EVENTS);
    this.now = now;
    this.wait = wait;
  }

  /** @param {object} event queued and sent; dropped where the queue is full */
  send(event) {
    const listener = this.listener();
    const owner = listener ? { listener } : {}; // else it is for who comes first
    const queued = { event: { event_id: this.id(), ...owner, ...event }, queuedAt: this.now(), number: (this.#sent += 1) };
    if (this.#queue.length < MAX_QUEUED_EVENTS) {
      this.#queue.push(queued);
      if (listener) this.save?.(queued); // without a listener it could go out under another's name
    }
    return this.flush();
  }

  /** @param {string} listener whose events are dropped: their data were deleted */
  discard(listener) {
    for (const queued of this.#queue) if (queued.event.listener === listener) this.forget?.(queued);
    this.#queue = this.#queue.filter(({ event }) => event.listener !== listener);
  }

  /** Drops what was done while there was no listener: none has come. */
  discardUnowned() {
    this.#queue = this.#queue.filter(({ event }) => event.listener !== undefined);
  }

  /**
   * What waits for a guest is for the listener whose name they have chosen.
   * @param {string | null} guest
   * @param {string | null} listener
   */
  handOver(guest, listener) {
    for (const queued of this.#queue) {
      if (guest === null || listener === null || queued.event.listener !== guest) continue;
      queued.event.listener = listener;
      this.save?.(queued);
    }
  }

  /** Sends what may go out now; what fails for a reason that passes is repeated. */
  async flush() {
    if (this.#isSending) return;
    this.#isSending = true;
    const unowned = this.listener() === null && this.#queue.find(({ event }) => event.listener === undefined);
    if (unowned) await this.enter(unowned.event);
    for (let next = this.#next(); next; next = this.#next()) {
      const isLate = this.now() - next.queuedAt > LATE_AFTER_MS;
      const time = isLate ? { occurred_at: new Date(next.queuedAt).toISOString() } : {};
      const result = await this.post({ ...next.event, ...time });
      const isToRepeat = isTemporary(result.status) || result.status === SOMEONE_ELSE;
      const isSignedOut = result.status === SIGNED_OUT && typeof next.event.listener === "string"; // it waits for them
      if (!isToRepeat && !isSignedOut) {
        this.#queue = this.#queue.filter((queued) => queued !== next);
        this.forget?.(next);
      }
      this.onResult(result, next.event);
      if (isSignedOut) break;
      if (isToRepeat) await this.wait(RETRY_MS);
    }
    this.#isSending = false;
  }

  /** The first event of the current listener; what was done before there was one is theirs. */
  #next() {
    const listener = this.listener();
    if (!listener) return undefined;
    for (const queued of this.#queue) {
      if (queued.event.listener !== undefined) continue;
      queued.event.listener = listener;
      this.save?.(queued);
    }
    return this.#queue.find(({ event }) => event.listener === listener);
  }
}

/** A random UUID. crypto.randomUUID exists on HTTPS and localhost only; the player may be served to a home network. */
export function uuid() {
  if ("randomUUID" in crypto) return crypto.randomUUID();
  const bytes = /** @type {Crypto} */ (crypto).getRandomValues(new Uint8Array(16));
  bytes.set([(Number(bytes[6]) & 0x0f) | 0x40], 6);
  bytes.set([(Number(bytes[8]) & 0x3f) | 0x80], 8);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
