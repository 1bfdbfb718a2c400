// The bar at the bottom and the one audio element. It stands outside of what Gradio renders, so nothing redrawn stops it.
//
// A start is one loading of one track. Each start says `play` once, when sound really comes, and then at most one of
// `complete` (heard up to completeShare) and `skip` (left before that).

import { pathTo } from "./address.js";
import { BAR, icon } from "./bar.js";
import { clock, post } from "./dom.js";
import { send } from "./events.js";
import { Waveform } from "./waveform.js";

const RESTART_S = 3; // "previous" within this many seconds goes back a track, later to the beginning
const MAX_FAILURES = 5;
const PLACE_MS = 10_000; // so often the server is told where the listener is in a track
const HISTORY = 200;

export class Player {
  /** queue: what comes before "For you";  upcoming: () => the track of "For you" to play next, or null
   *  react: (action, track, button) when a button of the bar is used;  changed: () when anything about it is;  tell: (message) */
  constructor({ completeShare, queue, upcoming, react, changed, tell }) {
    Object.assign(this, { completeShare, queue, upcoming, react, changed, tell });
    this.track = null;
    this.history = [];
    this.failures = 0;
    this.bar = document.createElement("section");
    this.bar.id = "player";
    this.bar.setAttribute("aria-label", "Player");
    this.bar.innerHTML = BAR;
    document.body.append(this.bar);
    this.audio = this.bar.querySelector("#audio");
    this.audio.volume = keptVolume();
    this.waveform = new Waveform(this.bar.querySelector("#waveform"));
    this.#wire();
    this.#showVolume();
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

  /** Goes on: along the queue, then along "For you". */
  next() {
    const track = this.queue.take() ?? this.upcoming();
    if (track) this.#start(track);
    else this.tell("Nothing to play next yet.");
  }

  playQueued(place) {
    const track = this.queue.take(place);
    if (track) this.#start(track);
  }

  /** Plays tracks in their order: the first now, the others as the queue. */
  playAll(tracks) {
    if (!tracks.length) return;
    this.queue.fill(tracks);
    this.playQueued(this.queue.shuffle ? null : 0);
  }

  /** Puts a track in place as it was left, without starting it. */
  load(track, positionMs, isToPlay = false) {
    this.#start(track, true, isToPlay);
    const go = () => (this.audio.currentTime = positionMs / 1000);
    this.audio.addEventListener("loadedmetadata", go, { once: true });
  }

  /** Somebody else listens: what is on is nobody's any more. */
  forget() {
    this.hasPlayed = false;
    this.audio.pause();
    this.history = [];
  }

  /** Somebody says who has been listening: what is on is theirs. */
  own() {
    if (this.isPlaying && !this.hasCompleted) {
      this.hasPlayed = true;
      this.#say("play");
    }
  }

  previous() {
    if (!this.history.length || this.audio.currentTime > RESTART_S) this.audio.currentTime = 0;
    else this.#start(this.history.pop(), true);
  }

  /** Ids of the tracks that have been on, the current one last. */
  get heard() {
    return [...this.history, ...(this.track ? [this.track] : [])].map((track) => track.id);
  }

  #start(track, isGoingBack = false, isToPlay = true) {
    this.#leave();
    if (this.track && !isGoingBack) this.history.push(this.track);
    if (this.history.length > HISTORY) this.history.shift();
    this.track = track;
    this.placeAt = Date.now();
    this.hasPlayed = this.hasCompleted = false;
    this.audio.src = pathTo("audio", track.id);
    this.waveform.load(track.id);
    if (isToPlay) this.audio.play().catch((error) => {
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
    on("shuffle", "click", () => this.queue.toggleShuffle());
    on("repeat", "click", () => this.queue.turnRepeat());
    on("menu-now", "click", (event) => this.track && this.react("menu", this.track, event.currentTarget));
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
      if (Date.now() - this.placeAt > PLACE_MS) this.#tellPlace();
      this.#showTime();
    });
    audio.addEventListener("ended", () => (this.queue.repeat === "one" ? this.#start(this.track, true) : this.next()));
    audio.addEventListener("pause", () => !audio.ended && this.#tellPlace());
    addEventListener("pagehide", () => this.#tellPlace());
    audio.addEventListener("error", () => this.#failed());
    audio.addEventListener("volumechange", () => {
      this.#showVolume();
      localStorage.setItem("overtone.volume", String(audio.volume));
    });
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#showState());
    for (const event of ["durationchange", "seeked"]) audio.addEventListener(event, () => this.#showTime());
    const seekTo = (seconds) => (audio.currentTime = Math.max(0, Math.min(seconds, audio.duration || 0)));
    for (const [action, handler] of [
      ["play", () => audio.paused && this.toggle()],
      ["pause", () => audio.pause()],
      ["stop", () => audio.pause()],
      ["nexttrack", () => this.next()],
      ["previoustrack", () => this.previous()],
      ["seekto", ({ seekTime }) => seekTo(seekTime)],
      ["seekforward", ({ seekOffset }) => seekTo(audio.currentTime + (seekOffset || 10))],
      ["seekbackward", ({ seekOffset }) => seekTo(audio.currentTime - (seekOffset || 10))],
    ])
      try {
        navigator.mediaSession?.setActionHandler(action, handler);
      } catch {
        // a browser that does not know this key
      }
  }

  /** For "continue listening", here or on another device. */
  #tellPlace() {
    if (!this.track || !this.hasPlayed || this.positionMs < 1000) return;
    this.placeAt = Date.now();
    post("/place", { track_id: this.track.id, position_ms: this.positionMs, duration_ms: this.durationMs });
    this.changed();
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
    this.bar.querySelector("#now-title").href = `#/track/${encodeURIComponent(id)}`;
    set("artist", artist);
    set("licence", licence || "Licence not stated");
    const cover = this.bar.querySelector("#now-cover");
    cover.src = pathTo("cover", id);
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
    if (navigator.mediaSession) navigator.mediaSession.playbackState = this.isPlaying ? "playing" : "paused";
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
    this.waveform.show(share);
    this.#tellKeys();
    this.bar.querySelector("#time-now").textContent = clock(this.positionMs);
    this.bar.querySelector("#time-all").textContent = clock(all);
  }

  /** Position for the system's own controls; a position beyond the length would be an error. */
  #tellKeys() {
    const duration = (this.durationMs ?? 0) / 1000;
    if (duration > 0 && navigator.mediaSession?.setPositionState)
      navigator.mediaSession.setPositionState({ duration, position: Math.min(this.audio.currentTime, duration), playbackRate: 1 });
  }

  /** Shuffle and repeat as the queue has them. */
  showModes() {
    const { shuffle, repeat } = this.queue;
    this.bar.querySelector("#shuffle").setAttribute("aria-pressed", String(shuffle));
    const button = this.bar.querySelector("#repeat");
    const label = { off: "Repeat: off", all: "Repeat: the queue", one: "Repeat: this track" }[repeat];
    button.setAttribute("aria-label", label);
    button.title = label;
    button.dataset.repeat = repeat;
    this.bar.querySelector("#queue-toggle").dataset.count = this.queue.items.length || "";
  }

  #showVolume() {
    const mute = this.bar.querySelector("#mute");
    mute.innerHTML = icon(this.audio.muted || this.audio.volume === 0 ? "muted" : "volume");
    mute.setAttribute("aria-pressed", String(this.audio.muted));
    const volume = this.bar.querySelector("#volume");
    volume.value = String(Math.round(this.audio.volume * 100));
    volume.style.setProperty("--share", `${this.audio.muted ? 0 : this.audio.volume * 100}%`);
  }
}

/** As loud as last time in this browser. */
function keptVolume() {
  const kept = Number.parseFloat(localStorage.getItem("overtone.volume"));
  return kept >= 0 && kept <= 1 ? kept : 0.8;
}
