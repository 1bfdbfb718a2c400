// The page around the player: cards and their buttons, "For you" that follows the listener, and who is listening.

import { onAnswer, post, send } from "./events.js";
import { Player } from "./player.js";

const POLL_MS = 1000;
const HURRY_POLL_MS = 250; // for a few seconds after something was done, when a new list is on its way
const HURRY_MS = 5000;
const HIDDEN_POLL_MS = 5000;

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

let listener = null;
let mark = "";
let hurryUntil = 0;
let pollTimer = 0;
let player = null;

// ---- what a card says

function trackOf(card) {
  const list = card.closest(".cards");
  return {
    id: card.dataset.trackId,
    title: card.dataset.title,
    artist: card.dataset.artist,
    licence: card.dataset.licence,
    durationMs: Number(card.dataset.durationMs) || null,
    source: list.dataset.source,
    modelVersion: list.dataset.modelVersion,
  };
}

/** The best of "For you" that has not been on yet; once all have, the one that was on longest ago. */
function upcoming() {
  const tracks = all("#for-you .card").map(trackOf);
  const heard = player.heard;
  const rejected = (track) => opinions()[track.id] === "dislike";
  const fresh = tracks.find((track) => !heard.includes(track.id) && !rejected(track));
  const oldest = tracks
    .filter((track) => track.id !== player.track?.id && !rejected(track))
    .sort((a, b) => heard.lastIndexOf(a.id) - heard.lastIndexOf(b.id))[0];
  return fresh ?? oldest ?? null;
}

// ---- likes and dislikes: events are what counts; the browser only remembers which hearts to fill

const opinionsKey = () => `overtone.opinions.${listener}`;

function opinions() {
  try {
    return JSON.parse(localStorage.getItem(opinionsKey())) ?? {};
  } catch {
    return {};
  }
}

function react(action, track) {
  if (action === "similar") return showSimilar(track.id);
  if (!requireListener()) return;
  const kept = opinions();
  const isTakenBack = kept[track.id] === action;
  const isCurrent = player.track?.id === track.id;
  send({
    track_id: track.id,
    // "unlike" takes a like or a dislike back
    action: isTakenBack ? "unlike" : action,
    ...(isCurrent && { position_ms: player.positionMs }),
    ...((isCurrent ? player.durationMs : track.durationMs) && { duration_ms: isCurrent ? player.durationMs : track.durationMs }),
    source: track.source,
    ...(track.modelVersion && { model_version: track.modelVersion }),
  });
  if (isTakenBack) delete kept[track.id];
  else kept[track.id] = action;
  try {
    localStorage.setItem(opinionsKey(), JSON.stringify(kept));
  } catch {
    // private windows may keep nothing; the event has been sent all the same
  }
  paint();
  if (action === "dislike" && !isTakenBack && isCurrent) player.next();
}

/** Marks the cards: which one is on, which are liked. Gradio may have redrawn them at any time. */
function paint() {
  const kept = opinions();
  const press = (button, isPressed) => button.setAttribute("aria-pressed", String(isPressed));
  for (const card of all(".card")) {
    const id = card.dataset.trackId;
    const isCurrent = player?.track?.id === id;
    card.classList.toggle("is-current", isCurrent);
    card.classList.toggle("is-playing", isCurrent && player.isPlaying);
    const name = `${card.dataset.title} by ${card.dataset.artist}`;
    one(".cover", card).setAttribute("aria-label", `${isCurrent && player.isPlaying ? "Pause" : "Play"} ${name}`);
    press(one("[data-do=like]", card), kept[id] === "like");
    press(one("[data-do=dislike]", card), kept[id] === "dislike");
  }
  if (player?.track) {
    press(one("#like-now"), kept[player.track.id] === "like");
    press(one("#dislike-now"), kept[player.track.id] === "dislike");
  }
}

function showSimilar(trackId) {
  const field = one("#similar-to textarea, #similar-to input");
  field.value = trackId;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  if (trackId) one("#similar").scrollIntoView({ behavior: isCalm() ? "auto" : "smooth", block: "start" });
}

// ---- "For you" follows the listener

async function refresh() {
  clearTimeout(pollTimer);
  try {
    const answer = await fetch(`/for-you?seen=${encodeURIComponent(mark)}`);
    const news = await answer.json();
    if (answer.ok && news.html !== undefined) showForYou(news);
    showListener(news.listener);
    if (!answer.ok) notice(news.error ?? "The library is away.");
    else if (!news.connected)
      notice(`Kafka is away. ${news.waiting || "No"} ${news.waiting === 1 ? "event is" : "events are"} kept and sent later; the music plays on.`);
    else notice("");
  } catch {
    notice("The player's server does not answer. The page goes on by itself when it is back.");
  }
  clearTimeout(pollTimer);
  const pause = document.hidden ? HIDDEN_POLL_MS : Date.now() < hurryUntil ? HURRY_POLL_MS : POLL_MS;
  pollTimer = setTimeout(refresh, pause);
}

function hurry() {
  hurryUntil = Date.now() + HURRY_MS;
  clearTimeout(pollTimer);
  pollTimer = setTimeout(refresh, HURRY_POLL_MS);
}

/** Puts the new list in place: cards that stay are moved, not made again, so pictures do not flicker. */
function showForYou(news) {
  const section = one("#for-you");
  const fresh = document.createElement("template");
  fresh.innerHTML = news.html; // escaped by the server, see ui/cards.py
  const isFirst = mark === "";
  mark = news.mark;
  section.dataset.generation = news.generation ?? "";
  section.dataset.personal = news.personal ?? "";
  const list = one(".cards", section);
  const wanted = one(".cards", fresh.content);
  if (!list || !wanted) {
    section.replaceChildren(fresh.content);
    return paint();
  }
  const focused = document.activeElement;
  const before = new Map(all(".card", list).map((card) => [card.dataset.trackId, card]));
  const places = new Map([...before.values()].map((card) => [card, card.getBoundingClientRect()]));
  one(".section-head", section).replaceWith(one(".section-head", fresh.content));
  Object.assign(list.dataset, wanted.dataset);
  all(".card", wanted).forEach((card, position) => {
    const kept = before.get(card.dataset.trackId);
    if (kept) {
      Object.assign(kept.dataset, card.dataset);
      if (one(".words", kept).innerHTML !== one(".words", card).innerHTML) one(".words", kept).replaceWith(one(".words", card));
    }
    before.delete(card.dataset.trackId);
    const placed = kept ?? card;
    if (list.children[position] !== placed) list.insertBefore(placed, list.children[position] ?? null);
    if (!kept && !isFirst) placed.classList.add("is-new");
  });
  for (const gone of before.values()) gone.remove();
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  glide(places);
  paint();
}

/** Cards that moved are seen to move. */
function glide(places) {
  if (isCalm()) return;
  for (const [card, from] of places) {
    if (!card.isConnected) continue;
    const to = card.getBoundingClientRect();
    if (from.left === to.left && from.top === to.top) continue;
    const start = `translate(${from.left - to.left}px, ${from.top - to.top}px)`;
    card.animate([{ transform: start }, { transform: "none" }], { duration: 450, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
}

const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// ---- who is listening

function showListener(name) {
  if (name === undefined) return;
  const button = one("#listener");
  button.textContent = name ?? "Choose listener";
  button.setAttribute("aria-label", name ? `${name} is listening. Change listener` : "Choose who is listening");
  if (name !== listener) {
    listener = name;
    paint();
  }
}

function requireListener() {
  if (listener) return true;
  askListener("Tell who is listening, so that likes and skips shape a list of your own.");
  return false;
}

function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.id = "listener-dialog";
  dialog.setAttribute("aria-labelledby", "listener-head");
  dialog.innerHTML = `<form method="dialog">
      <h2 id="listener-head">Who is listening?</h2><p id="listener-why"></p>
      <label for="listener-name">Name</label>
      <input id="listener-name" name="name" maxlength="128" autocomplete="off" spellcheck="false" required>
      <p id="listener-error" role="alert"></p>
      <div class="choices"><button type="button" id="listener-cancel" class="quiet">Cancel</button>
      <button type="submit" id="listener-ok" class="primary">Listen</button></div></form>`;
  document.body.append(dialog);
  one("#listener-cancel").addEventListener("click", () => dialog.close());
  one("form", dialog).addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await post("/listener", { name: one("#listener-name").value });
    one("#listener-error").textContent = answer.ok ? "" : answer.error;
    if (!answer.ok) return;
    dialog.close();
    mark = "";
    showListener(answer.user_id);
    refresh();
  });
}

function askListener(why = "Everyone has a list of their own, which follows what they play, skip and like.") {
  one("#listener-why").textContent = why;
  one("#listener-error").textContent = "";
  one("#listener-name").value = listener ?? "";
  if (!one("#listener-dialog").open) one("#listener-dialog").showModal();
  one("#listener-name").select();
}

// ---- messages

function notice(message) {
  const place = one("#notice");
  if (!place || place.textContent === message) return;
  place.textContent = message;
  place.hidden = !message;
}

let toastTimer = 0;
function toast(message) {
  const place = one("#toast");
  place.textContent = message;
  place.classList.add("is-shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => place.classList.remove("is-shown"), 4000);
}

// ---- light and dark: the system's choice until the listener makes another

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.body.classList.toggle("dark", isDark);
}

function switchTheme() {
  const theme = document.body.classList.contains("dark") ? "light" : "dark";
  localStorage.setItem("overtone.theme", theme);
  applyTheme(theme);
}

// ---- wiring

const DOES = {
  play: (card) => {
    player.play(trackOf(card));
    if (!listener) toast("Choose a listener above, and the list follows what you play.");
  },
  like: (card) => react("like", trackOf(card)),
  dislike: (card) => react("dislike", trackOf(card)),
  similar: (card) => showSimilar(card.dataset.trackId),
  "close-similar": () => showSimilar(""),
  listener: () => askListener(),
  theme: switchTheme,
};

function wire() {
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest?.("[data-do]");
    if (pressed) DOES[pressed.dataset.do](pressed.closest(".card"));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    const isTyping = event.target.closest?.("input, textarea, button, a, select");
    if (event.key === " " && !isTyping) player.toggle();
    else if (event.key === "/" && !isTyping) one("#search textarea, #search input")?.focus();
    else if (event.shiftKey && event.key === "ArrowRight" && !event.target.closest?.("input, textarea")) player.next();
    else if (event.shiftKey && event.key === "ArrowLeft" && !event.target.closest?.("input, textarea")) player.previous();
    else return;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  onAnswer((answer) => {
    if (answer.ok) hurry();
    else if (answer.status === 401) showListener(null);
    else if (answer.status !== 0) toast(answer.error);
  });
  for (const section of all("#results, #similar")) new MutationObserver(paint).observe(section, { childList: true, subtree: true });
}

function start() {
  const toastPlace = document.createElement("div");
  toastPlace.id = "toast";
  toastPlace.setAttribute("role", "status");
  document.body.append(toastPlace);
  makeDialog();
  player = new Player({
    completeShare: Number(one("#for-you").dataset.completeShare),
    upcoming,
    react,
    changed: paint,
    tell: toast,
  });
  window.overtone = { player, refresh };
  applyTheme(localStorage.getItem("overtone.theme"));
  wire();
  refresh();
}

// Gradio may render the page before or after this script is loaded.
const isRendered = () => one("#for-you") && one("#search") && one("#listener") && one("#notice");
if (isRendered()) start();
else {
  const rendering = new MutationObserver(() => {
    if (!isRendered()) return;
    rendering.disconnect();
    start();
  });
  rendering.observe(document.documentElement, { childList: true, subtree: true });
}
