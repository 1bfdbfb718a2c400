// Keeps queue, track and modes of whoever listens: in this browser at once, on the server in a moment.

import { currentListener } from "../../account/listener.js";
import { get, post } from "../../api.js";
import { subscribe } from "../../push.js";
import { QueueSync } from "./queue-sync.js";
import { playbackOf, restorePlayback, savePlayback, switchPlayback } from "./saved-playback.js";

/** @type {import("../../api.js").Failure} no request without a listener: a later one finds the next, or the same again */
const SESSION_ENDS = { ok: false, status: 0, error: "" };

export class KeptPlayback {
  /** @type {string | null | undefined} whose queue and track these are; undefined while listeners are switched */
  #owner = null;

  /**
   * @param {import("../player.js").Player} player
   * @param {string} device tells this page's changes from others'
   */
  constructor(player, device) {
    this.player = player;
    this.sync = new QueueSync({
      get: async () => (currentListener() ? get("/queue") : SESSION_ENDS),
      post: async (body) => (currentListener() ? post("/queue", body) : SESSION_ENDS),
      current: () => playbackOf(player),
      adopt: (playback) => player.adopt(playback),
      onSaved: () => this.#save(),
      onSettings: (stored) => player.settings.show(stored),
      device,
    });
    subscribe("queue", () => this.sync.pull());
  }

  /** Queue, track or position have changed. */
  change() {
    if (this.#owner === undefined) return;
    this.#save();
    this.sync.change();
  }

  /** Saves on the server what it lacks. */
  flush() {
    return this.sync.flush();
  }

  /**
   * Another listener has come, whose own queue and track take the place of these.
   * @param {string | null} before
   * @param {string | null} listener
   */
  switchTo(before, listener) {
    const { player } = this;
    if (player.track || player.queue.items.length || player.queue.list.length) savePlayback(before, player);
    this.#owner = undefined; // nothing is saved until the new listener's own queue is in place
    const hasChanges = switchPlayback(before, listener, player);
    this.#owner = listener;
    this.sync.show(listener, hasChanges);
  }

  /** Nobody was chosen yet: what this browser has kept of them is put in place. */
  restoreNobodys() {
    restorePlayback(null, this.player);
  }

  #save() {
    if (this.#owner !== undefined) savePlayback(this.#owner, this.player, this.sync.isSaved);
  }
}
