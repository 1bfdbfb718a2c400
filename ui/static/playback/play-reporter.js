// Turns what happens to a track into listening events. Pure logic.
//
// Each start of a track reports `play` once, when sound comes, and then at most one of `complete` (played up to the
// complete share) and `skip` (left before that by "next"; choosing another track says nothing about this one).

/** @typedef {"play" | "skip" | "complete"} PlayAction */

export class PlayReporter {
  /** whether the current start is attributed to a listener: its `play` was reported */
  isAttributed = false;
  /** whether sound came since the track was started */
  wasHeard = false;
  #isComplete = false;

  /**
   * @param {number} completeShare share of its duration from which a track counts as complete, from 0 to 1
   * @param {(action: PlayAction) => void} report
   */
  constructor(completeShare, report) {
    this.completeShare = completeShare;
    this.report = report;
  }

  /**
   * Another track is about to start, or the same one again.
   * @param {boolean} [isSkip] whether the listener has asked for the next one
   */
  leave(isSkip = false) {
    if (isSkip && this.isAttributed && !this.#isComplete) this.report("skip");
    this.isAttributed = false;
  }

  start() {
    this.isAttributed = this.#isComplete = this.wasHeard = false;
  }

  /** Sound came, at first or after a pause. */
  sound() {
    this.wasHeard = true;
    if (this.isAttributed || this.#isComplete) return;
    this.isAttributed = true;
    this.report("play");
  }

  /**
   * @param {number} positionMs
   * @param {number | null} durationMs null where it is not known yet
   */
  progress(positionMs, durationMs) {
    const completeMs = this.completeShare * (durationMs ?? Infinity);
    if (!this.isAttributed || this.#isComplete || positionMs < completeMs) return;
    this.#isComplete = true;
    this.report("complete");
  }

  /** Stops attributing playback: the listener has changed. */
  stopAttributing() {
    this.isAttributed = false;
  }

  /** Attributes what plays already to the listener who has just signed in. */
  attribute() {
    if (this.isAttributed || this.#isComplete) return;
    this.isAttributed = true;
    this.report("play");
  }
}

/**
 * The listening event of a track.
 * @param {PlayAction} action
 * @param {import("../track.js").Track} track
 * @param {number} positionMs
 * @param {number | null} durationMs
 */
export const playEvent = (action, { id, source, modelVersion }, positionMs, durationMs) => ({
  track_id: id,
  action,
  position_ms: positionMs,
  duration_ms: durationMs,
  source,
  ...(modelVersion && { model_version: modelVersion }),
});
