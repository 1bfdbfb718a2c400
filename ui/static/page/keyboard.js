// Keys of the whole page: Space, "/", Shift with the arrows.

import { find } from "./dom.js";

/**
 * @typedef {object} KeyActions
 * @property {() => void} playPause
 * @property {() => void} next
 * @property {() => void} previous
 * @property {() => void} search
 */

const TEXT_FIELDS = "textarea, select, input:not([type=range], [type=file]), [contenteditable=true]";
const PRESSED_BY_SPACE = "button, a, summary, input[type=file]";

/** @param {KeyActions} actions */
export function wireKeyboard(actions) {
  let isFocusByPointer = false; // the focused element was clicked, not reached by Tab
  /** @type {string | null} */
  let handledKey = null; // its release must not press a button
  document.addEventListener("pointerdown", () => (isFocusByPointer = true), true);
  document.addEventListener("keydown", ({ key }) => key === "Tab" && (isFocusByPointer = false), true);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (find("dialog[open], #menu") || target.closest(TEXT_FIELDS)) return;
    // After a click, Space means play and pause, as in other players; after Tab it presses what has the focus.
    const action = actionOf(event, actions, isFocusByPointer || !target.closest(PRESSED_BY_SPACE));
    if (!action) return;
    action();
    handledKey = event.key;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === handledKey) event.preventDefault();
    handledKey = null;
  });
}

/**
 * @param {KeyboardEvent} event
 * @param {KeyActions} actions
 * @param {boolean} isSpaceForPlayer
 */
function actionOf({ key, shiftKey }, actions, isSpaceForPlayer) {
  if (key === " " && isSpaceForPlayer) return actions.playPause;
  if (key === "/") return actions.search;
  if (shiftKey && key === "ArrowRight") return actions.next;
  if (shiftKey && key === "ArrowLeft") return actions.previous;
  return null;
}
