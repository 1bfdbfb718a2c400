// The bar at the bottom: what it shows of track, time and modes. On a phone it opens to a sheet over the whole page,
// since most of its buttons have no room in it.

import { pathTo } from "../../address.js";
import { coverAddress } from "../../page/covers.js";
import { create, required } from "../../page/dom.js";
import { titleNodes } from "../../page/title-parts.js";
import { clock, licenceLink } from "../../track.js";
import { BAR_MARKUP, icon } from "./bar-markup.js";
import { showMediaPosition, showMediaState, showMediaTrack } from "./media-session.js";

/** @typedef {import("../../track.js").Track} Track */

const SEEK_STEPS = 1000; // of the position's slider
const REPEAT_LABELS = { off: "Repeat: off", all: "Repeat: all", one: "Repeat: one" };

const NEED_A_TRACK = ["seek", "like-now", "dislike-now", "similar-now", "menu-now"];

export class Bar {
  constructor() {
    this.element = create("section", { id: "player", "aria-label": "Player" });
    this.element.innerHTML = BAR_MARKUP;
    document.body.append(this.element);
    this.on("sheet-open", "click", () => this.openSheet(true));
    for (const id of ["sheet-close", "now-title", "similar-now"]) this.on(id, "click", () => this.openSheet(false));
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.openSheet(false));
    addEventListener("hashchange", () => this.openSheet(false));
    matchMedia("(min-width: 641px)").addEventListener("change", () => this.openSheet(false));
  }

  /**
   * A part of the bar by its id.
   * @template {HTMLElement} T
   * @overload
   * @param {string} id
   * @param {new () => T} type
   * @returns {T}
   */
  /**
   * @overload
   * @param {string} id
   * @returns {HTMLElement}
   */
  /**
   * @param {string} id
   * @param {new () => HTMLElement} [type]
   */
  part(id, type = HTMLElement) {
    return required(`#${id}`, type, this.element);
  }

  /**
   * @param {string} id
   * @param {string} event
   * @param {(event: Event) => void} action
   */
  on(id, event, action) {
    this.part(id).addEventListener(event, action);
  }

  /**
   * Opens the whole player over the page of a phone; elsewhere the bar has room for it, and nothing changes.
   * @param {boolean} isOpen
   */
  openSheet(isOpen) {
    if (isOpen === this.element.classList.contains("is-sheet")) return;
    this.element.classList.toggle("is-sheet", isOpen);
    document.body.classList.toggle("has-sheet", isOpen);
    required("gradio-app").inert = isOpen;
    this.part("sheet-open").setAttribute("aria-expanded", String(isOpen));
    this.part(isOpen ? "sheet-close" : "sheet-open").focus();
  }

  /** @param {Track} track */
  showTrack(track) {
    const { title, artist, id } = track;
    Object.assign(this.part("now-title"), { title, href: `#${pathTo("track", id)}` }).replaceChildren(...titleNodes(title));
    Object.assign(this.part("now-artist"), { textContent: artist, title: artist });
    this.part("now-licence").replaceChildren(licenceLink(track));
    const cover = this.part("now-cover", HTMLImageElement);
    cover.src = coverAddress(track, 320);
    cover.hidden = this.part("sheet-open").hidden = false;
    for (const element of this.element.querySelectorAll(":disabled")) element.removeAttribute("disabled");
    showMediaTrack(track, cover.src);
  }

  /** No track is in place. */
  showNothing() {
    Object.assign(this.part("now-title"), { textContent: "Nothing is playing", title: "" });
    this.part("now-title").removeAttribute("href");
    Object.assign(this.part("now-artist"), { textContent: "Choose a track", title: "" });
    this.part("now-licence").replaceChildren();
    this.part("now-cover").hidden = this.part("sheet-open").hidden = true;
    for (const id of NEED_A_TRACK) this.part(id).setAttribute("disabled", "");
    this.showTime(0, null);
  }

  /** @param {boolean} isPlaying */
  showState(isPlaying) {
    const toggle = this.part("play-pause");
    toggle.innerHTML = icon(isPlaying ? "pause" : "play");
    label(toggle, isPlaying ? "Pause" : "Play");
    showMediaState(isPlaying);
    this.element.classList.toggle("is-playing", isPlaying);
  }

  /**
   * @param {number} positionMs
   * @param {number | null} durationMs
   * @returns {number} the share of the track that is played, from 0 to 1
   */
  showTime(positionMs, durationMs) {
    const share = durationMs ? Math.min(1, positionMs / durationMs) : 0;
    const seek = this.part("seek", HTMLInputElement);
    seek.value = String(Math.round(share * SEEK_STEPS));
    seek.style.setProperty("--share", `${share * 100}%`);
    seek.setAttribute("aria-valuetext", `${clock(positionMs)} of ${clock(durationMs)}`);
    this.part("time-now").textContent = clock(positionMs);
    this.part("time-all").textContent = clock(durationMs);
    showMediaPosition(share, durationMs);
    return share;
  }

  /** The share of the track that the position's slider stands at, from 0 to 1. */
  get seekShare() {
    return Number(this.part("seek", HTMLInputElement).value) / SEEK_STEPS;
  }

  /**
   * Shows shuffle, repeat and the number of queued tracks.
   * @param {import("../queue/queue.js").QueueState} queue
   */
  showModes({ shuffle, repeat, items, list }) {
    this.part("shuffle").setAttribute("aria-pressed", String(shuffle));
    label(this.part("repeat"), REPEAT_LABELS[repeat]);
    this.part("repeat").dataset.repeat = repeat;
    this.part("queue-toggle").dataset.count = String(items.length + list.length || "");
  }

  /** @param {{ muted: boolean, volume: number }} audio volume from 0 to 1 */
  showVolume({ muted, volume }) {
    const mute = this.part("mute");
    mute.innerHTML = icon(muted || volume === 0 ? "muted" : "volume");
    mute.setAttribute("aria-pressed", String(muted));
    const slider = this.part("volume", HTMLInputElement);
    slider.value = String(Math.round(volume * 100));
    slider.style.setProperty("--share", `${muted ? 0 : volume * 100}%`);
  }

  /** The volume's slider, from 0 to 1. */
  get volume() {
    return Number(this.part("volume", HTMLInputElement).value) / 100;
  }
}

/**
 * @param {HTMLElement} button
 * @param {string} text
 */
function label(button, text) {
  button.setAttribute("aria-label", text);
  button.title = text;
}
