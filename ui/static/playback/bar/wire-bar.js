// What the bar's buttons and sliders do.

const BUTTONS_OF_TRACK = /** @type {const} */ (["like", "dislike", "similar", "menu"]);

/**
 * @param {import("../player.js").Player} player
 * @param {import("../player.js").PlayerOptions["onButton"]} onButton
 */
export function wireBar(player, onButton) {
  const { bar, audio, queue } = player;
  bar.on("play-pause", "click", () => player.toggle());
  bar.on("next", "click", () => player.next());
  bar.on("previous", "click", () => player.previous());
  bar.on("seek", "input", () => {
    if (player.durationMs) audio.currentTime = (bar.seekShare * player.durationMs) / 1000;
    player.showTime();
  });
  bar.on("volume", "input", () => Object.assign(audio, { volume: bar.volume, muted: false }));
  bar.on("mute", "click", () => (audio.muted = !audio.muted));
  bar.on("shuffle", "click", () => queue.toggleShuffle());
  bar.on("repeat", "click", () => queue.cycleRepeat());
  for (const action of BUTTONS_OF_TRACK) {
    bar.on(`${action}-now`, "click", () => player.track && onButton(action, player.track, bar.part(`${action}-now`)));
  }
}
