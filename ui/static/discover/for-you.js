// "For you" follows the listener: the page asks for the news whenever it is told that there are some, and moves the cards.

import { get } from "../api.js";
import { find, findAll, parseHtml, prefersReducedMotion, required } from "../page/dom.js";
import { notice } from "../page/messages.js";
import { subscribe } from "../push.js";
import { ListRenewal, changesBetween, changesInWords } from "../reactions/list-renewal.js";
import { isListInSight, isListInUse, markChange, offerList, wireListUpdate } from "../reactions/list-update.js";

const RETRY_MS = 3000; // after an answer without a list
const MOVE_MS = 450;
const SERVER_AWAY = "Can't reach the player. Trying again…";
const LIBRARY_AWAY = "Can't reach your library. Trying again…";

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
/** @typedef {News & { html: string }} NewList */

let listMark = "";
let opinionsMark = "";
let retryTimer = 0;
/** Goes up with each listener: an answer for the one before is late. */
let listenerNumber = 0;
/** @type {Promise<void>} the request that runs, or the last one */
let running = Promise.resolve();
/** @type {Promise<void> | null} the one that follows it */
let waiting = null;
/** @type {(news: NewsAnswer) => void} */
let onNews = () => {};
/** @type {(list: NewList) => void} */
let onListShown = () => {};
/** @type {ListRenewal<NewList>} */
const renewal = new ListRenewal({
  show: (list, isFirst) => {
    showForYou(list, isFirst);
    onListShown(list);
  },
  isSame: (list) => shownIds().join() === idsIn(parseHtml(list.html)).join(),
  isInSight: isListInSight,
  isInUse: isListInUse,
  offer: (list) => offerList(list && changesInWords(changesBetween(shownIds(), idsIn(parseHtml(list.html))))),
});

/** @param {(list: NewList) => void} callback called when a list was put in place */
export function wireForYouList(callback) {
  onListShown = callback;
  wireListUpdate(
    () => renewal.showNow(),
    () => renewal.settle(),
  );
}

/** Another track has started: a list that waits may take its place. */
export const renewAtNextTrack = () => renewal.nextTrack();

/** @param {typeof onNews} callback called after every answer */
export function onForYouNews(callback) {
  onNews = callback;
}

/** Follows the list and the state of the services. */
export function wireForYou() {
  subscribe("list", refresh);
  subscribe("status", (status) => notice(noticeOf(status)));
}

/** Reloads list and opinions: the listener has changed. */
export function reload() {
  listMark = opinionsMark = "";
  listenerNumber += 1;
  return refresh();
}

/** Nobody has become a guest: the list stays where it is, and an answer for nobody is late. */
export function reloadForGuest() {
  listenerNumber += 1;
  return refresh();
}

/** Asks for news; calls while a request runs become one request after it. */
export function refresh() {
  waiting ??= running.then(() => {
    waiting = null;
    running = load();
    return running;
  });
  return waiting;
}

async function load() {
  clearTimeout(retryTimer);
  const number = listenerNumber;
  /** @type {NewsAnswer} */
  const news = await get(`/for-you?seen=${encodeURIComponent(listMark)}&mine=${encodeURIComponent(opinionsMark)}`);
  if (number !== listenerNumber) return; // another listener has come, and a request for them waits
  if (news.ok && !news.away) {
    if (news.html !== undefined) renewal.receive({ ...news, html: news.html }, listMark === "");
    listMark = news.mark;
    opinionsMark = news.mine ?? "";
  } else retryTimer = setTimeout(refresh, RETRY_MS);
  notice(news.ok ? noticeOf(news) : news.status === 0 ? SERVER_AWAY : news.error);
  onNews(news);
}

/** @param {import("../push.js").Status} status */
function noticeOf({ away, connected, waiting: count }) {
  if (away) return LIBRARY_AWAY;
  if (connected) return "";
  const later = count === 1 ? " 1 play or like is kept and counts later." : count ? ` ${count} plays and likes are kept and count later.` : "";
  return `Recommendations are paused; the music plays on.${later}`;
}

/**
 * Puts the new list in place. Cards that stay are moved, not made again, so that pictures do not flicker.
 * @param {NewList} list its markup was escaped by the server, see ui/page/cards.py
 * @param {boolean} isFirst of this listener: nothing in it is marked as new
 */
function showForYou({ html, generation, personal }, isFirst) {
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
  const { added, moved } = changesBetween(shownIds(), idsIn(freshList));
  arrange(list, findAll(".card", freshList), isFirst);
  for (const card of findAll(".card", list)) {
    const id = card.dataset.trackId ?? "";
    markChange(card, isFirst ? "" : added.includes(id) ? "new" : moved.includes(id) ? "moved" : "");
  }
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
  const note = find(".reaction", words);
  if (note) freshWords.append(note);
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

/** Ids of the tracks of the list on the page. */
const shownIds = () => idsIn(required("#for-you"));

/** @param {ParentNode} part with a list */
const idsIn = (part) => findAll(".card", part).map((card) => card.dataset.trackId ?? "");

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
