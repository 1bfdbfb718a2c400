// Ends playback after some minutes, or with the track. Pure logic.

export class SleepTimer {
  #timer = 0;
  /** @type {number | "track" | null} minutes, or the end of the track; null: off */
  setting = null;

  /** @param {() => void} onEnd called when the minutes are over */
  constructor(onEnd) {
    this.onEnd = onEnd;
  }

  /** @param {number | "track" | null} setting */
  set(setting) {
    clearTimeout(this.#timer);
    this.setting = setting;
    if (typeof setting === "number") {
      this.#timer = setTimeout(() => {
        this.setting = null;
        this.onEnd();
      }, setting * 60_000);
    }
  }

  /** Whether playback ends with this track, which has ended; the timer is off then. */
  takeEndOfTrack() {
    if (this.setting !== "track") return false;
    this.setting = null;
    return true;
  }
}
