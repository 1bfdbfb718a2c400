// What part of the map is seen: panning, zooming, and which track is at a point. Pure logic.

const MAP_UNITS = 1000; // the server's coordinates go from 0 to this, y upwards
const MARGIN_PX = 60;
const MAX_ZOOM = 40;
const REACH_PX = 12; // a track this near to the pointer is meant

/** @typedef {[left: number, top: number]} Point in CSS pixels from the canvas' corner */

export class Viewport {
  zoom = 1;
  #offsetX = 0;
  #offsetY = 0;

  /** @param {() => { width: number, height: number }} size of the canvas in CSS pixels */
  constructor(size) {
    this.size = size;
  }

  /** Shows the whole map. */
  reset() {
    this.zoom = 1;
    this.#offsetX = this.#offsetY = 0;
  }

  /**
   * Where a place of the map is on the canvas.
   * @param {number} x
   * @param {number} y
   * @returns {Point}
   */
  project(x, y) {
    const { width, height } = this.size();
    return [
      width / 2 + (x / MAP_UNITS - 0.5) * (width - MARGIN_PX) * this.zoom + this.#offsetX,
      height / 2 - (y / MAP_UNITS - 0.5) * (height - MARGIN_PX) * this.zoom + this.#offsetY,
    ];
  }

  /**
   * @param {number} right
   * @param {number} down
   */
  pan(right, down) {
    this.#offsetX += right;
    this.#offsetY += down;
  }

  /**
   * Zooms so that what is at a point stays there. Zoomed out fully, the whole map is shown.
   * @param {number} factor above 1 zooms in
   * @param {Point} [point] the canvas' middle where none is given
   */
  zoomBy(factor, point) {
    const { width, height } = this.size();
    const [left, top] = point ?? [width / 2, height / 2];
    const zoom = Math.max(1, Math.min(MAX_ZOOM, this.zoom * factor));
    if (zoom === 1) return this.reset();
    const scale = zoom / this.zoom;
    const [x, y] = [left - width / 2, top - height / 2];
    this.#offsetX = x - (x - this.#offsetX) * scale;
    this.#offsetY = y - (y - this.#offsetY) * scale;
    this.zoom = zoom;
  }

  /**
   * The number of the place nearest to a point; -1 where none is in reach.
   * @param {number[]} xs
   * @param {number[]} ys
   * @param {Point} point
   */
  nearest(xs, ys, [left, top]) {
    let nearest = -1;
    let least = REACH_PX ** 2;
    xs.forEach((x, position) => {
      const [placeLeft, placeTop] = this.project(x, ys[position] ?? 0);
      const distance = (placeLeft - left) ** 2 + (placeTop - top) ** 2;
      if (distance < least) [nearest, least] = [position, distance];
    });
    return nearest;
  }
}
