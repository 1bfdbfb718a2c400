// What the bar's buttons and sliders do.

const BUTTONS_OF_TRACK = /** @type {const} */ (["like", "dislike", "similar", "menu"]);

/**
 * @param {import("../player.js").Player} player
 * @param {import("../player.js").PlayerOptions["onButton"]} onButton
 */
export function wireBar(player, onButton) {
  const { bar, queue } = player;
  bar.on("play-pause", "click", () => player.toggle());
  bar.on("next", "click", () => player.next());
  bar.on("previous", "click", () => player.previous());
  bar.on("seek", "input", () => {
    if (player.durationMs) player.seek(bar.seekShare * player.durationMs);
    else player.showTime();
  });
  bar.on("volume", "input", () => player.setVolume({ volume: bar.volume }));
  bar.on("mute", "click", () => player.setVolume({ isMuted: !player.sound.pair.muted }));
  bar.on("shuffle", "click", () => queue.toggleShuffle());
  bar.on("repeat", "click", () => queue.cycleRepeat());
  for (const action of BUTTONS_OF_TRACK) {
    bar.on(`${action}-now`, "click", () => player.track && onButton(action, player.track, bar.part(`${action}-now`)));
  }
}
