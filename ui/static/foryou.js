// "For you" follows the listener: the page asks for news, more often after something was done, and moves the cards.

import { all, get, isCalm, notice, one, parsed } from "./dom.js";
import * as opinions from "./opinions.js";

const POLL_MS = 1000;
const HURRY_POLL_MS = 250; // for a few seconds after something was done, when a new list is on its way
const HURRY_MS = 5000;
const HIDDEN_POLL_MS = 5000;

let mark = "";
let mine = "";
let hurryUntil = 0;
let pollTimer = 0;
let told = () => {};

/** callback(news): after every answer */
export function onNews(callback) {
  told = callback;
}

export function startOver() {
  mark = mine = "";
  return refresh();
}

export async function refresh() {
  clearTimeout(pollTimer);
  const news = await get(`/for-you?seen=${encodeURIComponent(mark)}&mine=${encodeURIComponent(mine)}`);
  if (news.ok && !news.away) {
    if (news.html !== undefined) showForYou(news);
    mark = news.mark;
    mine = news.mine ?? "";
    opinions.take(news);
  }
  if (news.status === 0) notice("The player's server does not answer. The page goes on by itself when it is back.");
  else if (!news.ok || news.away) notice(news.away ?? news.error);
  else if (!news.connected) notice(`Kafka is away. ${howMany(news.waiting)} kept and sent later; the music plays on.`);
  else notice("");
  told(news);
  clearTimeout(pollTimer);
  const pause = document.hidden ? HIDDEN_POLL_MS : Date.now() < hurryUntil ? HURRY_POLL_MS : POLL_MS;
  pollTimer = setTimeout(refresh, pause);
}

const howMany = (waiting) => `${waiting || "No"} ${waiting === 1 ? "event is" : "events are"}`;

export function hurry() {
  hurryUntil = Date.now() + HURRY_MS;
  clearTimeout(pollTimer);
  pollTimer = setTimeout(refresh, HURRY_POLL_MS);
}

/** Puts the new list in place: cards that stay are moved, not made again, so pictures do not flicker. */
function showForYou(news) {
  const section = one("#for-you");
  const fresh = parsed(news.html); // escaped by the server, see ui/page/cards.py
  section.dataset.generation = news.generation ?? "";
  section.dataset.personal = news.personal ?? "";
  const list = one(".cards", section);
  const freshList = one(".cards", fresh);
  if (!list || !freshList) return section.replaceChildren(fresh);
  const focused = document.activeElement;
  const held = focused?.closest(".card");
  const place = list.contains(held) ? [...list.children].indexOf(held) : -1;
  const spots = new Map(all(".card", list).map((card) => [card, card.getBoundingClientRect()]));
  one(".section-head", section).replaceWith(one(".section-head", fresh));
  Object.assign(list.dataset, freshList.dataset);
  arrange(list, all(".card", freshList), mark === "");
  if (focused !== document.activeElement) focusAgain(focused, list.children[Math.min(place, list.childElementCount - 1)]);
  glide(spots);
}

/** The list's cards become these, in their order. isFirst: none of them is news */
function arrange(list, cards, isFirst) {
  const before = new Map(all(".card", list).map((card) => [card.dataset.trackId, card]));
  cards.forEach((card, position) => {
    const kept = before.get(card.dataset.trackId);
    before.delete(card.dataset.trackId);
    if (kept) bringUpToDate(kept, card);
    else if (!isFirst) card.classList.add("is-new");
    const placed = kept ?? card;
    if (list.children[position] !== placed) list.insertBefore(placed, list.children[position] ?? null);
  });
  for (const gone of before.values()) gone.remove();
}

function bringUpToDate(kept, card) {
  Object.assign(kept.dataset, card.dataset);
  if (one(".words", kept).innerHTML !== one(".words", card).innerHTML) one(".words", kept).replaceWith(one(".words", card));
  const [held, fresh] = [one(".card-actions", kept), one(".card-actions", card)];
  if (held.childElementCount !== fresh.childElementCount) held.replaceWith(fresh);
}

/** What had the focus keeps it; where it went, the same button of the card that is at its place now gets it. */
function focusAgain(focused, card) {
  if (focused.isConnected) return focused.focus({ preventScroll: true });
  if (card) (one(`[data-action="${focused.dataset.action ?? "play"}"]`, card) ?? one(".cover", card)).focus({ preventScroll: true });
}

/** Cards that moved are seen to move. */
function glide(spots) {
  if (isCalm()) return;
  for (const [card, from] of spots) {
    if (!card.isConnected) continue;
    const to = card.getBoundingClientRect();
    if (from.left === to.left && from.top === to.top) continue;
    const start = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
    card.animate([{ transform: start }, { transform: "none" }], { duration: 450, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
}
