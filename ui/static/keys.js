// Keys of the whole page.

import { one } from "./dom.js";
import { focusSearch } from "./search.js";

let isPointed = false; // what has the focus got it from a pointer, not from the keyboard
let swallowed = null; // the key whose release must not press a button

export function wireKeys(player) {
  document.addEventListener("pointerdown", () => (isPointed = true), true);
  document.addEventListener("keydown", (event) => event.key === "Tab" && (isPointed = false), true);
  document.addEventListener("keydown", (event) => onKey(event, player));
  document.addEventListener("keyup", (event) => {
    if (event.key === swallowed) event.preventDefault();
    swallowed = null;
  });
}

function onKey(event, player) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (one("dialog[open], #menu") || isTyping(event.target)) return;
  if (event.key === " " && !isPressable(event.target)) player.toggle();
  else if (event.key === "/") focusSearch();
  else if (event.shiftKey && event.key === "ArrowRight") player.next();
  else if (event.shiftKey && event.key === "ArrowLeft") player.previous();
  else return;
  swallowed = event.key;
  event.preventDefault();
}

const TEXT = "textarea, select, input:not([type=range], [type=file]), [contenteditable=true]";
const isTyping = (target) => Boolean(target.closest?.(TEXT));

/** Whether Space presses what has the focus: after a click it means play and pause, as it does everywhere else. */
const isPressable = (target) => !isPointed && Boolean(target.closest?.("button, a, summary, input[type=file]"));
