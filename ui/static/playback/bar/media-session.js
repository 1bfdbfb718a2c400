// The system's media keys and controls, as far as the browser has them.

import { seekBy } from "../by-keys.js";

/** @typedef {import("../../track.js").Track} Track */

const SEEK_STEP_S = 10; // where the system names none

/** @param {import("../player.js").Player} player */
export function wireMediaSession(player) {
  /** @type {Partial<Record<MediaSessionAction, MediaSessionActionHandler>>} */
  const handlers = {
    play: () => player.audio.paused && player.toggle(),
    pause: () => player.sound.pause(),
    stop: () => player.sound.pause(),
    nexttrack: () => player.next(),
    previoustrack: () => player.previous(),
    seekto: ({ seekTime }) => seekBy(player, (seekTime ?? 0) - player.positionMs / 1000),
    seekforward: ({ seekOffset }) => seekBy(player, seekOffset || SEEK_STEP_S),
    seekbackward: ({ seekOffset }) => seekBy(player, -(seekOffset || SEEK_STEP_S)),
  };
  for (const [action, handler] of Object.entries(handlers)) {
    try {
      navigator.mediaSession?.setActionHandler(/** @type {MediaSessionAction} */ (action), handler);
    } catch {
      // a browser that does not have this key
    }
  }
}

/**
 * @param {Track} track
 * @param {string} cover address of an SVG
 */
export function showMediaTrack({ title, artist }, cover) {
  if (!navigator.mediaSession) return;
  const artwork = [{ src: cover, type: "image/svg+xml" }];
  navigator.mediaSession.metadata = new MediaMetadata({ title, artist, artwork });
}

/** @param {boolean} isPlaying */
export function showMediaState(isPlaying) {
  if (navigator.mediaSession) navigator.mediaSession.playbackState = isPlaying ? "playing" : "paused";
}

/**
 * @param {number} share of the track, from 0 to 1: a position beyond the duration would be an error
 * @param {number | null} durationMs
 */
export function showMediaPosition(share, durationMs) {
  const duration = (durationMs ?? 0) / 1000;
  if (duration > 0) navigator.mediaSession?.setPositionState?.({ duration, position: share * duration, playbackRate: 1 });
}
