// Seeking and volume in steps, as keys change them.

/**
 * @param {import("./player.js").Player} player
 * @param {number} seconds forward; negative: back
 */
export function seekBy(player, seconds) {
  const { durationMs, positionMs } = player;
  if (durationMs) player.seek(Math.max(0, Math.min(durationMs, positionMs + seconds * 1000)));
}

/**
 * @param {import("./player.js").Player} player
 * @param {number} change of the volume, of which 1 is all
 */
export function changeVolume(player, change) {
  player.setVolume({ volume: Math.max(0, Math.min(1, player.sound.pair.volume + change)) });
}
