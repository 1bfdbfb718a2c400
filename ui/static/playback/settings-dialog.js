// The dialog of the playback settings, and the menu of the sleep timer.

import { createDialog, required, requiredInput } from "../page/dom.js";
import { openMenu } from "../page/menu.js";
import { toast } from "../page/messages.js";
import { MAX_CROSSFADE_S } from "./settings.js";

const MARKUP = `
  <h2 id="playback-dialog-head">Playback</h2>
  <label for="replay-gain">Even out the volume <small>By the ReplayGain values in the files' tags.</small></label>
  <select id="replay-gain">
    <option value="track">Each track equally loud</option>
    <option value="album">Each album equally loud</option>
    <option value="off">Off</option>
  </select>
  <label for="crossfade">Crossfade <output id="crossfade-value" for="crossfade"></output></label>
  <input id="crossfade" type="range" min="0" max="${MAX_CROSSFADE_S}" step="1">
  <label for="smaller" class="check"><input id="smaller" type="checkbox"> Save data
    <small>FLAC, WAV and AIFF are sent as MP3, for a phone.</small></label>
  <div class="choices"><button type="button" class="pill primary" data-close>Done</button></div>`;

const SLEEP_MINUTES = [15, 30, 45, 60];

/** @param {import("./settings.js").PlaybackSettings} settings */
export function createSettingsDialog(settings) {
  createDialog("playback-dialog", "playback-dialog-head", MARKUP);
  const gain = required("#replay-gain", HTMLSelectElement);
  const [crossfade, smaller] = [requiredInput("#crossfade"), requiredInput("#smaller")];
  const showCrossfade = () => {
    const text = Number(crossfade.value) ? `${crossfade.value} s` : "off";
    required("#crossfade-value").textContent = text;
    crossfade.setAttribute("aria-valuetext", text);
  };
  const show = () => {
    const { replayGain, crossfadeS, isSmaller } = settings.values;
    gain.value = replayGain;
    crossfade.value = String(crossfadeS);
    smaller.checked = isSmaller;
    showCrossfade();
  };
  gain.addEventListener("change", () => {
    settings.change({ replayGain: /** @type {import("./settings.js").GainMode} */ (gain.value) });
  });
  crossfade.addEventListener("input", showCrossfade);
  crossfade.addEventListener("change", () => settings.change({ crossfadeS: Number(crossfade.value) }));
  smaller.addEventListener("change", () => settings.change({ isSmaller: smaller.checked }));
  settings.observers.push(show);
  show();
}

/** Opens the dialog of the playback settings. */
export function openPlaybackSettings() {
  required("#playback-dialog", HTMLDialogElement).showModal();
}

/**
 * @param {HTMLElement} button
 * @param {import("./player.js").Player} player
 */
export function openSleepMenu(button, player) {
  const item = (/** @type {string} */ label, /** @type {number | "track" | null} */ setting) => ({
    label,
    isChecked: player.sleepTimer.setting === setting,
    action: () => {
      player.sleepTimer.set(setting);
      toast(setting === null ? "Sleep timer is off." : `Playback ends ${setting === "track" ? "with this track" : `in ${setting} minutes`}.`);
    },
  });
  const times = SLEEP_MINUTES.map((minutes) => item(`${minutes} minutes`, minutes));
  openMenu(button, [...times, item("End of track", "track"), item("Off", null)], "Sleep timer");
}
