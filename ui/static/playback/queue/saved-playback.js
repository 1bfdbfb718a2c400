// What a reload keeps: the volume, and for each listener track, position, queue and modes.

import { forget, loadJson, loadText, saveJson, saveText } from "../../storage.js";

const DEFAULT_VOLUME = 0.8;

/** The volume of the last visit, from 0 to 1. */
export function loadVolume() {
  const volume = Number.parseFloat(loadText("volume") ?? "");
  return volume >= 0 && volume <= 1 ? volume : DEFAULT_VOLUME;
}

/** @param {number} volume */
export const saveVolume = (volume) => saveText("volume", String(volume));

/**
 * What is kept of playback.
 * @param {import("../player.js").Player} player
 * @returns {import("./queue-wire.js").Playback}
 */
export const playbackOf = ({ queue, track, positionMs }) => ({ queue: queue.state(), track: track && { ...track, positionMs } });

/** @param {string | null} listener */
const nameFor = (listener) => `player.${listener ?? ""}`;

/**
 * @param {string | null} listener
 * @param {import("../player.js").Player} player
 * @param {boolean} [isOnServer] whether the server has all of it
 */
export function savePlayback(listener, player, isOnServer = false) {
  saveJson(nameFor(listener), { ...playbackOf(player), isOnServer });
}

/** @param {string} listener whose data were deleted */
export const forgetPlayback = (listener) => forget(nameFor(listener));

/**
 * Restores the queue of a listener, and their track where none is loaded. What cannot be read is deleted.
 * @param {string | null} listener
 * @param {import("../player.js").Player} player
 */
export function restorePlayback(listener, player) {
  restore(listener, ({ track, queue }) => {
    if (queue) player.queue.restore(queue);
    if (track && !player.track) player.load(track, track.positionMs ?? 0);
  });
}

/**
 * Another listener has come: their own queue and track take the place of those of the one before. What somebody without a
 * name has queued becomes theirs, and what plays goes on.
 * @param {string | null} before the listener before; null: nobody was chosen
 * @param {string | null} listener
 * @param {import("../player.js").Player} player
 * @returns {boolean} whether the server may lack some of what is in place now
 */
export function switchPlayback(before, listener, player) {
  const isAnybodys = before === null && (player.track !== null || player.queue.items.length + player.queue.list.length > 0);
  const { items, list, context, listPlayed, order } = player.queue.state();
  let hasChanges = isAnybodys;
  if (isAnybodys) forget(nameFor(null));
  else player.queue.restore();
  if (before !== null) player.stopAttributing();
  if (!isAnybodys) player.unload();
  restore(listener, ({ track, queue, isOnServer }) => {
    const own = { ...queue, items: [...(isAnybodys ? items : []), ...(queue?.items ?? [])] };
    if (queue || isAnybodys) player.queue.restore(isAnybodys && context ? { ...own, list, context, listPlayed, order } : own);
    if (isAnybodys && player.track) player.attributePlayback();
    else if (track) player.load(track, track.positionMs ?? 0);
    hasChanges ||= Boolean(queue || track) && !isOnServer;
  });
  return hasChanges;
}

/**
 * @param {string | null} listener
 * @param {(saved: { track?: any, queue?: any, isOnServer?: boolean }) => void} use what it cannot use is deleted
 */
function restore(listener, use) {
  try {
    use(loadJson(nameFor(listener)) ?? {});
  } catch {
    forget(nameFor(listener));
  }
}
