// Where the listener was on each page of the browser's history, so that Back leads to the same place and the same button.

import { findAll } from "../page/dom.js";

const RESTORE_MS = 4000; // a page that is drawn piece by piece may need so long to be tall enough
const LABELS = ["id", "href", "data-action", "data-track-id"];

/**
 * @typedef {object} Place
 * @property {number} scrollY pixels
 * @property {string} selector of what had the focus; empty: nothing of the page
 * @property {number} position of it among what the selector matches
 */

/** @type {Map<number, Place>} by the number of the history's entry */
const placeByEntry = new Map();
let entry = 0;
let lastEntry = 0;

export function wirePlaces() {
  history.scrollRestoration = "manual";
  entry = lastEntry = history.state?.entry ?? 0;
  history.replaceState({ entry }, "");
}

/**
 * Notes the place on the page that is being left. To be called when the address has changed, before the page does.
 * @returns {Place | null} the place on the page that comes, where it is one that the listener comes back to
 */
export function changePlace() {
  placeByEntry.set(entry, currentPlace());
  const numberedEntry = history.state?.entry;
  entry = numberedEntry ?? lastEntry + 1;
  lastEntry = Math.max(lastEntry, entry);
  if (numberedEntry === undefined) history.replaceState({ entry }, "");
  return numberedEntry === undefined ? null : (placeByEntry.get(numberedEntry) ?? null);
}

/** @param {Place} place on the page that is shown */
export function restorePlace({ scrollY: leftAt, selector, position }) {
  const until = performance.now() + RESTORE_MS;
  let scrolledTo = -1; // by this function
  const restore = () => {
    if (scrolledTo >= 0 && Math.abs(scrollY - scrolledTo) > 1) return; // the listener scrolls
    const hasFocused = focusAt(selector, position);
    scrollTo(0, leftAt);
    scrolledTo = scrollY;
    const isThere = Math.abs(scrollY - leftAt) <= 1 && hasFocused;
    if (!isThere && performance.now() < until) requestAnimationFrame(restore);
  };
  restore();
}

/**
 * Replaces a part of the page. What has the focus in it has it afterwards, where it is there again.
 * @param {HTMLElement} part
 * @param {DocumentFragment} fresh
 */
export function replaceAround(part, fresh) {
  const { selector, position } = currentPlace();
  const hadFocus = part.contains(document.activeElement);
  part.replaceChildren(fresh);
  if (hadFocus) focusAt(selector, position);
}

/**
 * @param {string} selector
 * @param {number} position
 * @returns {boolean} whether what is to have the focus is there, or nothing is to
 */
function focusAt(selector, position) {
  const matches = selector ? findAll(selector) : [];
  (matches[position] ?? matches[0])?.focus({ preventScroll: true });
  return !selector || matches.length > 0;
}

function currentPlace() {
  const focused = document.activeElement;
  const selector = focused?.closest("#content, #top") ? selectorOf(focused) : "";
  const position = selector ? findAll(selector).indexOf(/** @type {HTMLElement} */ (focused)) : 0;
  return { scrollY, selector, position };
}

/** @param {Element} element */
function selectorOf(element) {
  const card = element.closest("[data-track-id]");
  const own = attributesOf(element);
  if (!own) return "";
  return card && card !== element ? `${attributesOf(card)} ${own}` : own;
}

/** @param {Element} element */
const attributesOf = (element) =>
  LABELS.filter((name) => element.hasAttribute(name))
    .map((name) => `[${name}="${CSS.escape(element.getAttribute(name) ?? "")}"]`)
    .join("");
