// What the listener thinks of a track: like, dislike, more, less. The one way to say it: drawn at once on every card of the
// track, sent, and undone on the card or, where none is in sight, in a message.

import { find } from "../page/dom.js";
import { trackOf } from "../track.js";
import { keepListInPlace } from "./list-update.js";

/** @typedef {import("../account/opinions.js").OpinionWord} OpinionWord */
/** @typedef {import("../track.js").Track} Track */
/** @typedef {{ opinions: import("../account/opinions.js").Opinions, player: import("../playback/player.js").Player }} Parts */

/** @type {Parts | null} */
let parts = null;

/** @param {Parts} wired */
export function wireReactions(wired) {
  parts = wired;
}

/**
 * Sets a reaction; one that is set already is taken back. A dislike of the current track plays the next one.
 * @param {string} trackId
 * @param {OpinionWord} word
 * @param {Track | null} [track] else the one of a card of the page
 */
export function react(trackId, word, track = trackOnPage(trackId)) {
  if (!parts || !track) return;
  keepListInPlace();
  const isSet = parts.opinions.toggle(word, track, contextOf(track, parts.player));
  if (word === "dislike" && isSet && parts.player.track?.id === trackId) parts.player.next();
}

/**
 * Takes a reaction back; what stood before it stands again.
 * @param {string} trackId
 * @param {OpinionWord} word
 * @param {Track | null} [track] else the one of a card of the page
 */
export function undoReaction(trackId, word, track = trackOnPage(trackId)) {
  if (parts && track) parts.opinions.takeBack(word, track, contextOf(track, parts.player));
}

/** @param {string} trackId */
function trackOnPage(trackId) {
  const card = find(`.card[data-track-id="${CSS.escape(trackId)}"]`);
  if (card) return trackOf(card);
  return parts?.player.track?.id === trackId ? parts.player.track : null;
}

/**
 * Fields of the event.
 * @param {Track} track
 * @param {import("../playback/player.js").Player} player
 */
function contextOf(track, player) {
  const isCurrent = player.track?.id === track.id;
  const durationMs = isCurrent ? player.durationMs : track.durationMs;
  return {
    ...(isCurrent && { position_ms: player.positionMs }),
    ...(durationMs && { duration_ms: durationMs }),
    ...(track.source && { source: track.source }),
    ...(track.modelVersion && { model_version: track.modelVersion }),
  };
}
