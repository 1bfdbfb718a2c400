// Playing a list that is not on the page: an album from its card, all tracks of an artist.

import { get } from "../api.js";
import { parseHtml } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { playCards } from "../playback/play-from.js";

/** @typedef {import("../api.js").Answer<import("../api.js").Html>} HtmlAnswer */

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
  playCards(parseHtml(answer.html), null, contextKind === undefined ? {} : about);
}
