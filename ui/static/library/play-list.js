// Playing a list that is not on the page, or not all of it: an album from its card, a playlist of which the first tracks are loaded.

import { get } from "../api.js";
import { findAll, parseHtml } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { contextOf, playCards, playFrom } from "../playback/play-from.js";
import { trackOf } from "../track.js";
import { addressOfPart } from "./paged-list.js";

/** @typedef {import("../api.js").Answer<import("../api.js").Html>} HtmlAnswer */

const MOST_TRACKS = 1000; // of a list in the queue
const PART = 200; // the server sends at most so many at once

/**
 * Plays the tracks at the button's data-list.
 * @param {HTMLElement} button data-context-… tells what the list is, where its markup does not
 */
export async function playList({ dataset }) {
  const { list = "", contextKind, contextId, contextTitle, contextAddress } = dataset;
  /** @type {HtmlAnswer} */
  const answer = await get(list);
  if (!answer.ok) return toast(answer.error);
  const about = { kind: contextKind, id: contextId, title: contextTitle, address: contextAddress };
  playLoadedAndRest(parseHtml(answer.html), null, contextKind === undefined ? {} : about);
}

/**
 * Plays the cards of a part of the page as a list, with what of the list is not loaded.
 * @param {ParentNode | null} part
 * @param {HTMLElement | null} [card] the card that starts
 * @param {Partial<import("../playback/queue/queue.js").PlayContext>} [about] what the part itself does not tell
 */
export async function playLoadedAndRest(part, card = null, about = {}) {
  const cards = part ? findAll(".card", part) : [];
  const lists = part ? findAll("[data-paged]", part) : []; // of one address: the discs of an album
  const [list] = lists;
  const total = lists.reduce((sum, { dataset }) => sum + Number(dataset.total), 0);
  const first = card ?? cards[0];
  if (!first || !list || total <= cards.length) return playCards(part, card, about);
  const block = /** @type {HTMLElement | null} */ (card?.closest("[data-offset], [data-first]") ?? null);
  const start = Number(block?.dataset.first ?? 0) + Number(block?.dataset.offset ?? 0);
  const requests = [];
  for (let offset = start; offset < Math.min(total, start + MOST_TRACKS); offset += PART) {
    requests.push(get(addressOfPart(list.dataset.paged ?? "", offset, PART)));
  }
  const answers = /** @type {HtmlAnswer[]} */ (await Promise.all(requests));
  const tracks = answers.flatMap((answer) => (answer.ok ? findAll(".card", parseHtml(answer.html)).map(trackOf) : []));
  const startId = card ? trackOf(card).id : null;
  const isComplete = answers.every(({ ok }) => ok) && (!startId || tracks.some(({ id }) => id === startId));
  if (isComplete) playFrom({ ...contextOf(first), ...about }, tracks, startId);
  else playCards(part, card, about);
}
