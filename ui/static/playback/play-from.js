// Playing from a list: it goes on in that list, then in "For you". Whoever plays something calls `playFrom`.

import { find, findAll } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { trackOf } from "../track.js";

/** @typedef {import("../track.js").Track} Track */
/** @typedef {import("./queue/queue.js").PlayContext} PlayContext */

/** @type {import("./player.js").Player | null} */
let connectedPlayer = null;
/** @type {(track: Track) => boolean} */
let isDisliked = () => false;

/**
 * @param {import("./player.js").Player} player
 * @param {typeof isDisliked} isDislikedTrack disliked tracks of a list are passed over
 */
export function connectPlayer(player, isDislikedTrack) {
  connectedPlayer = player;
  isDisliked = isDislikedTrack;
}

/**
 * Plays a track of a list and goes on in it; where the track is the current one, pauses or resumes. What this replaces can be
 * brought back by the toast's "Undo".
 * @param {PlayContext} context the list
 * @param {Track[]} tracks of the list, in its order
 * @param {string | null} [startTrackId] null: the first that is not disliked, with shuffle any
 */
export function playFrom(context, tracks, startTrackId = null) {
  const player = connectedPlayer;
  if (!player || !tracks.length) return;
  const notDisliked = tracks.filter((track) => track.id === startTrackId || !isDisliked(track));
  const sourced = (notDisliked.length ? notDisliked : tracks).map((track) => ({ ...track, source: track.source || context.kind }));
  const undo = player.playFrom(context, sourced, startTrackId);
  if (undo) toast(context.title ? `Playing from ${context.title}.` : "Your list was replaced.", undo);
}

/**
 * Plays the cards of a part of the page as a list.
 * @param {ParentNode | null} part
 * @param {HTMLElement | null} [card] the card that starts
 * @param {Partial<PlayContext>} [about] what the part itself does not tell
 */
export function playCards(part, card = null, about = {}) {
  const cards = part ? findAll(".card", part) : [];
  const first = card ?? cards[0];
  if (!first) return;
  playFrom({ ...contextOf(first), ...about }, cards.map(trackOf), card ? trackOf(card).id : null);
}

/**
 * The list that a card is in: by data-context-kind, -id, -title and -address of the list; where they are missing, by its source,
 * the heading above it, and the page's address.
 * @param {HTMLElement} card
 * @returns {PlayContext}
 */
export function contextOf(card) {
  const list = /** @type {HTMLElement | null} */ (card.closest("[data-context-kind], .cards"));
  const { contextKind, contextId, contextTitle, contextAddress, source } = list?.dataset ?? {};
  const around = /** @type {HTMLElement | null} */ (card.closest("[data-context-title]"));
  const heading = find("h2", card.closest("section, article") ?? card)?.textContent?.trim();
  return {
    kind: contextKind ?? source ?? "",
    id: contextId ?? "",
    title: contextTitle ?? around?.dataset.contextTitle ?? heading ?? "",
    address: contextAddress ?? (location.hash || "#/"),
  };
}
