// What a reload keeps: the volume, and for each listener track, position, queue and modes.

import { forget, loadJson, loadText, saveJson, saveText } from "../storage.js";

const DEFAULT_VOLUME = 0.8;

/** The volume of the last visit, from 0 to 1. */
export function loadVolume() {
  const volume = Number.parseFloat(loadText("volume") ?? "");
  return volume >= 0 && volume <= 1 ? volume : DEFAULT_VOLUME;
}

/** @param {number} volume */
export const saveVolume = (volume) => saveText("volume", String(volume));

/** @param {string | null} listener */
const nameFor = (listener) => `player.${listener ?? ""}`;

/**
 * @param {string | null} listener
 * @param {import("./player.js").Player} player
 */
export function savePlayback(listener, player) {
  const track = player.track && { ...player.track, positionMs: player.positionMs };
  saveJson(nameFor(listener), { track, queue: player.queue.state() });
}

/**
 * Restores the listener's queue, and their track where none is loaded. What cannot be read is deleted.
 * @param {string | null} listener
 * @param {import("./player.js").Player} player
 */
export function restorePlayback(listener, player) {
  try {
    const { track, queue } = loadJson(nameFor(listener)) ?? {};
    if (queue) player.queue.restore(queue);
    if (track && !player.track) player.load(track, track.positionMs ?? 0);
  } catch {
    forget(nameFor(listener));
  }
}
