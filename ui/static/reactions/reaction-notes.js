// What a card says of the listener's reaction: it stays where it is, dimmed where the track is unwanted, with its undo.

import { create, find, findAll, isInView, required } from "../page/dom.js";
import { showStartProgress } from "./newcomer.js";

/** @typedef {import("../account/opinions.js").OpinionWord} OpinionWord */
/** @typedef {import("../account/opinions.js").Opinions} Opinions */

/** @type {[OpinionWord, string][]} the heart alone says that a track is liked */
const NOTES = [
  ["dislike", "Disliked"],
  ["less", "Less like this"],
  ["more", "More like this"],
];

/**
 * Shows the listener's reactions all over the page. Cheap to repeat: only what changed is drawn.
 * @param {Opinions} opinions
 */
export function showReactions(opinions) {
  showNotes(opinions);
  showMutedNames(opinions);
  showStartProgress(opinions);
}

/** @param {Opinions} opinions */
function showNotes(opinions) {
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
 * A name that is unmuted on its page stays there, to be muted again.
 * @param {Opinions} opinions
 */
function showMutedNames(opinions) {
  for (const item of findAll("[data-muted]")) {
    const button = required("button", HTMLElement, item);
    const isMuted = opinions.isMuted(item.dataset.muted ?? "");
    const label = isMuted ? "Unmute" : "Mute again";
    if (button.textContent === label) continue;
    item.classList.toggle("is-unmuted", !isMuted);
    button.textContent = label;
    button.setAttribute("aria-label", `${label} ${button.dataset.name}`);
    button.dataset.action = isMuted ? "unmute" : "mute-named";
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
export const isCardInSight = (trackId) => findAll(".card").some((card) => card.dataset.trackId === trackId && isInView(card));
