// What a card says of the listener's reaction: it stays where it is, dimmed where the track is unwanted, with its undo.

import { create, find, findAll, required } from "../page/dom.js";

/** @typedef {import("../account/opinions.js").OpinionWord} OpinionWord */
/** @typedef {import("../account/opinions.js").Opinions} Opinions */

/** @type {[OpinionWord, string][]} the heart alone says that a track is liked */
const NOTES = [
  ["dislike", "Disliked"],
  ["less", "Less like this"],
  ["more", "More like this"],
];

/**
 * Writes the notes on all cards. Cheap to repeat: only what changed is drawn.
 * @param {Opinions} opinions
 */
export function showReactionNotes(opinions) {
  for (const card of findAll(".card")) {
    const [word = "", text = ""] = NOTES.find(([each]) => opinions.has(card.dataset.trackId ?? "", each)) ?? [];
    const note = find(".reaction", card);
    if ((note?.dataset.word ?? "") === word) continue;
    const hadFocus = note?.contains(document.activeElement);
    note?.remove();
    card.dataset.reaction = word;
    if (word) find(".words", card)?.append(noteOf(word, text, card.dataset.title ?? ""));
    if (hadFocus) required(".cover", HTMLElement, card).focus({ preventScroll: true });
  }
}

/**
 * @param {string} word
 * @param {string} text
 * @param {string} title
 */
function noteOf(word, text, title) {
  const label = `Undo: ${text}, ${title}`;
  const undo = create("button", { type: "button", "data-action": "undo-reaction", "data-word": word, "aria-label": label }, "Undo");
  return create("p", { className: "reaction", "data-word": word }, create("span", {}, text), undo);
}

/**
 * Whether a card of the track is on the screen, where its reaction can be seen.
 * @param {string} trackId
 */
export function isCardInSight(trackId) {
  const cards = findAll(".card").filter((card) => card.dataset.trackId === trackId);
  return cards.some((card) => {
    const box = card.getBoundingClientRect();
    return card.getClientRects().length > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  });
}
