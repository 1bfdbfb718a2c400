// "For you" follows the listener: the page polls for news, more often after an action, and moves the cards.

import { get } from "../api.js";
import { find, findAll, parseHtml, prefersReducedMotion, required } from "../page/dom.js";
import { notice } from "../page/messages.js";

const POLL_MS = 1000;
const POLL_AFTER_ACTION_MS = 250; // a new list is on its way
const AFTER_ACTION_MS = 5000;
const POLL_HIDDEN_MS = 5000; // in a background tab
const MOVE_MS = 450;

/**
 * What changed since the marks that the page sent.
 * @typedef {object} News
 * @property {string | null} listener who is listening
 * @property {boolean} connected whether Kafka takes events
 * @property {number} waiting events queued on the server
 * @property {string} [away] why the library is unavailable
 * @property {string} mark of the list
 * @property {string} [mine] mark of the opinions
 * @property {string} [html] the list; missing: unchanged
 * @property {number | null} [generation]
 * @property {boolean} [personal] whether the list is the listener's own
 */
/** @typedef {News & import("../account/opinions.js").ServerOpinions} NewsWithOpinions */
/** @typedef {import("../api.js").Answer<NewsWithOpinions>} NewsAnswer */

let listMark = "";
let opinionsMark = "";
let fastUntil = 0;
let pollTimer = 0;
/** @type {(news: NewsAnswer) => void} */
let onNews = () => {};

/** @param {typeof onNews} callback called after every answer */
export function onForYouNews(callback) {
  onNews = callback;
}

/** Reloads list and opinions: the listener has changed. */
export function reload() {
  listMark = opinionsMark = "";
  return refresh();
}

/** Asks for news now, and again after a while. */
export async function refresh() {
  clearTimeout(pollTimer);
  /** @type {NewsAnswer} */
  const news = await get(`/for-you?seen=${encodeURIComponent(listMark)}&mine=${encodeURIComponent(opinionsMark)}`);
  if (news.ok && !news.away) {
    if (news.html !== undefined) showForYou(news.html, news);
    listMark = news.mark;
    opinionsMark = news.mine ?? "";
  }
  notice(noticeOf(news));
  onNews(news);
  clearTimeout(pollTimer);
  const pause = document.hidden ? POLL_HIDDEN_MS : Date.now() < fastUntil ? POLL_AFTER_ACTION_MS : POLL_MS;
  pollTimer = setTimeout(refresh, pause);
}

/** Polls more often for a while: the listener has done something. */
export function pollFaster() {
  fastUntil = Date.now() + AFTER_ACTION_MS;
  clearTimeout(pollTimer);
  pollTimer = setTimeout(refresh, POLL_AFTER_ACTION_MS);
}

/** @param {NewsAnswer} news */
function noticeOf(news) {
  if (news.status === 0) return "The server is unavailable. The page reconnects automatically.";
  if (!news.ok) return news.error;
  if (news.away) return news.away;
  if (news.connected) return "";
  const queued = `${news.waiting || "No"} ${news.waiting === 1 ? "event is" : "events are"} queued`;
  return `Kafka is unavailable. ${queued} and sent later; playback continues.`;
}

/**
 * Puts the new list in place. Cards that stay are moved, not made again, so that pictures do not flicker.
 * @param {string} html escaped by the server, see ui/page/cards.py
 * @param {News} news
 */
function showForYou(html, { generation, personal }) {
  const section = required("#for-you");
  const fresh = parseHtml(html);
  section.dataset.generation = String(generation ?? "");
  section.dataset.personal = String(personal ?? "");
  const list = find(".cards", section);
  const freshList = find(".cards", fresh);
  if (!list || !freshList) return section.replaceChildren(fresh);
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const focusedPosition = findAll(".card", list).findIndex((card) => card.contains(focused));
  const places = new Map(findAll(".card", list).map((card) => [card, card.getBoundingClientRect()]));
  required(".section-head", HTMLElement, section).replaceWith(required(".section-head", HTMLElement, fresh));
  Object.assign(list.dataset, freshList.dataset);
  arrange(list, findAll(".card", freshList), listMark === "");
  if (focused && focused !== document.activeElement) {
    const position = Math.min(focusedPosition, list.childElementCount - 1);
    restoreFocus(focused, findAll(".card", list)[position]);
  }
  animateMoves(places);
}

/**
 * The list's cards become these, in their order.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} cards
 * @param {boolean} isFirst none of them is marked as new
 */
function arrange(list, cards, isFirst) {
  const leaving = new Map(findAll(".card", list).map((card) => [card.dataset.trackId, card]));
  cards.forEach((card, position) => {
    const present = leaving.get(card.dataset.trackId);
    leaving.delete(card.dataset.trackId);
    if (present) update(present, card);
    else if (!isFirst) card.classList.add("is-new");
    const placed = present ?? card;
    if (list.children[position] !== placed) list.insertBefore(placed, list.children[position] ?? null);
  });
  for (const card of leaving.values()) card.remove();
}

/**
 * @param {HTMLElement} card on the page
 * @param {HTMLElement} fresh the same track's card in the new list
 */
function update(card, fresh) {
  Object.assign(card.dataset, fresh.dataset);
  const [words, freshWords] = [required(".words", HTMLElement, card), required(".words", HTMLElement, fresh)];
  if (words.innerHTML !== freshWords.innerHTML) words.replaceWith(freshWords);
  const [actions, freshActions] = [card, fresh].map((each) => required(".card-actions", HTMLElement, each));
  if (actions?.childElementCount !== freshActions?.childElementCount) actions?.replaceWith(freshActions ?? "");
}

/**
 * What had the focus keeps it; where it left, the same button of the card that is at its place gets it.
 * @param {HTMLElement} focused
 * @param {HTMLElement | undefined} card
 */
function restoreFocus(focused, card) {
  if (focused.isConnected) return focused.focus({ preventScroll: true });
  if (!card) return;
  const same = find(`[data-action="${focused.dataset.action ?? "play"}"]`, card);
  (same ?? required(".cover", HTMLElement, card)).focus({ preventScroll: true });
}

/** @param {Map<HTMLElement, DOMRect>} places of the cards before they moved */
function animateMoves(places) {
  if (prefersReducedMotion()) return;
  for (const [card, before] of places) {
    if (!card.isConnected) continue;
    const after = card.getBoundingClientRect();
    if (before.left === after.left && before.top === after.top) continue;
    const start = `translate(${before.left - after.left}px, ${before.top - after.top}px)`;
    const easing = "cubic-bezier(.2,.7,.2,1)";
    card.animate([{ transform: start }, { transform: "none" }], { duration: MOVE_MS, easing });
  }
}
