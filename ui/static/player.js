// The bar at the bottom and the one audio element. It stands outside of what Gradio renders, so nothing redrawn stops it.
//
// A start is one loading of one track. Each start says `play` once, when sound really comes, and then at most one of
// `complete` (heard up to completeShare) and `skip` (left before that).

import { send } from "./events.js";

const RESTART_S = 3; // "previous" within this many seconds goes back a track, later to the beginning
const MAX_FAILURES = 5;

const ICONS = {
  play: '<path d="M8 5.1v13.8L19 12z"/>',
  pause: '<path d="M7 5h4v14H7zm6 0h4v14h-4z"/>',
  next: '<path d="M6 5.5v13L15 12zM16 5.5h2.5v13H16z"/>',
  previous: '<path d="M18 5.5v13L9 12zM5.5 5.5H8v13H5.5z"/>',
  volume: '<path d="M4 9v6h4l5 4V5L8 9zm11.5-.9v7.8a4.5 4.5 0 0 0 0-7.8z"/>',
  muted: '<path d="M4 9v6h4l5 4V5L8 9zm11.2.6 1.4-1.4 2 2 2-2L22 9.6l-2 2 2 2-1.4 1.4-2-2-2 2-1.4-1.4 2-2z"/>',
  like: '<path d="M12 20.6 4.3 13a5 5 0 0 1 7.1-7.1l.6.6.6-.6a5 5 0 0 1 7.1 7.1z"/>',
  dislike: '<path d="M17 3h3v11h-3zM4.5 14.5A1.5 1.5 0 0 1 3 13l2-8.2A2.3 2.3 0 0 1 7.2 3H15v11l-4 7a2 2 0 0 1-2-2v-4.5z"/>',
  similar: '<path d="M4 6h10v2H4zm0 5h10v2H4zm0 5h6v2H4zm12-3h2v3h3v2h-3v3h-2v-3h-3v-2h3z"/>',
};
const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">${ICONS[name]}</svg>`;
const button = (id, name, label, more = "") =>
  `<button type="button" id="${id}" aria-label="${label}" title="${label}" ${more}>${icon(name)}</button>`;

// Fixed markup: what tags say is set by textContent below.
const BAR = `
  <div class="now">
    <img id="now-cover" alt="" width="56" height="56" hidden>
    <div class="now-words" aria-live="polite">
      <p id="now-title">Nothing is playing</p>
      <p id="now-artist">Choose a track</p>
      <p id="now-licence"></p>
    </div>
  </div>
  <div class="transport">
    <div class="buttons">
      ${button("previous", "previous", "Previous")}
      ${button("play-pause", "play", "Play")}
      ${button("next", "next", "Next")}
    </div>
    <div class="progress">
      <span id="time-now">0:00</span>
      <input id="seek" type="range" min="0" max="1000" value="0" step="1" aria-label="Position" disabled>
      <span id="time-all">0:00</span>
    </div>
  </div>
  <div class="side">
    ${button("like-now", "like", "Like", 'aria-pressed="false" disabled')}
    ${button("dislike-now", "dislike", "Not for me", 'aria-pressed="false" disabled')}
    ${button("similar-now", "similar", "More like this", "disabled")}
    <span class="loudness">
      ${button("mute", "volume", "Mute", 'aria-pressed="false"')}
      <input id="volume" type="range" min="0" max="100" value="80" aria-label="Volume">
    </span>
  </div>
  <audio id="audio" preload="auto"></audio>`;

export class Player {
  /** upcoming: () => the track to play next, or null;  react: (action, track) when a button of the bar is used;
   *  changed: () when another track plays, or playing starts or stops;  tell: (message) */
  constructor({ completeShare, upcoming, react, changed, tell }) {
    Object.assign(this, { completeShare, upcoming, react, changed, tell });
    this.track = null;
    this.history = [];
    this.failures = 0;
    this.bar = document.createElement("section");
    this.bar.id = "player";
    this.bar.setAttribute("aria-label", "Player");
    this.bar.innerHTML = BAR;
    document.body.append(this.bar);
    this.audio = this.bar.querySelector("#audio");
    this.audio.volume = 0.8;
    this.#wire();
  }

  get isPlaying() {
    return this.track !== null && !this.audio.paused;
  }

  get positionMs() {
    return Math.round(this.audio.currentTime * 1000) || 0;
  }

  get durationMs() {
    const length = this.audio.duration;
    return Number.isFinite(length) && length > 0 ? Math.round(length * 1000) : this.track?.durationMs || null;
  }

  /** Starts a track, or pauses and resumes the one that is on. */
  play(track) {
    if (this.track?.id === track.id && !this.audio.error && !this.audio.ended) this.toggle();
    else this.#start(track);
  }

  toggle() {
    if (!this.track) this.next();
    else if (this.audio.paused) this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  next() {
    const track = this.upcoming();
    if (track) this.#start(track);
    else this.tell("Nothing to play next yet.");
  }

  previous() {
    if (!this.history.length || this.audio.currentTime > RESTART_S) this.audio.currentTime = 0;
    else this.#start(this.history.pop(), true);
  }

  /** Ids of the tracks that have been on, the current one last. */
  get heard() {
    return [...this.history, ...(this.track ? [this.track] : [])].map((track) => track.id);
  }

  #start(track, isGoingBack = false) {
    this.#leave();
    if (this.track && !isGoingBack) this.history.push(this.track);
    this.track = track;
    this.hasPlayed = this.hasCompleted = false;
    this.audio.src = `/audio/${encodeURIComponent(track.id)}`;
    this.audio.play().catch((error) => {
      // AbortError: another track was chosen meanwhile. Missing or broken files come as an "error" event.
      if (error.name === "NotAllowedError") this.tell("The browser wants a click on play first.");
    });
    this.#showTrack();
    this.changed();
  }

  /** Says `skip` for the track that is left, if it was heard at all and not to the end. */
  #leave() {
    if (this.track && this.hasPlayed && !this.hasCompleted) this.#say("skip");
    this.hasPlayed = false;
  }

  #say(action) {
    send({
      track_id: this.track.id,
      action,
      position_ms: this.positionMs,
      duration_ms: this.durationMs,
      source: this.track.source,
      ...(this.track.modelVersion && { model_version: this.track.modelVersion }),
    });
  }

  #wire() {
    const on = (id, event, action) => this.bar.querySelector(`#${id}`).addEventListener(event, action);
    on("play-pause", "click", () => this.toggle());
    on("next", "click", () => this.next());
    on("previous", "click", () => this.previous());
    on("seek", "input", (event) => {
      if (this.durationMs) this.audio.currentTime = (event.target.value / 1000) * (this.durationMs / 1000);
      this.#showTime();
    });
    on("volume", "input", (event) => {
      this.audio.volume = event.target.value / 100;
      this.audio.muted = false;
    });
    on("mute", "click", () => (this.audio.muted = !this.audio.muted));
    for (const action of ["like", "dislike", "similar"]) on(`${action}-now`, "click", () => this.track && this.react(action, this.track));

    const audio = this.audio;
    audio.addEventListener("playing", () => {
      this.failures = 0;
      if (this.track && !this.hasPlayed && !this.hasCompleted) {
        this.hasPlayed = true;
        this.#say("play");
      }
    });
    audio.addEventListener("timeupdate", () => {
      if (this.hasPlayed && !this.hasCompleted && this.positionMs >= this.completeShare * (this.durationMs ?? Infinity)) {
        this.hasCompleted = true;
        this.#say("complete");
      }
      this.#showTime();
    });
    audio.addEventListener("ended", () => this.next());
    audio.addEventListener("error", () => this.#failed());
    audio.addEventListener("volumechange", () => this.#showVolume());
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#showState());
    for (const event of ["durationchange", "seeked"]) audio.addEventListener(event, () => this.#showTime());
    for (const [action, handler] of [
      ["play", () => this.toggle()],
      ["pause", () => this.toggle()],
      ["nexttrack", () => this.next()],
      ["previoustrack", () => this.previous()],
    ])
      navigator.mediaSession?.setActionHandler(action, handler);
  }

  #failed() {
    if (!this.track || !this.audio.getAttribute("src")) return;
    this.tell(`“${this.track.title}” cannot be played.`);
    this.failures += 1;
    const failed = this.track;
    if (this.failures < MAX_FAILURES) setTimeout(() => this.track === failed && this.next(), 1200);
    this.#showState();
  }

  #showTrack() {
    const { title, artist, licence, id } = this.track;
    const set = (part, text) => {
      const element = this.bar.querySelector(`#now-${part}`);
      element.textContent = text;
      element.title = text;
    };
    set("title", title);
    set("artist", artist);
    set("licence", licence || "Licence not stated");
    const cover = this.bar.querySelector("#now-cover");
    cover.src = `/cover/${encodeURIComponent(id)}`;
    cover.hidden = false;
    for (const element of this.bar.querySelectorAll(":disabled")) element.disabled = false;
    document.title = `${title} · ${artist} · Overtone`;
    if (navigator.mediaSession)
      navigator.mediaSession.metadata = new MediaMetadata({ title, artist, artwork: [{ src: cover.src, type: "image/svg+xml" }] });
    this.#showTime();
  }

  #showState() {
    const toggle = this.bar.querySelector("#play-pause");
    const name = this.isPlaying ? "pause" : "play";
    toggle.innerHTML = icon(name);
    toggle.setAttribute("aria-label", this.isPlaying ? "Pause" : "Play");
    toggle.title = this.isPlaying ? "Pause" : "Play";
    this.bar.classList.toggle("is-playing", this.isPlaying);
    this.changed();
  }

  #showTime() {
    const all = this.durationMs;
    const share = all ? Math.min(1, this.positionMs / all) : 0;
    const seek = this.bar.querySelector("#seek");
    seek.value = String(Math.round(share * 1000));
    seek.style.setProperty("--share", `${share * 100}%`);
    seek.setAttribute("aria-valuetext", `${clock(this.positionMs)} of ${clock(all)}`);
    this.bar.querySelector("#time-now").textContent = clock(this.positionMs);
    this.bar.querySelector("#time-all").textContent = clock(all);
  }

  #showVolume() {
    const mute = this.bar.querySelector("#mute");
    mute.innerHTML = icon(this.audio.muted || this.audio.volume === 0 ? "muted" : "volume");
    mute.setAttribute("aria-pressed", String(this.audio.muted));
    const volume = this.bar.querySelector("#volume");
    volume.style.setProperty("--share", `${this.audio.muted ? 0 : this.audio.volume * 100}%`);
  }
}

function clock(milliseconds) {
  const seconds = Math.floor((milliseconds || 0) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
