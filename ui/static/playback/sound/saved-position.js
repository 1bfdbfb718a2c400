// Saves where the listener is in a track on the server, for "Continue listening" here or on another device.

import { post } from "../../api.js";

const SAVE_MS = 10_000;
const MIN_POSITION_MS = 1000;

export class SavedPosition {
  #savedAt = 0;

  /**
   * @param {() => { track: import("../../track.js").Track | null, positionMs: number, durationMs: number | null }} current
   * @param {() => void} onSaved
   */
  constructor(current, onSaved) {
    this.current = current;
    this.onSaved = onSaved;
  }

  /** A track starts: its beginning needs no saving. */
  start() {
    this.#savedAt = Date.now();
  }

  /** Time goes on: saves the position now and then. */
  tick() {
    if (Date.now() - this.#savedAt > SAVE_MS) this.save();
  }

  save() {
    const { track, positionMs, durationMs } = this.current();
    if (!track || positionMs < MIN_POSITION_MS) return;
    this.#savedAt = Date.now();
    post("/place", { track_id: track.id, position_ms: positionMs, duration_ms: durationMs });
    this.onSaved();
  }
}
