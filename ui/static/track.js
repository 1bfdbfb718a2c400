// A track as the scripts handle it, read from the attributes of its card.

import { create, required } from "./page/dom.js";

/**
 * @typedef {object} Track
 * @property {string} id
 * @property {string} title
 * @property {string} artist
 * @property {string} [album]
 * @property {string} [albumId]
 * @property {string} [licence] name of the licence; empty where none is stated
 * @property {string} [licenceUrl]
 * @property {string} [artistToMute] the artist as the library has it; empty where unknown
 * @property {string} [genreToMute]
 * @property {number | null} durationMs
 * @property {string} source where it was played from: for-you, search, similar, …
 * @property {string} [modelVersion] of the model that recommended it
 */

/**
 * The track of a card made by ui/page/cards.py.
 * @param {HTMLElement} card
 * @returns {Track}
 */
export function trackOf(card) {
  const { trackId = "", title = "", artist = "", album, albumId, licence, licenceUrl } = card.dataset;
  const { mutedArtist, mutedGenre, durationMs } = card.dataset;
  const list = /** @type {HTMLElement | null} */ (card.closest(".cards"));
  return {
    id: trackId,
    title,
    artist,
    album,
    albumId,
    licence,
    licenceUrl,
    artistToMute: mutedArtist,
    genreToMute: mutedGenre,
    durationMs: Number(durationMs) || null,
    source: list?.dataset.source ?? "",
    modelVersion: list?.dataset.modelVersion,
  };
}

/**
 * The first card in a piece of HTML.
 * @param {ParentNode} html
 */
export const firstCard = (html) => required(".card", HTMLElement, html);

/**
 * A track's licence by its usual name, linked to its text where that is known.
 * @param {Pick<Track, "licence" | "licenceUrl">} track
 */
export function licenceLink({ licence, licenceUrl }) {
  if (!licenceUrl) return create("span", { title: licence ?? "" }, licence ?? "");
  const rel = "license noopener noreferrer";
  return create("a", { href: licenceUrl, target: "_blank", rel, title: licenceUrl }, licence ?? licenceUrl);
}

/**
 * "3:07" for 187,000 milliseconds; "0:00" where the time is unknown.
 * @param {number | null} milliseconds
 */
export function clock(milliseconds) {
  const seconds = Math.floor((milliseconds || 0) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
