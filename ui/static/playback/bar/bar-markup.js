// The markup of the player's bar and its icons: fixed, nothing from a tag is put into it.

/** @param {string} d */
const stroke = (d) => `<path d="${d}" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"/>`;

const ICONS = {
  play: '<path d="M8 5.1v13.8L19 12z"/>',
  pause: '<path d="M7 5h4v14H7zm6 0h4v14h-4z"/>',
  next: '<path d="M6 5.5v13L15 12zM16 5.5h2.5v13H16z"/>',
  previous: '<path d="M18 5.5v13L9 12zM5.5 5.5H8v13H5.5z"/>',
  volume: '<path d="M4 9v6h4l5 4V5L8 9zm11.5-.9v7.8a4.5 4.5 0 0 0 0-7.8z"/>',
  muted: '<path d="M4 9v6h4l5 4V5L8 9zm11.2.6 1.4-1.4 2 2 2-2L22 9.6l-2 2 2 2-1.4 1.4-2-2-2 2-1.4-1.4 2-2z"/>',
  like: '<path d="M12 20.6 4.3 13a5 5 0 0 1 7.1-7.1l.6.6.6-.6a5 5 0 0 1 7.1 7.1z"/>',
  dislike: '<path d="M17 3h3v11h-3zM4.5 14.5A1.5 1.5 0 0 1 3 13l2-8.2A2.3 2.3 0 0 1 7.2 3H15v11l-4 7a2 2 0 0 1-2-2v-4.5z"/>',
  similar: stroke("M3 8.500q3-4 6 0t6 0 6 0M3 15.500q3-4 6 0t6 0 6 0"),
  shuffle: stroke("M4 7h3.5l8 10H20m-3-3 3 3-3 3M4 17h3.500l2.300-2.900M13.500 9.500 15.500 7H20m-3-3 3 3-3 3"),
  repeat: stroke("M17 2l3 3-3 3M20 5H8a4 4 0 0 0-4 4v2m3 11-3-3 3-3m-3 3h12a4 4 0 0 0 4-4v-2"),
  queue: '<path d="M4 6h16v2H4zm0 5h16v2H4zm0 5h10v2H4z"/>',
  close: stroke("M6.500 9 12 14.500 17.500 9"),
  menu: '<path d="M5 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4z"/>',
};

/** @param {keyof typeof ICONS} name */
export const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">${ICONS[name]}</svg>`;

/**
 * @param {string} id
 * @param {keyof typeof ICONS} iconName
 * @param {string} label
 * @param {string} [attributes]
 */
const button = (id, iconName, label, attributes = "") =>
  `<button type="button" id="${id}" aria-label="${label}" title="${label}" ${attributes}>${icon(iconName)}</button>`;

export const BAR_MARKUP = `
  ${button("sheet-close", "close", "Close")}
  <div class="now">
    <button type="button" id="sheet-open" aria-label="Open player" aria-expanded="false" hidden></button>
    <img id="now-cover" alt="" width="56" height="56" hidden>
    <div class="now-text" aria-live="polite">
      <p><a id="now-title" class="two-part">Nothing is playing</a></p>
      <p id="now-artist">Choose a track</p>
      <p id="now-licence"></p>
    </div>
  </div>
  <div class="transport">
    <div class="buttons">
      ${button("shuffle", "shuffle", "Shuffle", 'aria-pressed="false"')}
      ${button("previous", "previous", "Previous")}
      ${button("play-pause", "play", "Play")}
      ${button("next", "next", "Next")}
      ${button("repeat", "repeat", "Repeat: off")}
    </div>
    <div class="progress">
      <span id="time-now">0:00</span>
      <span class="seekable"><canvas id="waveform" aria-hidden="true"></canvas>
      <input id="seek" type="range" min="0" max="1000" value="0" step="1" aria-label="Position" disabled></span>
      <span id="time-all">0:00</span>
    </div>
  </div>
  <div class="side">
    ${button("like-now", "like", "Like", 'aria-pressed="false" disabled')}
    ${button("dislike-now", "dislike", "Dislike", 'aria-pressed="false" disabled')}
    ${button("similar-now", "similar", "Similar tracks", "disabled")}
    ${button("menu-now", "menu", "More", 'aria-haspopup="menu" aria-expanded="false" disabled')}
    ${button("queue-toggle", "queue", "Queue", 'aria-expanded="false" aria-controls="queue-panel"')}
    <span class="volume">
      ${button("mute", "volume", "Mute", 'aria-pressed="false"')}
      <input id="volume" type="range" min="0" max="100" value="80" aria-label="Volume">
    </span>
  </div>
  <audio id="audio" preload="auto"></audio>`;
