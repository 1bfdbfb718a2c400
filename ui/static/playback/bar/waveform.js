// The waveform behind the position: drawn once for a track, tinted up to the position.

import { pathTo } from "../../address.js";
import { get, isTemporary, sleep } from "../../api.js";

const BAR_WIDTH_PX = 2;
const BAR_STEP_PX = 3;
const MIN_BAR_HEIGHT_PX = 2;
const MAX_PEAK = 100;
const RETRY_MS = 2000;
const MAX_ATTEMPTS = 60;

export class Waveform {
  /** @type {number[]} from 0 to MAX_PEAK */
  #peaks = [];
  #share = 0;
  #trackId = "";

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {string} trackId */
  async load(trackId) {
    this.#trackId = trackId;
    this.#show([]);
    for (let attempt = 0; attempt < MAX_ATTEMPTS && this.#trackId === trackId; attempt += 1) {
      /** @type {import("../../api.js").Answer<{ peaks?: number[] }>} without them while they are computed */
      const answer = await get(pathTo("waveform", trackId));
      if (this.#trackId !== trackId) return;
      if (answer.ok && answer.peaks) return this.#show(answer.peaks);
      if (!answer.ok && !isTemporary(answer.status)) return;
      await sleep(RETRY_MS);
    }
  }

  clear() {
    this.#trackId = "";
    this.#show([]);
  }

  /**
   * Moves the tint, where that is at least a pixel.
   * @param {number} share of the track, from 0 to 1
   */
  showPosition(share) {
    if (Math.abs(share - this.#share) * this.canvas.clientWidth < 1 && share !== 0) return;
    this.#share = share;
    this.draw();
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const context = this.canvas.getContext("2d");
    if (!width || !context) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.classList.toggle("is-known", this.#peaks.length > 0);
    if (!this.#peaks.length) return;
    context.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const [played, rest] = [style.color, style.borderTopColor]; // a custom property would not be resolved
    const bars = Math.max(1, Math.floor(width / BAR_STEP_PX));
    for (let bar = 0; bar < bars; bar += 1) {
      const tall = Math.max(MIN_BAR_HEIGHT_PX, this.#loudness(bar, bars) * height);
      context.fillStyle = bar / bars < this.#share ? played : rest;
      context.fillRect(bar * BAR_STEP_PX, (height - tall) / 2, BAR_WIDTH_PX, tall);
    }
  }

  /** @param {number[]} peaks */
  #show(peaks) {
    this.#peaks = peaks;
    this.draw();
  }

  /**
   * The highest of the peaks that fall into a bar, from 0 to 1.
   * @param {number} bar
   * @param {number} bars
   */
  #loudness(bar, bars) {
    const first = Math.floor((bar * this.#peaks.length) / bars);
    const last = Math.max(first + 1, Math.floor(((bar + 1) * this.#peaks.length) / bars));
    return Math.max(...this.#peaks.slice(first, last)) / MAX_PEAK;
  }
}
