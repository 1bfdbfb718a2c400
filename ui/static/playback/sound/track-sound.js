// The sound of tracks: loads them, tries again what gives no sound, prepares what follows, and makes all equally loud.

import { pathTo } from "../../address.js";
import { get } from "../../api.js";
import { toast } from "../../page/messages.js";
import { audioAddress } from "./audio-address.js";
import { AudioPair } from "./audio-pair.js";
import { soundProblem } from "./audio-status.js";
import { gainFactor } from "./replay-gain.js";

/** @typedef {import("../../track.js").Track} Track */

const MAX_ATTEMPTS = 3;

export class TrackSound {
  /** @type {Track | null} */
  #track = null;
  #loads = 0; // counts loadings: an answer for an earlier one is ignored
  #attempts = 0; // to load the track again, after it gave no sound
  #startMs = 0;
  #isPlaced = false; // whether the element stands where the track was to start
  #isToPlay = false; // whether the listener wants sound, also while none comes

  /**
   * @param {HTMLAudioElement} element
   * @param {import("../settings.js").PlaybackSettings} settings
   */
  constructor(element, settings) {
    this.settings = settings;
    this.pair = new AudioPair(element);
    settings.observers.push(() => this.#track && this.#applyGain(this.#track));
    this.pair.on("play", () => (this.#isToPlay = true));
    this.pair.on("pause", () => {
      if (!this.audio.ended && !this.audio.error) this.#isToPlay = false;
    });
  }

  /** The element that is heard. */
  get audio() {
    return this.pair.active;
  }

  /** Until the track's length is known, the place at which it is to start. */
  get positionMs() {
    if (!this.#isPlaced) return this.#startMs;
    return Math.round(this.audio.currentTime * 1000) || 0;
  }

  set positionMs(milliseconds) {
    this.#startMs = milliseconds;
    if (this.#isPlaced) this.audio.currentTime = milliseconds / 1000;
  }

  /**
   * @param {Track} track
   * @param {number} positionMs
   * @param {boolean} isToPlay
   * @param {number} fadeS seconds in which the track before fades out
   */
  start(track, positionMs, isToPlay, fadeS) {
    this.#track = track;
    this.#attempts = 0;
    if (this.pair.waitingKey !== track.id || positionMs) return this.#load(track, positionMs, isToPlay);
    this.#loads += 1;
    this.#startMs = 0;
    this.#isPlaced = true;
    this.#isToPlay = isToPlay;
    this.pair.swap(fadeS);
    this.#applyGain(track);
    if (isToPlay) this.#play();
  }

  /** Pauses or resumes; after an error loads the track again. */
  toggle() {
    if (this.audio.error && this.#track) this.#load(this.#track, this.positionMs || this.#startMs, true);
    else if (this.audio.paused) this.audio.play().catch(() => {});
    else this.pause();
  }

  pause() {
    this.pair.endFades();
    this.audio.pause();
  }

  /** Nothing is loaded any more. */
  unload() {
    this.#loads += 1;
    this.#startMs = 0;
    this.#track = null;
    this.pair.unload();
  }

  /** @param {Track} track that follows: it is loaded now, to start where the current one ends */
  prepare(track) {
    const address = audioAddress(track, { isSmaller: this.settings.values.isSmaller });
    if (this.pair.prepare(track.id, address)) this.#applyGain(track);
  }

  /**
   * No sound came. Waits while the server is unavailable; else tries once more, then as MP3 made by the server.
   * @returns {Promise<boolean>} whether the track cannot be played
   */
  async recover() {
    const [load, track] = [this.#loads, this.#track];
    if (!track || !this.audio.getAttribute("src")) return false;
    const problem = await soundProblem(track.title, this.#address(track), () => this.#loads === load);
    if (problem === "superseded") return false;
    this.#attempts = problem === "back" ? 0 : this.#attempts + 1;
    if (problem === "missing" || this.#attempts >= MAX_ATTEMPTS) return true;
    this.#load(track, this.positionMs || this.#startMs, this.#isToPlay);
    return false;
  }

  /**
   * @param {Track} track
   * @param {number} positionMs
   * @param {boolean} isToPlay
   */
  #load(track, positionMs, isToPlay) {
    this.#loads += 1;
    this.#startMs = positionMs;
    this.#isPlaced = false;
    this.#isToPlay = isToPlay;
    this.pair.load(track.id, this.#address(track));
    const { audio } = this;
    const load = this.#loads;
    const place = () => {
      if (this.#loads !== load) return;
      this.#isPlaced = true;
      if (this.#startMs) audio.currentTime = this.#startMs / 1000;
    };
    audio.addEventListener("loadedmetadata", place, { once: true });
    this.#applyGain(track);
    if (isToPlay) this.#play();
  }

  #play() {
    this.audio.play().catch((error) => {
      // AbortError: another track was chosen meanwhile. Missing or broken files come as an "error" event.
      if (error.name === "NotAllowedError") toast("Press Play to start playback.");
    });
  }

  /** @param {Track} track */
  #address(track) {
    return audioAddress(track, { isSmaller: this.settings.values.isSmaller, isMp3: this.#attempts > 1 });
  }

  /** @param {Track} track whose ReplayGain is asked for and applied */
  async #applyGain({ id }) {
    const { replayGain } = this.settings.values;
    if (replayGain === "off") return this.pair.setGain(id, 1);
    /** @type {import("../../api.js").Answer<import("./replay-gain.js").Loudness>} */
    const loudness = await get(pathTo("loudness", id));
    if (loudness.ok) this.pair.setGain(id, gainFactor(loudness, this.settings.values.replayGain));
  }
}
