// Seeking and volume in steps, as keys change them.

/**
 * @param {import("./player.js").Player} player
 * @param {number} seconds forward; negative: back
 */
export function seekBy({ audio, durationMs }, seconds) {
  if (durationMs) audio.currentTime = Math.max(0, Math.min(durationMs / 1000, audio.currentTime + seconds));
}

/**
 * @param {import("./player.js").Player} player
 * @param {number} change of the volume, of which 1 is all
 */
export function changeVolume(player, change) {
  player.setVolume({ volume: Math.max(0, Math.min(1, player.sound.pair.volume + change)) });
}
