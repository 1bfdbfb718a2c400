// The order of a playlist's tracks: moved by a handle, with the pointer or the arrow keys, in place and at once.

import { findAll } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { change, openPlaylistId, refreshPage, removeFromPlaylist } from "./playlists.js";

const ROWS = ".playlist-rows"; // a long list is several of them, one after another
const SCROLL_EDGE_PX = 90;
const SCROLL_STEP_PX = 14;

/** @type {HTMLElement | null} the row that the pointer moves */
let moving = null;
/** @type {HTMLElement | null} before which it would come */
let target = null;

export function wirePlaylistRows() {
  document.addEventListener("keydown", onKey, true); // before the keys of all cards
  document.addEventListener("pointerdown", onDown);
  document.addEventListener("pointermove", onMove);
  document.addEventListener("pointerup", () => onUp(true));
  document.addEventListener("pointercancel", () => onUp(false));
}

const rows = () => findAll(`${ROWS} > .card`);

/**
 * The row of an event on a handle.
 * @param {Event} event
 * @returns {HTMLElement | null}
 */
function rowOf({ target: element }) {
  const handle = element instanceof Element ? element.closest(`${ROWS} .handle`) : null;
  return handle ? /** @type {HTMLElement | null} */ (handle.closest(".card")) : null;
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const row = rowOf(event);
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = rows();
  const position = all.indexOf(row);
  if (event.key === "ArrowUp" && position > 0) move(row, all[position - 1] ?? null);
  else if (event.key === "ArrowDown" && position < all.length - 1) move(row, all[position + 2] ?? null);
  else if (event.key === "Delete") removeRow(row);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/**
 * Removes a row's track from the playlist.
 * @param {HTMLElement} row
 */
function removeRow(row) {
  const { trackId = "", title = "" } = row.dataset;
  removeFromPlaylist({ id: trackId, title }, previousId(row));
}

/** @param {HTMLElement} row */
export function previousId(row) {
  const all = rows();
  return all[all.indexOf(row) - 1]?.dataset.trackId ?? null;
}

/** @param {PointerEvent} event */
function onDown(event) {
  const row = event.button === 0 ? rowOf(event) : null;
  if (!row) return;
  moving = row;
  target = null;
  row.classList.add("is-moving");
}

/** @param {PointerEvent} event */
function onMove({ clientX, clientY }) {
  if (!moving) return;
  if (clientY < SCROLL_EDGE_PX) scrollBy(0, -SCROLL_STEP_PX);
  if (clientY > innerHeight - SCROLL_EDGE_PX - 80) scrollBy(0, SCROLL_STEP_PX);
  const below = document.elementFromPoint(clientX, clientY)?.closest(`${ROWS} > .card`);
  clearMark();
  if (!(below instanceof HTMLElement) || below === moving) return void (target = null);
  const { top, height } = below.getBoundingClientRect();
  const isUpperHalf = clientY < top + height / 2;
  below.classList.add(isUpperHalf ? "drop-before" : "drop-after");
  target = below;
}

/** @param {boolean} isDropped */
function onUp(isDropped) {
  const row = moving;
  if (!row) return;
  const below = target;
  const isAfter = below?.classList.contains("drop-after");
  moving = target = null;
  row.classList.remove("is-moving");
  clearMark();
  if (!isDropped || !below) return;
  const all = rows();
  const before = isAfter ? (all[all.indexOf(below) + 1] ?? null) : below;
  if (before !== row) move(row, before);
}

function clearMark() {
  for (const row of findAll(".drop-before, .drop-after")) row.classList.remove("drop-before", "drop-after");
}

/**
 * Moves a row before another one, and tells the server.
 * @param {HTMLElement} row
 * @param {HTMLElement | null} before null: to the end
 */
async function move(row, before) {
  const id = openPlaylistId();
  const { trackId = "", title = "" } = row.dataset;
  const oldPrevious = previousId(row);
  const hadFocus = row.contains(document.activeElement);
  const isWhole = putBefore(row, before);
  if (hadFocus) /** @type {HTMLElement | null} */ (row.querySelector(".handle"))?.focus();
  const after = previousId(row);
  if (!id || after === oldPrevious) return;
  const isDone = await change(id, { place: { track_id: trackId, after } }, () => isWhole || refreshPage());
  if (!isDone) return refreshPage();
  const position = rows().indexOf(row) + 1;
  const undo = () => change(id, { place: { track_id: trackId, after: oldPrevious } });
  toast(position ? `“${title}” is now number ${position + offset()}.` : `“${title}” was moved.`, undo);
}

/** Number of tracks before the first row that is on the page. */
const offset = () => Number(rows()[0]?.parentElement?.dataset.offset ?? 0);

/**
 * Moves a row, and keeps the number of rows of each part of the list.
 * @param {HTMLElement} row
 * @param {HTMLElement | null} before
 * @returns {boolean} false where a part between is not loaded: the page has to be shown again
 */
function putBefore(row, before) {
  const parts = findAll(ROWS).filter((part) => part.firstElementChild);
  const from = /** @type {HTMLElement} */ (row.parentElement);
  const to = /** @type {HTMLElement} */ (before?.parentElement ?? parts.at(-1));
  to.insertBefore(row, before);
  const [first, last] = [parts.indexOf(from), parts.indexOf(to)];
  for (let number = first; number < last; number += 1) {
    const moved = parts[number + 1]?.firstElementChild;
    if (moved) parts[number]?.append(moved);
  }
  for (let number = first; number > last; number -= 1) {
    const moved = parts[number - 1]?.lastElementChild;
    if (moved) parts[number]?.prepend(moved);
  }
  return Math.abs(first - last) <= 1 || findAll(ROWS).length === parts.length;
}
