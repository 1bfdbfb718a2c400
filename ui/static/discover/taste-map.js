// The taste map under the listener's hands. A click plays, dragging moves, the wheel zooms; so do the arrows, + and -.
// By touch, one finger plays and scrolls the page, two move the map and zoom.

import { pathTo } from "../address.js";
import { get } from "../api.js";
import { parseHtml, required } from "../page/dom.js";
import { firstCard } from "../track.js";
import { drawMap, legendItems } from "./map-drawing.js";
import { Viewport } from "./map-viewport.js";

/** @typedef {import("./map-drawing.js").MapData} MapData */
/** @typedef {import("./map-viewport.js").Point} Point */

const BUTTON_ZOOM = 1.5;
const WHEEL_ZOOM = 1.2;
const KEY_STEP_PX = 40;
const DRAG_PX = 4; // a pointer that moves less clicks
/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @type {TasteMap | null} the map of the page that is open */
let shownMap = null;

/**
 * Shows the map on its page.
 * @param {(card: HTMLElement) => void} play
 */
export async function showTasteMap(play) {
  const canvas = required("#map", HTMLCanvasElement);
  /** @type {import("../api.js").Answer<MapData>} */
  const answer = await get("/map.json");
  if (!canvas.isConnected) return; // another page was opened meanwhile
  const hasTracks = answer.ok && answer.tracks.length > 0;
  required("#map-none").hidden = hasTracks;
  required("#map-frame").hidden = required("#map-legend").hidden = !hasTracks;
  if (!hasTracks) return;
  required("#map-legend").replaceChildren(...legendItems(answer));
  required("#map-by-sound").hidden = !answer.by_sound;
  shownMap = new TasteMap(canvas, answer, play);
}

/** @param {"in" | "out" | "all"} how */
export const zoomMap = (how) => shownMap?.zoom(how);

class TasteMap {
  /** @type {Point | null} where the pointer is that went down and not up yet */
  #pointer = null;
  #dragged = 0; // pixels since the pointer went down
  /** @type {string | undefined} */
  #hoveredId = undefined;
  /** @type {Map<string, string>} title and artist by track id */
  #labels = new Map();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {MapData} data
   * @param {(card: HTMLElement) => void} play
   */
  constructor(canvas, data, play) {
    this.canvas = canvas;
    this.data = data;
    this.play = play;
    this.viewport = new Viewport(() => ({ width: canvas.clientWidth, height: canvas.clientHeight }));
    new ResizeObserver(() => this.#draw()).observe(canvas);
    this.#wirePointer();
    this.#wireWheelAndKeys();
    this.#wireFingers();
  }

  /** @param {"in" | "out" | "all"} how */
  zoom(how) {
    if (how === "all") this.viewport.reset();
    else this.viewport.zoomBy(how === "in" ? BUTTON_ZOOM : 1 / BUTTON_ZOOM);
    this.#draw();
  }

  #draw() {
    drawMap(this.canvas, this.data, this.viewport);
  }

  /**
   * The id of the track at a point, if any.
   * @param {Point} point
   */
  #trackAt(point) {
    return this.data.tracks[this.viewport.nearest(this.data.x, this.data.y, point)];
  }

  #wirePointer() {
    const { canvas } = this;
    canvas.addEventListener("pointercancel", () => (this.#pointer = null));
    canvas.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary) return;
      this.#pointer = [event.clientX, event.clientY];
      this.#dragged = 0;
      if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      if (this.#pointer) this.#drag([event.clientX, event.clientY], this.#pointer);
      else this.#hover([event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("pointerup", (event) => {
      const isClick = this.#pointer && this.#dragged <= DRAG_PX;
      this.#pointer = null;
      if (isClick) this.#playAt([event.offsetX, event.offsetY]);
    });
  }

  /**
   * @param {Point} to
   * @param {Point} from
   */
  #drag([x, y], [fromX, fromY]) {
    this.#dragged = Math.max(this.#dragged, Math.hypot(x - fromX, y - fromY));
    if (this.#dragged <= DRAG_PX) return;
    this.#pointer = [x, y];
    this.viewport.pan(x - fromX, y - fromY);
    this.#draw();
  }

  /** @param {Point} point */
  async #playAt(point) {
    const trackId = this.#trackAt(point);
    if (!trackId) return;
    const card = await this.#card(trackId);
    if (card) this.play(card);
  }

  /** @param {Point} point */
  async #hover(point) {
    const trackId = (this.#hoveredId = this.#trackAt(point));
    this.canvas.style.cursor = trackId ? "pointer" : "grab";
    if (trackId && !this.#labels.has(trackId)) {
      const card = await this.#card(trackId);
      if (card) this.#labels.set(trackId, `${card.dataset.title} · ${card.dataset.artist}`);
    }
    if (trackId !== this.#hoveredId || !this.canvas.isConnected) return; // the pointer moved on meanwhile
    required("#map-tip").textContent = (trackId && this.#labels.get(trackId)) || "";
  }

  /** @param {string} trackId */
  async #card(trackId) {
    /** @type {import("../api.js").Answer<import("../api.js").Html>} */
    const answer = await get(pathTo("card", trackId));
    return answer.ok ? firstCard(parseHtml(answer.html)) : null;
  }

  #wireWheelAndKeys() {
    const onWheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      this.viewport.zoomBy(event.deltaY < 0 ? WHEEL_ZOOM : 1 / WHEEL_ZOOM, [event.offsetX, event.offsetY]);
      this.#draw();
    };
    this.canvas.addEventListener("wheel", onWheel, { passive: false });
    this.canvas.addEventListener("keydown", (event) => {
      const arrow = event.shiftKey ? undefined : ARROWS[event.key]; // Shift with arrows changes the track
      if (arrow) this.viewport.pan(KEY_STEP_PX * arrow[0], KEY_STEP_PX * arrow[1]);
      else if (event.key === "+") this.viewport.zoomBy(BUTTON_ZOOM);
      else if (event.key === "-") this.viewport.zoomBy(1 / BUTTON_ZOOM);
      else return;
      this.#draw();
      event.preventDefault();
    });
  }

  #wireFingers() {
    /** @type {{ middle: Point, apart: number } | null} */
    let before = null;
    const onTouch = (/** @type {TouchEvent} */ event) => {
      const now = this.#twoFingers(event.touches);
      if (!now) {
        before = null;
        return;
      }
      event.preventDefault(); // one finger scrolls the page
      if (event.type === "touchmove" && before) {
        this.viewport.pan(now.middle[0] - before.middle[0], now.middle[1] - before.middle[1]);
        this.viewport.zoomBy(now.apart / before.apart, now.middle);
        this.#draw();
      }
      before = now;
      this.#pointer = null;
    };
    for (const name of /** @type {const} */ (["touchstart", "touchmove", "touchend"])) {
      this.canvas.addEventListener(name, onTouch, { passive: false });
    }
  }

  /**
   * The middle of two fingers and the pixels between them; null for any other number of fingers.
   * @param {TouchList} touches
   */
  #twoFingers({ length, 0: first, 1: second }) {
    if (length !== 2 || !first || !second) return null;
    const frame = this.canvas.getBoundingClientRect();
    /** @type {Point} */
    const middle = [
      (first.clientX + second.clientX) / 2 - frame.left,
      (first.clientY + second.clientY) / 2 - frame.top,
    ];
    return { middle, apart: Math.max(1, Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY)) };
  }
}
