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
  else if (!news.connected)
    notice(`Kafka is away. ${news.waiting || "No"} ${news.waiting === 1 ? "event is" : "events are"} kept and sent later; the music plays on.`);
  else notice("");
  told(news);
  clearTimeout(pollTimer);
  const pause = document.hidden ? HIDDEN_POLL_MS : Date.now() < hurryUntil ? HURRY_POLL_MS : POLL_MS;
  pollTimer = setTimeout(refresh, pause);
}

export function hurry() {
  hurryUntil = Date.now() + HURRY_MS;
  clearTimeout(pollTimer);
  pollTimer = setTimeout(refresh, HURRY_POLL_MS);
}

/** Puts the new list in place: cards that stay are moved, not made again, so pictures do not flicker. */
function showForYou(news) {
  const section = one("#for-you");
  const fresh = parsed(news.html); // escaped by the server, see ui/cards.py
  const isFirst = mark === "";
  section.dataset.generation = news.generation ?? "";
  section.dataset.personal = news.personal ?? "";
  const list = one(".cards", section);
  const wanted = one(".cards", fresh);
  if (!list || !wanted) return section.replaceChildren(fresh);
  const focused = document.activeElement;
  const before = new Map(all(".card", list).map((card) => [card.dataset.trackId, card]));
  const places = new Map([...before.values()].map((card) => [card, card.getBoundingClientRect()]));
  one(".section-head", section).replaceWith(one(".section-head", fresh));
  Object.assign(list.dataset, wanted.dataset);
  all(".card", wanted).forEach((card, position) => {
    const kept = before.get(card.dataset.trackId);
    if (kept) {
      Object.assign(kept.dataset, card.dataset);
      if (one(".words", kept).innerHTML !== one(".words", card).innerHTML) one(".words", kept).replaceWith(one(".words", card));
      const [doings, wanted] = [one(".doings", kept), one(".doings", card)];
      if (doings.childElementCount !== wanted.childElementCount) doings.replaceWith(wanted);
    }
    before.delete(card.dataset.trackId);
    const placed = kept ?? card;
    if (list.children[position] !== placed) list.insertBefore(placed, list.children[position] ?? null);
    if (!kept && !isFirst) placed.classList.add("is-new");
  });
  for (const gone of before.values()) gone.remove();
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  glide(places);
}

/** Cards that moved are seen to move. */
function glide(places) {
  if (isCalm()) return;
  for (const [card, from] of places) {
    if (!card.isConnected) continue;
    const to = card.getBoundingClientRect();
    if (from.left === to.left && from.top === to.top) continue;
    const start = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
    card.animate([{ transform: start }, { transform: "none" }], { duration: 450, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
}
