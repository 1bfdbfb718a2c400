// Marks on the cards and the bar: which track plays, which are liked.

import { find, findAll } from "./dom.js";
import { keepReachable } from "../navigation/card-keys.js";

/**
 * @typedef {object} Marks
 * @property {string | null} currentId
 * @property {boolean} isPlaying
 * @property {(trackId: string, opinion: import("../account/opinions.js").OpinionWord) => boolean} has
 */

/**
 * Marks all cards. Cheap to repeat: only what changed is drawn.
 * @param {Marks} marks
 */
export function markCards({ currentId, isPlaying, has }) {
  for (const card of findAll(".card")) {
    const { trackId = "", title, artist } = card.dataset;
    const isCurrent = trackId === currentId;
    card.classList.toggle("is-current", isCurrent);
    card.classList.toggle("is-playing", isCurrent && isPlaying);
    const label = `${isCurrent && isPlaying ? "Pause" : "Play"} ${title} by ${artist}`;
    const play = find("[data-action=play]", card);
    if (play) setAttribute(play, "aria-label", label);
    setPressed(find("[data-action=like]", card), has(trackId, "like"));
  }
  for (const list of findAll(".cards")) keepReachable(list);
  if (currentId === null) return;
  setPressed(find("#like-now"), has(currentId, "like"));
  setPressed(find("#dislike-now"), has(currentId, "dislike"));
}

/**
 * @param {HTMLElement | null} button
 * @param {boolean} isPressed
 */
const setPressed = (button, isPressed) => button && setAttribute(button, "aria-pressed", String(isPressed));

/**
 * Sets only what changed.
 * @param {HTMLElement} element
 * @param {string} name
 * @param {string} value
 */
function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
