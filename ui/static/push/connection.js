// One connection to the player's stream of changes (/events-of-mine), kept open: it is made again where it ends, with
// growing pauses, and where nothing, not even a heartbeat, has come for too long. Pure logic.

/** What the server tells of; `alive` is its heartbeat. */
const KINDS = ["list", "mixes", "library", "queue", "status"];
export const FIRST_PAUSE_MS = 500;
export const LONGEST_PAUSE_MS = 10_000;
export const SILENCE_MS = 30_000; // three heartbeats of the server

/** @typedef {Pick<EventSource, "addEventListener" | "close">} Source */

/**
 * @typedef {object} ConnectionOptions
 * @property {() => Source} open
 * @property {(kind: string, data: object) => void} onMessage
 * @property {(isConnected: boolean) => void} onState called when the connection is made, and whenever it is lost or refused
 * @property {(callback: () => void, milliseconds: number) => any} [later]
 * @property {(timer: any) => void} [cancel]
 * @property {() => number} [random] 0 to 1
 */

export class Connection {
  /** @type {Source | null} */
  #source = null;
  #pauseMs = FIRST_PAUSE_MS;
  /** @type {any} until the next attempt, or until silence counts as loss */
  #timer = undefined;

  /** @param {ConnectionOptions} options */
  constructor({ open, onMessage, onState, later, cancel, random = Math.random }) {
    this.open = open;
    this.onMessage = onMessage;
    this.onState = onState;
    this.later = later ?? ((callback, milliseconds) => setTimeout(callback, milliseconds));
    this.cancel = cancel ?? ((timer) => clearTimeout(timer));
    this.random = random;
  }

  /** Connects now, in place of a connection that there is: the session has changed, or the network is back. */
  restart() {
    this.cancel(this.#timer);
    this.#source?.close();
    const source = this.open();
    this.#source = source;
    source.addEventListener("open", () => {
      if (this.#source !== source) return;
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#expectMore();
      this.onState(true);
    });
    source.addEventListener("error", () => {
      if (this.#source === source) this.#lose();
    });
    for (const kind of [...KINDS, "alive"]) {
      source.addEventListener(kind, (event) => {
        if (this.#source !== source) return;
        this.#expectMore();
        if (kind !== "alive") this.onMessage(kind, JSON.parse(event.data));
      });
    }
    this.#expectMore();
  }

  #expectMore() {
    this.cancel(this.#timer);
    this.#timer = this.later(() => this.#lose(), SILENCE_MS);
  }

  // The browser's own reconnection would come all at once to a server that is back, and ends for good at a refusal.
  #lose() {
    this.#source?.close();
    this.#source = null;
    this.cancel(this.#timer);
    this.#timer = this.later(() => this.restart(), this.#pauseMs * (0.75 + this.random() / 2));
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    this.onState(false);
  }
}
