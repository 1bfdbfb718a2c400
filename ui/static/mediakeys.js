// The system's media keys and controls, as far as the browser knows them.

export function wireMediaKeys(player) {
  const { audio } = player;
  const seekTo = (seconds) => (audio.currentTime = Math.max(0, Math.min(seconds, audio.duration || 0)));
  const handlers = {
    play: () => audio.paused && player.toggle(),
    pause: () => audio.pause(),
    stop: () => audio.pause(),
    nexttrack: () => player.next(),
    previoustrack: () => player.previous(),
    seekto: ({ seekTime }) => seekTo(seekTime),
    seekforward: ({ seekOffset }) => seekTo(audio.currentTime + (seekOffset || 10)),
    seekbackward: ({ seekOffset }) => seekTo(audio.currentTime - (seekOffset || 10)),
  };
  for (const [action, handler] of Object.entries(handlers))
    try {
      navigator.mediaSession?.setActionHandler(action, handler);
    } catch {
      // a browser that does not know this key
    }
}
