// The controls over "For you": the slider from familiar to adventurous, and a chip for each wish for a word and each muted name.

import { create, findAll, required, requiredInput } from "../page/dom.js";
import { nameOf, wishName } from "./opinions.js";

/** @typedef {import("./opinions.js").Opinions} Opinions */

/** @type {[number, string][]} the largest adventure of each level, and its name */
const LEVELS = [
  [0.19, "very familiar"],
  [0.44, "mostly familiar"],
  [0.55, "balanced"],
  [0.8, "mostly adventurous"],
  [Infinity, "very adventurous"],
];

/** @param {Opinions} opinions */
export function wireSteering(opinions) {
  const slider = requiredInput("#adventure");
  slider.addEventListener("input", () => tint(slider));
  slider.addEventListener("change", () => opinions.setAdventure(Number(slider.value) / 100));
  showSteering(opinions);
}

/** @param {Opinions} opinions */
export function showSteering(opinions) {
  const slider = requiredInput("#adventure");
  const isDragged = document.activeElement === slider && slider.matches(":active");
  if (!isDragged) slider.value = percent(opinions.adventure);
  tint(slider);
  const level = LEVELS.find(([most]) => opinions.adventure <= most);
  slider.setAttribute("aria-valuetext", level?.[1] ?? "");
  showChips(opinions);
  for (const button of findAll("[data-action=wish][aria-pressed]")) {
    const isPressed = opinions.wishes[button.dataset.target ?? ""] === button.dataset.wish;
    button.setAttribute("aria-pressed", String(isPressed));
  }
}

/** @param {Opinions} opinions */
function showChips(opinions) {
  const wishes = Object.entries(opinions.wishes).sort();
  const keys = [...wishes.map(([target, word]) => `${word} ${target}`), ...opinions.muted];
  const shown = findAll("#muted-chips .chip").map((chip) => chip.dataset.key);
  if (shown.join("\n") === keys.join("\n")) return; // a chip that has the focus keeps it
  const chip = (/** @type {string} */ text, /** @type {object} */ names, /** @type {() => void} */ onclick) =>
    create("button", { type: "button", ...names, onclick }, `${text} ×`);
  const wished = wishes.map(([target, word]) => {
    const text = wishName(target, word);
    const names = { className: "chip wish", title: "Take back", "aria-label": `Take back ${text}`, "data-key": `${word} ${target}` };
    return chip(text, names, () => opinions.wish(target, word));
  });
  const muted = opinions.muted.map((target) => {
    const names = { className: "chip", title: "Unmute", "aria-label": `Unmute ${nameOf(target)}`, "data-key": target };
    return chip(nameOf(target), names, () => opinions.mute(target, false));
  });
  required("#muted-chips").replaceChildren(...wished, ...muted);
}

/** @param {number} adventure */
const percent = (adventure) => String(Math.round(adventure * 100));

/** @param {HTMLInputElement} slider */
const tint = (slider) => slider.style.setProperty("--share", `${slider.value}%`);
