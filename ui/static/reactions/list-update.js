// "Updated": the quiet line above "For you" that says that a new list waits, and what is new in it.

import { create, find, findAll, isInView, required } from "../page/dom.js";
import { say } from "../page/messages.js";

const IN_USE_MS = 5000; // after a touch, a click or a key, the next one may be meant for the same spot

let usedAt = -Infinity;

/**
 * @param {() => void} onShow called when the listener asks for the new list
 * @param {() => void} onOutOfSight called when the list may have gone out of sight
 */
export function wireListUpdate(onShow, onOutOfSight) {
  const section = required("#for-you");
  section.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element) || !target.closest("#list-update button")) return;
    onShow(); // the button leaves, and the list gets its focus
    find("#for-you .cover")?.focus({ preventScroll: true });
  });
  for (const event of ["pointerdown", "keydown"]) {
    const onUse = (/** @type {Event} */ { target }) => {
      const isUse = target instanceof Element && target.closest("#for-you, #menu"); // a card's menu is of the list
      usedAt = isUse ? Date.now() : -Infinity; // elsewhere: one has gone on
    };
    document.addEventListener(event, onUse, true);
  }
  const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting || onOutOfSight());
  observer.observe(section.parentElement ?? section);
  document.addEventListener("visibilitychange", () => document.hidden && onOutOfSight());
}

/** Something is told on a card, with its undo: the list stays a while although another track starts. */
export function keepListInPlace() {
  usedAt = Date.now();
}

/** Whether any of "For you" is on the screen. */
export const isListInSight = () => !document.hidden && findAll("#for-you .card").some(isInView);

/** Whether the listener may be about to press something in "For you". */
export function isListInUse() {
  const hasFocusByKey = find("#for-you :focus-visible") !== null;
  return hasFocusByKey || Date.now() - usedAt < IN_USE_MS || find("#menu, dialog[open]") !== null;
}

/** @param {string | null} changes "5 new, 2 moved" in the list that waits; null: none waits */
export function offerList(changes) {
  find("#list-update")?.remove();
  const place = find("#for-you .section-head");
  if (changes === null || !place) return;
  const label = `Updated: ${changes}. Show the new list`;
  const show = create("button", { type: "button", "aria-label": label }, "Show");
  const words = create("span", {}, "Updated", create("span", { className: "changes" }, `: ${changes}`));
  place.append(create("span", { id: "list-update" }, words, show));
  say(`Updated: ${changes}.`);
}

/**
 * Marks what is new in the list that was just put in place.
 * @param {HTMLElement} card
 * @param {"new" | "moved" | ""} change
 */
export function markChange(card, change) {
  if (change) card.dataset.change = change;
  else delete card.dataset.change;
}
