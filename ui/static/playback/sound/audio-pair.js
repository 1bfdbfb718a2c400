// Two audio elements: one is heard, the other loads what follows, so that it starts where the first ends. The one that is heard has
// the id "audio". Volume, ReplayGain and fades come together in the elements' volume.

import { create } from "../../page/dom.js";

const FADE_STEP_MS = 50;
const WAITING_ID = "audio-waiting";

export class AudioPair {
  /** @type {HTMLAudioElement} */
  #active;
  /** @type {HTMLAudioElement} */
  #waiting;
  /** @type {Map<HTMLAudioElement, { key: string, gain: number, fade: number, timer: number }>} */
  #states = new Map();
  #volume = 1;
  #isMuted = false;

  /** @param {HTMLAudioElement} active */
  constructor(active) {
    this.#active = active;
    this.#waiting = create("audio", { id: WAITING_ID, preload: "auto" });
    active.after(this.#waiting);
    for (const element of this.#elements) this.#states.set(element, { key: "", gain: 1, fade: 1, timer: 0 });
  }

  /** The element that is heard. */
  get active() {
    return this.#active;
  }

  get #elements() {
    return [this.#active, this.#waiting];
  }

  /** What is loaded to follow; "" for nothing. */
  get waitingKey() {
    const { key, timer } = this.#state(this.#waiting);
    return this.#waiting.error || timer ? "" : key; // what fades out does not wait
  }

  /**
   * Listens to the element that is heard.
   * @param {string} event
   * @param {() => void} handler
   */
  on(event, handler) {
    for (const element of this.#elements) {
      element.addEventListener(event, () => element === this.#active && handler());
    }
  }

  /**
   * Loads an address to be heard; what was waiting is kept.
   * @param {string} key
   * @param {string} address
   */
  load(key, address) {
    this.endFades();
    Object.assign(this.#state(this.#active), { key, gain: 1 });
    this.#active.src = address;
    this.#applyVolume();
  }

  /**
   * Loads an address to follow, once what was heard before has faded out.
   * @param {string} key
   * @param {string} address
   * @returns {boolean} whether it is loaded now; false where it was before, or cannot be yet
   */
  prepare(key, address) {
    const state = this.#state(this.#waiting);
    if (state.key === key || state.timer) return false;
    Object.assign(state, { key, gain: 1 });
    this.#waiting.src = address;
    this.#waiting.load();
    this.#applyVolume();
    return true;
  }

  /**
   * What was loaded to follow is heard from now on; the other one fades out.
   * @param {number} fadeS seconds; 0: it ends at once
   */
  swap(fadeS) {
    const left = this.#active;
    [this.#active, this.#waiting] = [this.#waiting, left];
    this.#waiting.id = WAITING_ID;
    this.#active.id = "audio";
    this.#endFade(this.#active);
    if (fadeS > 0 && !left.paused) {
      this.#fade(this.#active, 0, 1, fadeS);
      this.#fade(left, 1, 0, fadeS, () => this.#empty(left));
    } else this.#empty(left);
    this.#applyVolume();
  }

  /** Nothing is loaded any more. */
  unload() {
    for (const element of this.#elements) this.#empty(element);
  }

  /** Ends a fade between two tracks: the listener has paused, or chosen another one. */
  endFades() {
    if (this.#state(this.#waiting).timer) this.#empty(this.#waiting);
    this.#endFade(this.#active);
    this.#applyVolume();
  }

  /**
   * Lets what is heard fade out, then pauses it.
   * @param {number} seconds
   */
  fadeOutAndPause(seconds) {
    const element = this.#active;
    this.#fade(element, 1, 0, seconds, () => {
      element.pause();
      this.#endFade(element);
      this.#applyVolume();
    });
  }

  /**
   * Sets how much louder or softer a loaded track is to be.
   * @param {string} key
   * @param {number} gain factor; what would be louder than the element can be is as loud as it can
   */
  setGain(key, gain) {
    for (const state of this.#states.values()) if (state.key === key) state.gain = gain;
    this.#applyVolume();
  }

  /** The listener's volume, from 0 to 1. */
  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    this.#volume = volume;
    this.#applyVolume();
  }

  get muted() {
    return this.#isMuted;
  }

  set muted(isMuted) {
    this.#isMuted = isMuted;
    for (const element of this.#elements) element.muted = isMuted;
  }

  /** @param {HTMLAudioElement} element */
  #state(element) {
    const state = this.#states.get(element);
    if (state) return state;
    throw new Error("expected one of the two audio elements");
  }

  /** @param {HTMLAudioElement} element */
  #empty(element) {
    this.#endFade(element);
    this.#state(element).key = "";
    element.pause();
    element.removeAttribute("src");
    element.load();
  }

  /**
   * @param {HTMLAudioElement} element
   * @param {number} from factor of the volume
   * @param {number} to
   * @param {number} seconds
   * @param {() => void} [onEnd]
   */
  #fade(element, from, to, seconds, onEnd = () => {}) {
    const state = this.#state(element);
    clearInterval(state.timer);
    const startedAt = performance.now();
    const step = () => {
      const share = Math.min(1, (performance.now() - startedAt) / (seconds * 1000));
      state.fade = Math.sin(((from + (to - from) * share) * Math.PI) / 2); // equal power
      this.#applyVolume();
      if (share < 1) return;
      clearInterval(state.timer);
      state.timer = 0;
      onEnd();
    };
    state.timer = setInterval(step, FADE_STEP_MS);
    step();
  }

  /** @param {HTMLAudioElement} element */
  #endFade(element) {
    const state = this.#state(element);
    clearInterval(state.timer);
    Object.assign(state, { timer: 0, fade: 1 });
  }

  #applyVolume() {
    for (const element of this.#elements) {
      const { gain, fade } = this.#state(element);
      element.volume = Math.min(1, Math.max(0, this.#volume * gain * fade));
    }
  }
}
