// Cards by keyboard: a list of cards is entered at one card, whose controls Tab reaches; the arrows lead to the same control of
// the cards beside it. A page of a hundred cards would take hundreds of Tabs otherwise.

import { find, findAll } from "../page/dom.js";

const CONTROLS = "button, a[href]";
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export function wireCardKeys() {
  document.addEventListener("focusin", ({ target }) => {
    const card = cardOf(target);
    if (card) enter(card);
  });
  document.addEventListener("keydown", (event) => {
    const card = cardOf(event.target);
    const step = /** @type {Record<string, number>} */ (STEPS)[event.key];
    if (!card || step === undefined || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    const control = /** @type {HTMLElement} */ (event.target);
    if (!control.matches(":focus-visible")) return; // it was clicked: the arrows are the player's
    const cards = cardsOf(card);
    const place = Math.max(0, Math.min(cards.length - 1, cards.indexOf(card) + step));
    const other = cards[place];
    if (!other || other === card) return;
    (sameControl(control, other) ?? find(CONTROLS, other))?.focus();
    event.preventDefault();
  });
}

/**
 * Leaves exactly one card of a list within the reach of Tab, also after its cards have changed.
 * @param {HTMLElement} list
 */
export function keepReachable(list) {
  const cards = findAll(":scope > .card", list);
  const reachable = cards.find((card) => card.dataset.entry === "true") ?? cards[0];
  if (reachable) enter(reachable);
}

/** @param {HTMLElement} card */
function enter(card) {
  for (const each of cardsOf(card)) {
    const isEntry = each === card;
    if (each.dataset.entry === String(isEntry)) continue;
    each.dataset.entry = String(isEntry);
    for (const control of findAll(CONTROLS, each)) control.tabIndex = isEntry ? 0 : -1;
  }
}

/** @param {HTMLElement} card */
const cardsOf = (card) => (card.parentElement ? findAll(":scope > .card", card.parentElement) : []);

/** @param {EventTarget | null} target */
const cardOf = (target) => /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest(".cards > .card") : null);

/**
 * @param {HTMLElement} control
 * @param {HTMLElement} card
 */
function sameControl(control, card) {
  const { action } = control.dataset;
  if (action) return find(`[data-action="${action}"]`, card);
  return find(control.closest(".artist") ? ".artist a" : ".title a", card);
}
