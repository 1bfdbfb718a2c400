// The shelves below "For you". They are renewed where nobody looks: a shelf in view, or with the focus, stays as it is.

import { replaceAround } from "../navigation/places.js";
import { find, findAll, isInView, required } from "../page/dom.js";
import { toast } from "../page/messages.js";

/**
 * Puts new shelves in place, and tells by how many tracks the library has grown since the shelves before.
 * @param {DocumentFragment} fresh
 * @param {boolean} isInPlace whether the listener may be looking at them
 */
export function showShelves(fresh, isInPlace) {
  const home = required("#home-more");
  const growth = sizeIn(fresh) - (home.childElementCount ? sizeIn(home) : sizeIn(fresh));
  if (isInPlace && home.childElementCount) renew(home, fresh);
  else replaceAround(home, fresh);
  if (growth > 0) toast(`${growth.toLocaleString("en")} ${growth === 1 ? "track" : "tracks"} added to your library.`);
}

/**
 * @param {HTMLElement} home
 * @param {DocumentFragment} fresh
 */
function renew(home, fresh) {
  const present = new Map(shelvesOf(home).map((shelf) => [keyOf(shelf), shelf]));
  const freshKeys = new Set(shelvesOf(fresh).map(keyOf));
  for (const [key, shelf] of present) if (!freshKeys.has(key) && !isLookedAt(shelf)) shelf.remove();
  find("#library-size", home)?.replaceWith(required("#library-size", HTMLElement, fresh));
  /** @type {Element | null} */
  let before = find("#library-size", home);
  for (const shelf of shelvesOf(fresh)) {
    const shown = present.get(keyOf(shelf));
    if (!shown) before?.after(shelf);
    else if (!isLookedAt(shown)) shown.replaceWith(shelf);
    before = shown?.isConnected ? shown : shelf;
  }
}

/** @param {ParentNode} part */
const sizeIn = (part) => Number(find("#library-size", part)?.dataset.tracks ?? 0);

/** @param {ParentNode} part */
const shelvesOf = (part) => findAll("section", part);

/** @param {HTMLElement} shelf */
const keyOf = (shelf) => shelf.dataset.list ?? (shelf.id || shelf.getAttribute("aria-label")) ?? "";

/** @param {HTMLElement} shelf */
const isLookedAt = (shelf) => shelf.contains(document.activeElement) || isInView(shelf);
