// The controls over "For you": the slider from familiar to adventurous, and a chip for each muted name.

import { create, findAll, required, requiredInput } from "../page/dom.js";
import { nameOf } from "./opinions.js";

/** @typedef {import("./opinions.js").Opinions} Opinions */

/** @type {[number, string][]} the largest adventure of each level, and its name */
const LEVELS = [
  [0.19, "very familiar"],
  [0.44, "mostly familiar"],
  [0.55, "balanced"],
  [0.8, "mostly adventurous"],
  [Infinity, "very adventurous"],
];

/**
 * @param {Opinions} opinions
 * @param {() => boolean} requireListener
 */
export function wireSteering(opinions, requireListener) {
  const slider = requiredInput("#adventure");
  slider.addEventListener("input", () => tint(slider));
  slider.addEventListener("change", () => {
    if (requireListener()) opinions.setAdventure(Number(slider.value) / 100);
    else slider.value = percent(opinions.adventure);
  });
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
  showMuted(opinions);
}

/** @param {Opinions} opinions */
function showMuted(opinions) {
  const shown = findAll("#muted-chips .chip").map((chip) => chip.dataset.target);
  if (shown.join("\n") === opinions.muted.join("\n")) return; // a chip that has the focus keeps it
  const chips = opinions.muted.map((target) => {
    const label = `Unmute ${nameOf(target)}`;
    const names = { className: "chip", title: "Unmute", "aria-label": label, "data-target": target };
    const onclick = () => opinions.mute(target, false);
    return create("button", { type: "button", ...names, onclick }, `${nameOf(target)} ×`);
  });
  required("#muted-chips").replaceChildren(...chips);
}

/** @param {number} adventure */
const percent = (adventure) => String(Math.round(adventure * 100));

/** @param {HTMLInputElement} slider */
const tint = (slider) => slider.style.setProperty("--share", `${slider.value}%`);
