// What the listener thinks of a track: like, dislike, more, less. The one way to say it: drawn at once on every card of the
// track, sent, and undone on the card or, where none is in sight, in a message.

import { keepListInPlace } from "./list-update.js";

/** @typedef {import("../account/opinions.js").OpinionWord} OpinionWord */
/** @typedef {import("../track.js").Track} Track */
/** @typedef {{ opinions: import("../account/opinions.js").Opinions, player: import("../playback/player.js").Player }} Parts */

/**
 * Sets a reaction; one that is set already is taken back. A dislike of the current track plays the next one.
 * @param {Parts} parts
 * @param {OpinionWord} word
 * @param {Track} track
 */
export function react({ opinions, player }, word, track) {
  keepListInPlace();
  const isSet = opinions.toggle(word, track, contextOf(track, player));
  if (word === "dislike" && isSet && player.track?.id === track.id) player.next();
}

/**
 * Takes a reaction back; what stood before it stands again.
 * @param {Parts} parts
 * @param {OpinionWord} word
 * @param {Track} track
 */
export function undoReaction({ opinions, player }, word, track) {
  opinions.takeBack(word, track, contextOf(track, player));
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
