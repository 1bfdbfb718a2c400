// Likes, dislikes and steering. Events are what counts: the server answers with the opinions as they are, and the page shows
// what it has just sent until they come.

import { pathTo } from "./address.js";
import { all, get, one, toast } from "./dom.js";
import { send } from "./events.js";

let said = {}; // by track id: like or dislike, more or less, parted by a blank
const pending = new Map(); // by track id: what was said here since, in the same words
let muted = [];
let adventure = 0.5;
let changed = () => {};

const KINDS = { like: "verdict", dislike: "verdict", more: "wish", less: "wish" };
const PHRASES = { like: "You like", dislike: "Not for you:", more: "More like", less: "Less like" };

export function onChange(callback) {
  changed = callback;
}

const words = (trackId) => (pending.get(trackId) ?? said[trackId] ?? "").split(" ").filter(Boolean);
export const has = (trackId, word) => words(trackId).includes(word);
export const isMuted = (target) => muted.includes(target);

/** What the server knows; news without opinions leave them as they are. */
export function take(news) {
  if (news.opinions === undefined) return;
  said = news.opinions;
  const same = (a, b) => a.split(" ").sort().join(" ") === b.split(" ").sort().join(" ");
  for (const [trackId, held] of pending) if (same(said[trackId] ?? "", held)) pending.delete(trackId);
  muted = news.muted ?? [];
  adventure = news.adventure ?? 0.5;
  showSteering();
  changed();
}

export function forget() {
  said = {};
  pending.clear();
  muted = [];
  adventure = 0.5;
  showSteering();
}

/** Says what one thinks of a track; saying it again takes it back. Whether it was said.
 *  about: position, source and so on, which go along with the event */
export function say(action, track, about) {
  const before = words(track.id);
  const isTakenBack = before.includes(action);
  const after = before.filter((word) => KINDS[word] !== KINDS[action]);
  become(track, before, isTakenBack ? after : [...after, action], about);
  if (!isTakenBack) toast(`${PHRASES[action]} “${track.title}”.`, () => become(track, words(track.id), before, about));
  return !isTakenBack;
}

/** Sends what leads from one opinion to another: "unlike" takes a verdict back, "neutral" everything. */
function become(track, before, after, about) {
  const tell = (action) => send({ track_id: track.id, action, ...about });
  const isGone = (word) => !after.some((other) => KINDS[other] === KINDS[word]);
  const isWishGone = before.some((word) => KINDS[word] === "wish" && isGone(word));
  if (isWishGone) tell("neutral");
  else if (before.some((word) => KINDS[word] === "verdict" && isGone(word))) tell("unlike");
  for (const word of after) if (isWishGone || !before.includes(word)) tell(word);
  pending.set(track.id, after.join(" "));
  changed();
}

// ---- steering without a track

export function mute(target, isOn = true) {
  if (isOn === isMuted(target)) return;
  send({ action: isOn ? "mute" : "unmute", target });
  muted = isOn ? [...muted, target] : muted.filter((one) => one !== target);
  showSteering();
  changed();
  toast(`${named(target)} is ${isOn ? "muted" : "heard again"}.`, () => mute(target, !isOn));
}

function setAdventure(value) {
  const before = adventure;
  if (value === before) return;
  adventure = value;
  send({ action: "adventure", target: value.toFixed(2) });
  showSteering();
  const message = value > before ? "The list becomes more adventurous." : "The list keeps closer to what you know.";
  toast(message, () => setAdventure(before));
}

const LEVELS = [
  [0.19, "close to what you know"],
  [0.44, "rather familiar"],
  [0.55, "balanced"],
  [0.8, "rather adventurous"],
  [Infinity, "far from what you know"],
];

export const named = (target) => target.slice(target.indexOf(":") + 1);

function showSteering() {
  const slider = one("#adventure");
  if (!slider) return;
  if (document.activeElement !== slider || !slider.matches(":active")) slider.value = String(Math.round(adventure * 100));
  slider.style.setProperty("--share", `${slider.value}%`);
  slider.setAttribute("aria-valuetext", LEVELS.find(([most]) => adventure <= most)[1]);
  const chips = muted.map((target) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.textContent = `${named(target)} ×`;
    chip.title = "Unmute";
    chip.setAttribute("aria-label", `Unmute ${named(target)}`);
    chip.addEventListener("click", () => mute(target, false));
    return chip;
  });
  const place = one("#muted-chips");
  if (all(".chip", place).map((chip) => chip.textContent).join("\n") !== chips.map((chip) => chip.textContent).join("\n"))
    place.replaceChildren(...chips);
}

export function wireSteering(requireListener) {
  const slider = one("#adventure");
  slider.addEventListener("input", () => slider.style.setProperty("--share", `${slider.value}%`));
  slider.addEventListener("change", () => {
    if (requireListener()) setAdventure(Number(slider.value) / 100);
    else slider.value = String(Math.round(adventure * 100));
  });
  showSteering();
}

// ---- why this

export async function showWhy(trackId) {
  const dialog = one("#why-dialog");
  const answer = await get(pathTo("view", "why", trackId));
  if (!answer.ok) return toast(answer.error);
  one("#why-body").innerHTML = answer.html; // escaped by the server, see ui/page/rendering.py
  dialog.showModal();
}
