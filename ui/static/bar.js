// The bar at the bottom as it is seen: its markup, and what it shows of the track, the time and the modes. On a phone it opens
// to a sheet over the whole page, since most of its buttons have no room in it.

import { pathTo } from "./address.js";
import { clock, licenceOf } from "./dom.js";

const line = (d) => `<path d="${d}" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round"/>`;
const ICONS = {
  play: '<path d="M8 5.1v13.8L19 12z"/>',
  pause: '<path d="M7 5h4v14H7zm6 0h4v14h-4z"/>',
  next: '<path d="M6 5.5v13L15 12zM16 5.5h2.5v13H16z"/>',
  previous: '<path d="M18 5.5v13L9 12zM5.5 5.5H8v13H5.5z"/>',
  volume: '<path d="M4 9v6h4l5 4V5L8 9zm11.5-.9v7.8a4.5 4.5 0 0 0 0-7.8z"/>',
  muted: '<path d="M4 9v6h4l5 4V5L8 9zm11.2.6 1.4-1.4 2 2 2-2L22 9.6l-2 2 2 2-1.4 1.4-2-2-2 2-1.4-1.4 2-2z"/>',
  like: '<path d="M12 20.6 4.3 13a5 5 0 0 1 7.1-7.1l.6.6.6-.6a5 5 0 0 1 7.1 7.1z"/>',
  dislike: '<path d="M17 3h3v11h-3zM4.5 14.5A1.5 1.5 0 0 1 3 13l2-8.2A2.3 2.3 0 0 1 7.2 3H15v11l-4 7a2 2 0 0 1-2-2v-4.5z"/>',
  similar: line("M3 8.500q3-4 6 0t6 0 6 0M3 15.500q3-4 6 0t6 0 6 0"),
  shuffle: line("M4 7h3.5l8 10H20m-3-3 3 3-3 3M4 17h3.500l2.300-2.900M13.500 9.500 15.500 7H20m-3-3 3 3-3 3"),
  repeat: line("M17 2l3 3-3 3M20 5H8a4 4 0 0 0-4 4v2m3 11-3-3 3-3m-3 3h12a4 4 0 0 0 4-4v-2"),
  queue: '<path d="M4 6h16v2H4zm0 5h16v2H4zm0 5h10v2H4z"/>',
  close: line("M6.500 9 12 14.500 17.500 9"),
  menu: '<path d="M5 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4z"/>',
};
const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">${ICONS[name]}</svg>`;
const button = (id, name, label, more = "") =>
  `<button type="button" id="${id}" aria-label="${label}" title="${label}" ${more}>${icon(name)}</button>`;

// Fixed markup: what tags say is set by textContent below.
const MARKUP = `
  ${button("sheet-close", "close", "Close")}
  <div class="now">
    <button type="button" id="sheet-open" aria-label="Show the player" aria-expanded="false" hidden></button>
    <img id="now-cover" alt="" width="56" height="56" hidden>
    <div class="now-words" aria-live="polite">
      <p><a id="now-title">Nothing is playing</a></p>
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
    ${button("dislike-now", "dislike", "Not for me", 'aria-pressed="false" disabled')}
    ${button("similar-now", "similar", "What sounds like it", "disabled")}
    ${button("menu-now", "menu", "More", 'aria-haspopup="menu" aria-expanded="false" disabled')}
    ${button("queue-toggle", "queue", "Queue", 'aria-expanded="false" aria-controls="queue-panel"')}
    <span class="loudness">
      ${button("mute", "volume", "Mute", 'aria-pressed="false"')}
      <input id="volume" type="range" min="0" max="100" value="80" aria-label="Volume">
    </span>
  </div>
  <audio id="audio" preload="auto"></audio>`;

export class Bar {
  constructor() {
    this.element = document.createElement("section");
    this.element.id = "player";
    this.element.setAttribute("aria-label", "Player");
    this.element.innerHTML = MARKUP;
    document.body.append(this.element);
    this.on("sheet-open", "click", () => this.openSheet(true));
    this.on("sheet-close", "click", () => this.openSheet(false));
    this.on("now-title", "click", () => this.openSheet(false));
    this.on("similar-now", "click", () => this.openSheet(false));
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.openSheet(false));
    addEventListener("hashchange", () => this.openSheet(false));
    matchMedia("(min-width: 641px)").addEventListener("change", () => this.openSheet(false));
  }

  part(id) {
    return this.element.querySelector(`#${id}`);
  }

  on(id, event, action) {
    this.part(id).addEventListener(event, action);
  }

  get isSheet() {
    return this.element.classList.contains("is-sheet");
  }

  /** On a phone, all of the player over the whole page; elsewhere the bar has room for it, and nothing changes. */
  openSheet(isOpen) {
    if (isOpen === this.isSheet) return;
    this.element.classList.toggle("is-sheet", isOpen);
    document.body.classList.toggle("has-sheet", isOpen);
    document.querySelector("gradio-app").inert = isOpen;
    this.part("sheet-open").setAttribute("aria-expanded", String(isOpen));
    this.part(isOpen ? "sheet-close" : "sheet-open").focus();
  }

  showTrack(track) {
    const { title, artist, id } = track;
    for (const [part, text] of Object.entries({ title, artist }))
      Object.assign(this.part(`now-${part}`), { textContent: text, title: text });
    this.part("now-title").href = `#${pathTo("track", id)}`;
    this.part("now-licence").replaceChildren(licenceOf(track));
    const cover = this.part("now-cover");
    cover.src = pathTo("cover", id);
    cover.hidden = this.part("sheet-open").hidden = false;
    for (const element of this.element.querySelectorAll(":disabled")) element.disabled = false;
    const artwork = [{ src: cover.src, type: "image/svg+xml" }];
    if (navigator.mediaSession) navigator.mediaSession.metadata = new MediaMetadata({ title, artist, artwork });
  }

  showState(isPlaying) {
    const [name, label] = isPlaying ? ["pause", "Pause"] : ["play", "Play"];
    const toggle = this.part("play-pause");
    toggle.innerHTML = icon(name);
    toggle.setAttribute("aria-label", label);
    toggle.title = label;
    if (navigator.mediaSession) navigator.mediaSession.playbackState = isPlaying ? "playing" : "paused";
    this.element.classList.toggle("is-playing", isPlaying);
  }

  showTime(positionMs, durationMs) {
    const share = durationMs ? Math.min(1, positionMs / durationMs) : 0;
    const seek = this.part("seek");
    seek.value = String(Math.round(share * 1000));
    seek.style.setProperty("--share", `${share * 100}%`);
    seek.setAttribute("aria-valuetext", `${clock(positionMs)} of ${clock(durationMs)}`);
    this.part("time-now").textContent = clock(positionMs);
    this.part("time-all").textContent = clock(durationMs);
    // For the system's own controls; a position beyond the length would be an error.
    const duration = durationMs / 1000;
    if (duration > 0) navigator.mediaSession?.setPositionState?.({ duration, position: share * duration, playbackRate: 1 });
    return share;
  }

  /** Shuffle and repeat as the queue has them. */
  showModes({ shuffle, repeat, items }) {
    this.part("shuffle").setAttribute("aria-pressed", String(shuffle));
    const turn = this.part("repeat");
    const label = { off: "Repeat: off", all: "Repeat: the queue", one: "Repeat: this track" }[repeat];
    turn.setAttribute("aria-label", label);
    turn.title = label;
    turn.dataset.repeat = repeat;
    this.part("queue-toggle").dataset.count = items.length || "";
  }

  showVolume({ muted, volume }) {
    const mute = this.part("mute");
    mute.innerHTML = icon(muted || volume === 0 ? "muted" : "volume");
    mute.setAttribute("aria-pressed", String(muted));
    this.part("volume").value = String(Math.round(volume * 100));
    this.part("volume").style.setProperty("--share", `${muted ? 0 : volume * 100}%`);
  }
}
