// The page: puts the player, "For you", the other pages and the listener together.

import { pathTo } from "./address.js";
import { all, get, make, one, parsed, toast, trackOf } from "./dom.js";
import { flush, onAnswer } from "./events.js";
import { hurry, onNews, refresh, startOver } from "./foryou.js";
import { wireKeys } from "./keys.js";
import { askListener, askServer, confirm, listenerId, makeDialog, onArrival, requireListener } from "./listener.js";
import * as map from "./map.js";
import { openMenu } from "./menu.js";
import * as opinions from "./opinions.js";
import { Player } from "./player.js";
import * as playlists from "./playlists.js";
import { Queue } from "./queue.js";
import { QueuePanel } from "./queuepanel.js";
import { clearSearch, wireSearch } from "./search.js";
import * as sound from "./sound.js";
import { onView, showHome, showView, wireViews } from "./views.js";

let player = null;
let queue = null;
let panel = null;

// ---- what comes next along "For you"

/** The tracks of "For you" in the order in which they come: first those that have not been on, then those longest ago. */
function ahead(most) {
  const heard = player.heard;
  const tracks = all("#for-you .card")
    .map(trackOf)
    .filter((track) => track.id !== player.track?.id && !opinions.has(track.id, "dislike"))
    .filter((track) => !queue.items.some((item) => item.id === track.id));
  const fresh = tracks.filter((track) => !heard.includes(track.id));
  const lastAt = (track) => heard.lastIndexOf(track.id);
  const again = tracks.filter((track) => heard.includes(track.id)).sort((a, b) => lastAt(a) - lastAt(b));
  return [...fresh, ...again].slice(0, most);
}

function upcoming() {
  if (!queue.shuffle) return ahead(1)[0] ?? null;
  const heard = player.heard;
  const fresh = ahead(100).filter((track) => !heard.includes(track.id));
  return fresh[Math.floor(Math.random() * fresh.length)] ?? ahead(1)[0] ?? null;
}

// ---- what can be done with a track

function react(action, track, button) {
  if (action === "similar") return showSimilar(track.id);
  if (action === "menu") return openMenu(button, menuOf(track));
  if (!requireListener()) return;
  const isCurrent = player.track?.id === track.id;
  const duration = isCurrent ? player.durationMs : track.durationMs;
  const isSaid = opinions.say(action, track, {
    ...(isCurrent && { position_ms: player.positionMs }),
    ...(duration && { duration_ms: duration }),
    source: track.source,
    ...(track.modelVersion && { model_version: track.modelVersion }),
  });
  if (action === "dislike" && isSaid && isCurrent) player.next();
}

function menuOf(track) {
  const items = [
    ["Play next", () => put(track, "addNext", `Next: “${track.title}”.`)],
    ["Add to queue", () => put(track, "add", `“${track.title}” is in the queue.`)],
    ["Add to playlist …", () => requireListener() && playlists.putInto([track])],
  ];
  if (track.source === "playlist" && playlists.open()) items.push(["Take out of the playlist", () => playlists.takeOut(track)]);
  items.push(["More like this", () => react("more", track), opinions.has(track.id, "more")]);
  items.push(["Less like this", () => react("less", track), opinions.has(track.id, "less")]);
  if (track.mutedArtist) items.push(muting("artist", track.mutedArtist));
  if (track.mutedGenre) items.push(muting("genre", track.mutedGenre));
  items.push(["Radio from here", () => radio("track", track.id)]);
  items.push(["Song path from here …", () => pathFrom(track.id, `${track.title} · ${track.artist}`)]);
  const isMine = track.source === "for-you" && one("#for-you").dataset.personal === "true";
  if (isMine) items.push(["Why this", () => opinions.showWhy(track.id)]);
  items.push(["About the track", () => goTo(`#${pathTo("track", track.id)}`)]);
  return items;
}

function put(track, where, message) {
  queue[where](track);
  toast(message);
}

function muting(kind, name) {
  const target = `${kind}:${name}`;
  const isMuted = opinions.isMuted(target);
  return [`${isMuted ? "Unmute" : "Mute"} ${kind}: ${name}`, () => requireListener() && opinions.mute(target, !isMuted)];
}

function goTo(address) {
  clearSearch();
  location.hash = address;
}

async function radio(seed, value) {
  const answer = await get(`/radio?${seed}=${encodeURIComponent(value)}`);
  if (answer.ok) player.playAll(all(".card", parsed(answer.html)).map(trackOf));
  else toast(answer.error);
}

function pathFrom(id, title) {
  sessionStorage.setItem("overtone.path-from", JSON.stringify({ id, title }));
  if (location.hash === "#/sound") showView(true);
  else goTo("#/sound");
}

async function resume(button) {
  const answer = await get(pathTo("card", button.dataset.trackId));
  if (!answer.ok) return toast(answer.error);
  const track = { ...trackOf(one(".card", parsed(answer.html))), source: "history" };
  player.load(track, Number(button.dataset.positionMs), true);
}

function showSimilar(trackId) {
  const field = one("#similar-to textarea, #similar-to input");
  if (field.value !== trackId) {
    field.value = trackId;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  if (!trackId) return;
  clearSearch();
  one("#similar").scrollIntoView({ behavior: "auto", block: "start" });
}

// ---- marks on cards and bar

/** Marks the cards: which one is on, which are liked. Gradio may have redrawn them at any time. */
function paint() {
  const press = (button, isPressed) => {
    if (button?.getAttribute("aria-pressed") !== String(isPressed)) button?.setAttribute("aria-pressed", String(isPressed));
  };
  for (const card of all(".card")) {
    const id = card.dataset.trackId;
    const isCurrent = player.track?.id === id;
    card.classList.toggle("is-current", isCurrent);
    card.classList.toggle("is-playing", isCurrent && player.isPlaying);
    card.dataset.wish = ["more", "less"].find((word) => opinions.has(id, word)) ?? "";
    const label = `${isCurrent && player.isPlaying ? "Pause" : "Play"} ${card.dataset.title} by ${card.dataset.artist}`;
    if (one(".cover", card).getAttribute("aria-label") !== label) one(".cover", card).setAttribute("aria-label", label);
    press(one("[data-action=like]", card), opinions.has(id, "like"));
    press(one("[data-action=dislike]", card), opinions.has(id, "dislike"));
  }
  if (!player.track) return;
  press(one("#like-now"), opinions.has(player.track.id, "like"));
  press(one("#dislike-now"), opinions.has(player.track.id, "dislike"));
}

// ---- what a reload keeps: track, place, queue and modes, for each listener

const kept = (name) => `overtone.player.${name ?? ""}`;

function keep() {
  const track = player.track && { ...player.track, positionMs: player.positionMs };
  try {
    localStorage.setItem(kept(listenerId()), JSON.stringify({ track, queue: queue.state() }));
  } catch {
    // private windows may keep nothing
  }
}

function restore(name) {
  try {
    const { track, queue: items } = JSON.parse(localStorage.getItem(kept(name))) ?? {};
    if (items) queue.restore(items);
    if (track && !player.track) player.load(track, track.positionMs ?? 0);
  } catch {
    localStorage.removeItem(kept(name));
  }
}

function arrive(name, before) {
  opinions.forget();
  if (before !== null) {
    player.forget();
    queue.restore();
  }
  if (player.track && before === null) player.own();
  else restore(name);
  startOver();
  flush();
  if (location.hash.length > 2) showView();
  else showHome();
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
  player.waveform.draw();
}

// ---- wiring

const DOES = {
  play: (_, card) => {
    player.play(trackOf(card));
    if (!listenerId()) toast("Choose a listener above, and the list follows what you play.");
  },
  like: (_, card) => react("like", trackOf(card)),
  dislike: (_, card) => react("dislike", trackOf(card)),
  similar: (_, card) => showSimilar(card.dataset.trackId),
  menu: (button, card) => react("menu", trackOf(card), button),
  why: (_, card) => opinions.showWhy(card.dataset.trackId),
  "close-similar": () => showSimilar(""),
  listener: () => askListener(),
  theme: switchTheme,
  resume,
  radio: ({ dataset }) => radio(dataset.seed, dataset.value),
  "path-from": ({ dataset }) => pathFrom(dataset.trackId, dataset.title),
  "play-page": () => DOES.play(null, one("#view .single .card")),
  "play-all": (button) => player.playAll(all(".card", button.closest("section, article")).map(trackOf)),
  "play-path": () => player.playAll(all("#path-found .card").map(trackOf)),
  "mute-named": ({ dataset }) => requireListener() && opinions.mute(dataset.target),
  unmute: ({ dataset }, _) => {
    opinions.mute(dataset.target, false);
  },
  "new-playlist": () => playlists.putInto([]),
  "drop-playlist": ({ dataset }) => playlists.askDrop(dataset.playlist, dataset.name),
  forget: () => playlists.askForget(askServer),
  record: () => sound.record(),
  "map-in": () => map.look("in"),
  "map-out": () => map.look("out"),
  "map-all": () => map.look("all"),
};

function wire() {
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest?.("[data-action]");
    if (pressed) DOES[pressed.dataset.action]?.(pressed, pressed.closest(".card"));
  });
  wireKeys(player);
  wireSearch();
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  onAnswer((answer) => {
    if (answer.ok) hurry();
    else if (answer.status === 401) confirm(null);
    else if (answer.status === 409) refresh(); // it tells who listens by now
    else if (answer.status !== 0) toast(answer.error);
  });
  onNews((news) => {
    confirm(news.listener);
    paint();
    panel.show();
  });
  onView(paint);
  opinions.onChange(paint);
  sound.onFound(paint);
  addEventListener("hashchange", () => showSimilar(""));
  map.onPlay((card) => DOES.play(null, card));
  onArrival(arrive);
  const redrawn = new MutationObserver(paint);
  for (const section of all("#results, #similar")) redrawn.observe(section, { childList: true, subtree: true });
}

function start() {
  document.body.append(make("div", { id: "toast", role: "status" }));
  makeDialog();
  playlists.makeDialogs();
  queue = new Queue(() => {
    player?.showModes();
    panel?.show();
    if (player) keep();
  });
  player = new Player({
    completeShare: Number(one("#for-you").dataset.completeShare),
    queue,
    upcoming,
    react,
    changed: () => {
      paint();
      panel?.show();
      keep();
    },
    tell: toast,
  });
  panel = new QueuePanel({ player, queue, ahead });
  player.showModes();
  window.overtone = { player, queue, refresh };
  applyTheme(localStorage.getItem("overtone.theme"));
  opinions.wireSteering(requireListener);
  wire();
  wireViews();
  askServer().then(() => {
    if (!listenerId()) restore(null);
  });
  refresh();
}

// Gradio may render the page before or after this script is loaded.
const isRendered = () => one("#for-you") && one("#search") && one("#listener") && one("#notice") && one("#view") && one("#nav");
if (isRendered()) start();
else {
  const rendering = new MutationObserver(() => {
    if (!isRendered()) return;
    rendering.disconnect();
    start();
  });
  rendering.observe(document.documentElement, { childList: true, subtree: true });
}
