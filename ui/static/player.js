// What plays: the one audio element, and what is said about it. It stands outside of what Gradio renders, so nothing redrawn
// stops it.
//
// A start is one loading of one track. Each start says `play` once, when sound really comes, and then at most one of
// `complete` (heard up to completeShare) and `skip` (left before that).

import { pathTo } from "./address.js";
import { Bar } from "./bar.js";
import { post } from "./dom.js";
import { send } from "./events.js";
import { wireMediaKeys } from "./mediakeys.js";
import { showTitle } from "./title.js";
import { Waveform } from "./waveform.js";

const RESTART_S = 3; // "previous" within this many seconds goes back a track, later to the beginning
const MAX_FAILURES = 5;
const PASS_OVER_MS = 1200;
const RETRY_MS = 2000;
const PLACE_MS = 10_000; // so often the server is told where the listener is in a track
const HISTORY = 200;

export class Player {
  /** queue: what comes before "For you";  upcoming: () => the track of "For you" to play next, or null
   *  react: (action, track, button) when a button of the bar is used;  changed: () when anything about it is;  tell: (message) */
  constructor({ completeShare, queue, upcoming, react, changed, tell }) {
    Object.assign(this, { completeShare, queue, upcoming, react, changed, tell });
    this.track = null;
    this.history = []; // the tracks that were heard, for "previous"
    this.passed = []; // ids of all that have been on, heard or not
    this.failures = 0;
    this.start = 0; // counts loadings
    this.bar = new Bar();
    this.audio = this.bar.part("audio");
    this.audio.volume = keptVolume();
    this.waveform = new Waveform(this.bar.part("waveform"));
    this.#wireBar();
    this.#wireAudio();
    wireMediaKeys(this);
    this.bar.showVolume(this.audio);
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
    if (this.track?.id === track.id && !this.audio.ended) this.toggle();
    else this.#start(track);
  }

  toggle() {
    if (!this.track) this.next();
    else if (this.audio.error) this.#reload(true);
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
    this.#start(track, { isGoingBack: true, isToPlay, positionMs });
  }

  /** Somebody else listens: what is on is nobody's any more. */
  forget() {
    this.hasPlayed = false;
    this.audio.pause();
    this.history = [];
    this.passed = [];
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
    else this.#start(this.history.pop(), { isGoingBack: true });
  }

  /** Ids of the tracks that have been on, the current one last. */
  get heard() {
    return [...this.passed, ...(this.track ? [this.track.id] : [])];
  }

  showModes() {
    this.bar.showModes(this.queue);
  }

  #start(track, { isGoingBack = false, isToPlay = true, positionMs = 0 } = {}) {
    this.#leave();
    if (this.track && !isGoingBack) {
      if (this.wasHeard) this.history.push(this.track);
      this.passed.push(this.track.id);
    }
    for (const list of [this.history, this.passed]) if (list.length > HISTORY) list.shift();
    this.track = track;
    this.placeAt = Date.now();
    this.hasPlayed = this.hasCompleted = this.wasHeard = this.wasTriedAgain = false;
    this.waveform.load(track.id);
    this.#load(positionMs, isToPlay);
    this.bar.showTrack(track);
    showTitle({ track: `${track.title} · ${track.artist}` });
    this.#showTime();
    this.changed();
  }

  #load(positionMs, isToPlay) {
    this.start += 1;
    this.startMs = positionMs;
    this.isWanted = isToPlay;
    this.audio.src = pathTo("audio", this.track.id);
    const go = () => (this.audio.currentTime = positionMs / 1000);
    if (positionMs) this.audio.addEventListener("loadedmetadata", go, { once: true });
    if (!isToPlay) return;
    this.audio.play().catch((error) => {
      // AbortError: another track was chosen meanwhile. Missing or broken files come as an "error" event.
      if (error.name === "NotAllowedError") this.tell("The browser wants a click on play first.");
    });
  }

  /** The same track once more, from where it stopped. */
  #reload(isToPlay) {
    this.#load(this.positionMs || this.startMs, isToPlay);
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

  #wireBar() {
    const { bar, audio } = this;
    bar.on("play-pause", "click", () => this.toggle());
    bar.on("next", "click", () => this.next());
    bar.on("previous", "click", () => this.previous());
    bar.on("seek", "input", (event) => {
      if (this.durationMs) audio.currentTime = (event.target.value / 1000) * (this.durationMs / 1000);
      this.#showTime();
    });
    bar.on("volume", "input", (event) => {
      audio.volume = event.target.value / 100;
      audio.muted = false;
    });
    bar.on("shuffle", "click", () => this.queue.toggleShuffle());
    bar.on("repeat", "click", () => this.queue.turnRepeat());
    bar.on("mute", "click", () => (audio.muted = !audio.muted));
    bar.on("menu-now", "click", (event) => this.track && this.react("menu", this.track, event.currentTarget));
    for (const action of ["like", "dislike", "similar"])
      bar.on(`${action}-now`, "click", () => this.track && this.react(action, this.track));
  }

  #wireAudio() {
    const { audio } = this;
    audio.addEventListener("playing", () => {
      this.failures = 0;
      this.wasHeard = true;
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
    audio.addEventListener("ended", () => {
      if (this.queue.repeat === "one") this.#start(this.track, { isGoingBack: true });
      else this.next();
    });
    audio.addEventListener("play", () => (this.isWanted = true));
    audio.addEventListener("pause", () => {
      if (audio.ended || audio.error) return;
      this.isWanted = false;
      this.#tellPlace();
    });
    addEventListener("pagehide", () => this.#tellPlace());
    audio.addEventListener("error", () => this.#failed());
    audio.addEventListener("volumechange", () => {
      this.bar.showVolume(audio);
      localStorage.setItem("overtone.volume", String(audio.volume));
    });
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#showState());
    for (const event of ["durationchange", "seeked"]) audio.addEventListener(event, () => this.#showTime());
  }

  /** For "continue listening", here or on another device. */
  #tellPlace() {
    if (!this.track || !this.hasPlayed || this.positionMs < 1000) return;
    this.placeAt = Date.now();
    post("/place", { track_id: this.track.id, position_ms: this.positionMs, duration_ms: this.durationMs });
    this.changed();
  }

  /** Sound did not come. Whether that is the file's fault or the server's, only the server knows. */
  async #failed() {
    if (!this.track || !this.audio.getAttribute("src")) return;
    const { start, track } = this;
    let status = await answerOf(track);
    const message = `The server cannot give “${track.title}” now. It goes on by itself.`;
    if (this.start === start && isAway(status)) this.tell(message);
    while (this.start === start && isAway(status)) {
      await new Promise((done) => setTimeout(done, RETRY_MS));
      status = await answerOf(track);
      this.wasTriedAgain = false;
    }
    if (this.start !== start) return;
    if (status === 200 && !this.wasTriedAgain) {
      this.wasTriedAgain = true;
      return this.#reload(this.isWanted);
    }
    this.tell(`“${track.title}” cannot be played.`);
    this.failures += 1;
    if (this.failures < MAX_FAILURES) setTimeout(() => this.start === start && this.next(), PASS_OVER_MS);
    this.#showState();
  }

  #showState() {
    this.bar.showState(this.isPlaying);
    this.changed();
  }

  #showTime() {
    this.waveform.show(this.bar.showTime(this.positionMs, this.durationMs));
  }
}

/** The status of a track's audio, without its content; 0 where no answer comes. */
async function answerOf(track) {
  try {
    return (await fetch(pathTo("audio", track.id), { method: "HEAD", cache: "no-store" })).status;
  } catch {
    return 0;
  }
}

const isAway = (status) => status === 0 || status >= 500;

/** As loud as last time in this browser. */
function keptVolume() {
  const kept = Number.parseFloat(localStorage.getItem("overtone.volume"));
  return kept >= 0 && kept <= 1 ? kept : 0.8;
}
