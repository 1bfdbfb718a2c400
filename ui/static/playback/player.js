// Playback: the audio element, outside of what Gradio redraws; what follows it, and what is reported of it.

import { pathTo } from "../address.js";
import { post } from "../api.js";
import { toast } from "../page/messages.js";
import { showTitle } from "../page/title.js";
import { audioStatus, isUnavailable } from "./sound/audio-status.js";
import { Bar } from "./bar/bar.js";
import { LeftTracks } from "./queue/left-tracks.js";
import { wireMediaSession } from "./bar/media-session.js";
import { wireBar } from "./bar/wire-bar.js";
import { PlayReporter } from "./play-reporter.js";
import { loadVolume, saveVolume } from "./queue/saved-playback.js";
import { Waveform } from "./bar/waveform.js";

/** @typedef {import("../track.js").Track} Track */

const RESTART_AFTER_S = 3; // later in a track, "previous" goes to its beginning
const SAVE_POSITION_MS = 10_000; // the position is sent to the server this often
const MIN_SAVED_POSITION_MS = 1000;
const RETRY_MS = 2000; // a server that does not answer is asked again after this long
const SKIP_UNPLAYABLE_MS = 1200; // the message can be read meanwhile
const MAX_UNPLAYABLE_TRACKS = 5; // after so many in a row, playback stops

/**
 * @typedef {object} PlayerOptions
 * @property {number} completeShare share of a track from which it counts as complete, from 0 to 1
 * @property {import("./queue/queue.js").Queue} queue
 * @property {() => Track[]} forYou the tracks of "For you" in the order in which they follow
 * @property {(event: object) => void} send sends a listening event
 * @property {(action: "like" | "dislike" | "similar" | "menu", track: Track, button: HTMLElement) => void} onButton
 * @property {() => void} onChange called when track, state or position changed
 */

export class Player {
  /** @type {Track | null} */
  track = null;
  #left = new LeftTracks();
  #unplayableInRow = 0;
  #loads = 0; // counts loadings: an answer for an earlier one is ignored
  #startMs = 0;
  #isToPlay = false; // whether the listener wants sound, also while none comes
  #wasReloaded = false;
  #positionSavedAt = 0;

  /** @param {PlayerOptions} options */
  constructor({ completeShare, queue, forYou, send, onButton, onChange }) {
    this.queue = queue;
    this.forYou = forYou;
    this.onChange = onChange;
    this.reporter = new PlayReporter(completeShare, (action) => this.track && send(this.#event(action, this.track)));
    this.bar = new Bar();
    this.audio = this.bar.part("audio", HTMLAudioElement);
    this.audio.volume = loadVolume();
    this.waveform = new Waveform(this.bar.part("waveform", HTMLCanvasElement));
    wireBar(this, onButton);
    this.#wireAudio();
    wireMediaSession(this);
    this.bar.showVolume(this.audio);
    this.showModes();
  }

  get isPlaying() {
    return this.track !== null && !this.audio.paused;
  }

  get positionMs() {
    return Math.round(this.audio.currentTime * 1000) || 0;
  }

  get durationMs() {
    const seconds = this.audio.duration;
    return Number.isFinite(seconds) && seconds > 0 ? Math.round(seconds * 1000) : this.track?.durationMs || null;
  }

  /** Ids of the tracks that were started, the current one last. */
  get startedIds() {
    return this.track ? [...this.#left.ids, this.track.id] : this.#left.ids;
  }

  toggle() {
    if (!this.track) this.next();
    else if (this.audio.error) this.#load(this.track, this.positionMs || this.#startMs, true);
    else if (this.audio.paused) this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  /** All that follows, in the order in which it plays: what the queue shows, and `next` takes the first of. */
  upcoming() {
    return this.queue.upcoming(this.forYou());
  }

  /**
   * Plays the first of `upcoming`.
   * @param {boolean} [isSkip] whether the listener has asked for it
   */
  next(isSkip = true) {
    const track = this.queue.take(this.forYou());
    if (track) this.#start(track, { isSkip });
    else toast("Nothing to play next.");
  }

  /** Plays the track before this one, which then follows again; later in a track, its beginning. */
  previous() {
    const track = this.audio.currentTime > RESTART_AFTER_S ? undefined : this.#left.takeHeard();
    if (track) {
      if (this.track) this.queue.putBack(this.track);
      this.#start(track, { isGoingBack: true });
    } else this.audio.currentTime = 0;
  }

  /**
   * Plays a track that the queue shows, now.
   * @param {import("./queue/queue.js").Part} part
   * @param {number} position in the part
   */
  playUpcoming(part, position) {
    const track = part === "for-you" ? this.forYou()[position] : this.queue.takeAt(part, position);
    if (track) this.#start(track);
  }

  /**
   * Plays a track of a list, which follows from then on; where it is the current one, pauses or resumes.
   * @param {import("./queue/queue.js").PlayContext} context
   * @param {Track[]} tracks
   * @param {string | null} startId null: the first, with shuffle any
   * @returns {(() => void) | null} brings back what this replaced; null where nothing of a list is lost
   */
  playFrom(context, tracks, startId) {
    if (startId !== null && this.track?.id === startId && !this.audio.ended) {
      this.toggle();
      return null;
    }
    const undo = this.queue.list.length ? this.undoable() : null;
    const track = this.queue.playFrom(context, tracks, startId);
    if (track) this.#start(track);
    return undo;
  }

  /** A function that brings back queue, track, place and whether it plays, as they are now. */
  undoable() {
    const [queue, track, positionMs, isPlaying] = [this.queue.snapshot(), this.track, this.positionMs, this.isPlaying];
    return () => {
      this.queue.restore(queue);
      if (track && (this.track !== track || this.audio.ended)) this.load(track, positionMs, isPlaying);
    };
  }

  /**
   * Puts a track in place at a position.
   * @param {Track} track
   * @param {number} positionMs
   * @param {boolean} [isToPlay]
   */
  load(track, positionMs, isToPlay = false) {
    this.#start(track, { isGoingBack: true, isToPlay, positionMs });
  }

  /** The listener has changed: stops attributing playback, and forgets what was played. */
  stopAttributing() {
    this.reporter.stopAttributing();
    this.audio.pause();
    this.#left.clear();
  }

  /** The first listener was chosen: what plays is theirs. */
  attributePlayback() {
    if (this.isPlaying) this.reporter.attribute();
  }

  showModes() {
    this.bar.showModes(this.queue);
  }

  /**
   * @param {Track} track
   * @param {{ isGoingBack?: boolean, isToPlay?: boolean, positionMs?: number, isSkip?: boolean }} [options]
   */
  #start(track, { isGoingBack = false, isToPlay = true, positionMs = 0, isSkip = false } = {}) {
    this.reporter.leave(isSkip);
    if (this.track && !isGoingBack) this.#left.add(this.track, this.reporter.wasHeard);
    this.track = track;
    this.reporter.start();
    this.#positionSavedAt = Date.now();
    this.#wasReloaded = false;
    this.waveform.load(track.id);
    this.#load(track, positionMs, isToPlay);
    this.bar.showTrack(track);
    showTitle({ track: `${track.title} · ${track.artist}` });
    this.showTime();
    this.onChange();
  }

  /**
   * @param {Track} track
   * @param {number} positionMs
   * @param {boolean} isToPlay
   */
  #load(track, positionMs, isToPlay) {
    this.#loads += 1;
    this.#startMs = positionMs;
    this.#isToPlay = isToPlay;
    this.audio.src = pathTo("audio", track.id);
    const seek = () => (this.audio.currentTime = positionMs / 1000);
    if (positionMs) this.audio.addEventListener("loadedmetadata", seek, { once: true });
    if (!isToPlay) return;
    this.audio.play().catch((error) => {
      // AbortError: another track was chosen meanwhile. Missing or broken files come as an "error" event.
      if (error.name === "NotAllowedError") toast("Press Play to start playback.");
    });
  }

  /**
   * @param {string} action
   * @param {Track} track
   */
  #event(action, { id, source, modelVersion }) {
    return {
      track_id: id,
      action,
      position_ms: this.positionMs,
      duration_ms: this.durationMs,
      source,
      ...(modelVersion && { model_version: modelVersion }),
    };
  }

  #wireAudio() {
    const { audio } = this;
    audio.addEventListener("playing", () => {
      this.#unplayableInRow = 0;
      if (this.track) this.reporter.sound();
    });
    audio.addEventListener("timeupdate", () => {
      this.reporter.progress(this.positionMs, this.durationMs);
      if (Date.now() - this.#positionSavedAt > SAVE_POSITION_MS) this.#savePosition();
      this.showTime();
    });
    audio.addEventListener("ended", () => {
      if (this.queue.repeat === "one" && this.track) this.#start(this.track, { isGoingBack: true });
      else this.next(false);
    });
    audio.addEventListener("play", () => (this.#isToPlay = true));
    audio.addEventListener("pause", () => {
      if (audio.ended || audio.error) return;
      this.#isToPlay = false;
      this.#savePosition();
    });
    addEventListener("pagehide", () => this.#savePosition());
    audio.addEventListener("error", () => this.#recover());
    audio.addEventListener("volumechange", () => {
      this.bar.showVolume(audio);
      saveVolume(audio.volume);
    });
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#showState());
    for (const event of ["durationchange", "seeked"]) audio.addEventListener(event, () => this.showTime());
  }

  /** Saves the position on the server, for "Continue listening" here or on another device. */
  #savePosition() {
    if (!this.track || !this.reporter.isAttributed || this.positionMs < MIN_SAVED_POSITION_MS) return;
    this.#positionSavedAt = Date.now();
    post("/place", { track_id: this.track.id, position_ms: this.positionMs, duration_ms: this.durationMs });
    this.onChange();
  }

  /** No sound came. Waits while the server is unavailable; else tries once more, then skips the track. */
  async #recover() {
    if (!this.track || !this.audio.getAttribute("src")) return;
    const [load, track] = [this.#loads, this.track];
    const isCurrent = () => this.#loads === load;
    let status = await audioStatus(track);
    const message = `“${track.title}” is unavailable right now. Playback resumes automatically.`;
    if (isCurrent() && isUnavailable(status)) toast(message);
    while (isCurrent() && isUnavailable(status)) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      status = await audioStatus(track);
      this.#wasReloaded = false;
    }
    if (!isCurrent()) return;
    if (status === 200 && !this.#wasReloaded) {
      this.#wasReloaded = true;
      this.#load(track, this.positionMs || this.#startMs, this.#isToPlay);
      return;
    }
    toast(`“${track.title}” cannot be played.`);
    this.#unplayableInRow += 1;
    if (this.#unplayableInRow < MAX_UNPLAYABLE_TRACKS) setTimeout(() => isCurrent() && this.next(false), SKIP_UNPLAYABLE_MS);
    this.#showState();
  }

  #showState() {
    this.bar.showState(this.isPlaying);
    this.onChange();
  }

  showTime() {
    this.waveform.showPosition(this.bar.showTime(this.positionMs, this.durationMs));
  }
}
