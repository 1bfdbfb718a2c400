// Keys of the whole page, and the sheet that lists them. Those of a single letter can be switched off in the settings, for
// programs that read the page aloud or type by voice.

import { loadText, saveText } from "../storage.js";
import { create, createDialog, find, required } from "../page/dom.js";

/** @typedef {Record<"playPause" | "next" | "previous" | "search", () => void> & {
 *   seek: (seconds: number) => void, press: (id: string) => void, changeVolume: (percent: number) => void }} KeyActions */

const STORED_AS = "keys";
const OFF = "off";
const SEEK_S = 10;
const VOLUME_STEP = 5; // percent
const TEXT_FIELDS = "textarea, select, input:not([type=range], [type=file], [type=checkbox]), [contenteditable=true]";
const PRESSED_BY_SPACE = "button, a, summary, input[type=file], input[type=checkbox]";
const USES_ARROWS = "input[type=range], canvas, [role=menu], [role=listbox], [role=grid], [role=tablist], .scroll, audio";

/** @type {[string[], string][]} keys and what they do */
const SHEET = [
  [["Space"], "Play or pause"],
  [["Shift", "→"], "Next track"],
  [["Shift", "←"], "Previous track"],
  [["→"], `Forward ${SEEK_S} seconds`],
  [["←"], `Back ${SEEK_S} seconds`],
  [["L"], "Like or take back"],
  [["D"], "Dislike or take back"],
  [["+"], "Louder"],
  [["-"], "Quieter"],
  [["M"], "Mute or unmute"],
  [["Q"], "Queue"],
  [["/"], "Search"],
  [["?"], "This list"],
];
const PRESSED_BUTTONS = { l: "like-now", d: "dislike-now", m: "mute", q: "queue-toggle" };

export const areLettersOn = () => loadText(STORED_AS) !== OFF;

/** @param {boolean} isOn whether keys of a single letter work */
export const switchLetters = (isOn) => saveText(STORED_AS, isOn ? "on" : OFF);

export function createKeySheet() {
  createDialog(
    "keys-dialog",
    "keys-dialog-head",
    `<h2 id="keys-dialog-head">Keyboard shortcuts</h2><dl id="keys"></dl>
     <div class="choices"><button type="button" class="primary" data-close>Close</button></div>`,
  );
  for (const [keys, meaning] of SHEET) {
    const names = keys.map((key) => create("kbd", {}, key));
    required("#keys").append(create("div", {}, create("dt", {}, ...names), create("dd", {}, meaning)));
  }
}

export function openKeySheet() {
  const dialog = required("#keys-dialog", HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
}

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
    const isSpaceForPlayer = isFocusByPointer || !target.closest(PRESSED_BY_SPACE);
    const action = actionOf(event, actions, isSpaceForPlayer, !target.closest(USES_ARROWS));
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
 * @param {boolean} areArrowsFree
 */
function actionOf({ key, shiftKey }, actions, isSpaceForPlayer, areArrowsFree) {
  if (key === " " && isSpaceForPlayer) return actions.playPause;
  if (shiftKey && key === "ArrowRight") return actions.next;
  if (shiftKey && key === "ArrowLeft") return actions.previous;
  if (areArrowsFree && !shiftKey && key === "ArrowRight") return () => actions.seek(SEEK_S);
  if (areArrowsFree && !shiftKey && key === "ArrowLeft") return () => actions.seek(-SEEK_S);
  if (!areLettersOn()) return null;
  if (key === "/") return actions.search;
  if (key === "?") return openKeySheet;
  if (key === "+") return () => actions.changeVolume(VOLUME_STEP);
  if (key === "-") return () => actions.changeVolume(-VOLUME_STEP);
  const pressed = /** @type {Record<string, string>} */ (PRESSED_BUTTONS)[key.toLowerCase()];
  return pressed ? () => actions.press(pressed) : null;
}
