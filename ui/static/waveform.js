// The waveform behind the position: drawn once for a track, tinted as far as it has been heard.

import { pathTo } from "./address.js";
import { get } from "./dom.js";

export class Waveform {
  constructor(canvas) {
    this.canvas = canvas;
    this.peaks = [];
    this.share = 0;
    this.asked = "";
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async load(trackId) {
    this.asked = trackId;
    this.peaks = [];
    this.draw();
    const answer = await get(pathTo("waveform", trackId));
    if (this.asked !== trackId) return;
    this.peaks = answer.ok ? answer.peaks : [];
    this.draw();
  }

  show(share) {
    if (Math.abs(share - this.share) * this.canvas.clientWidth < 1 && share !== 0) return;
    this.share = share;
    this.draw();
  }

  draw() {
    const { canvas, peaks } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.classList.toggle("is-known", peaks.length > 0);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const [heard, rest] = [style.color, style.borderTopColor]; // a custom property would not be resolved
    const bars = Math.max(1, Math.floor(width / 3));
    for (let bar = 0; bar < bars && peaks.length; bar += 1) {
      const first = Math.floor((bar * peaks.length) / bars);
      const last = Math.max(first + 1, Math.floor(((bar + 1) * peaks.length) / bars));
      const loud = Math.max(...peaks.slice(first, last)) / 100;
      const tall = Math.max(2, loud * height);
      context.fillStyle = bar / bars < this.share ? heard : rest;
      context.fillRect(bar * 3, (height - tall) / 2, 2, tall);
    }
  }
}
