// How the listener wants music to be played: kept for them on the server, and here for somebody without a name.

import { loadJson, saveJson } from "../storage.js";

/** @typedef {import("./sound/replay-gain.js").GainMode} GainMode */
/** @typedef {{ replayGain: GainMode, crossfadeS: number, isSmaller: boolean }} Settings */
/** @typedef {{ replay_gain: GainMode, crossfade_s: number, is_smaller: boolean }} SentSettings */

const STORED_AS = "playback-settings";
export const MAX_CROSSFADE_S = 12;

export class PlaybackSettings {
  /** @type {Settings} */
  #values = { replayGain: "track", crossfadeS: 0, isSmaller: false, ...loadJson(STORED_AS) };

  /** @param {(sent: SentSettings) => void} save sends what the listener has changed */
  constructor(save) {
    this.save = save;
    /** @type {(() => void)[]} */
    this.observers = [];
  }

  get values() {
    return this.#values;
  }

  /** @param {Partial<Settings>} change by the listener */
  change(change) {
    this.#set({ ...this.#values, ...change });
    const { replayGain, crossfadeS, isSmaller } = this.#values;
    this.save({ replay_gain: replayGain, crossfade_s: crossfadeS, is_smaller: isSmaller });
  }

  /** @param {SentSettings} stored by the server */
  show({ replay_gain, crossfade_s, is_smaller }) {
    this.#set({ replayGain: replay_gain, crossfadeS: crossfade_s, isSmaller: is_smaller });
  }

  /** @param {Settings} values */
  #set(values) {
    this.#values = values;
    saveJson(STORED_AS, values);
    for (const observer of this.observers) observer();
  }
}
