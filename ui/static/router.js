// The pages beside home, by the part of the address behind "#". The server makes their HTML; a page that is unavailable
// says so and is loaded again until it is back.

import { currentListener, currentSession } from "./account/listener.js";
import { pathTo, segments } from "./address.js";
import { get, isTemporary } from "./api.js";
import { showShelves } from "./discover/home-shelves.js";
import { create, find, findAll, parseHtml, required } from "./page/dom.js";
import { markCurrentLink, wireSkipLinks } from "./navigation/rail.js";
import { changePlace, restorePlace, wirePlaces } from "./navigation/places.js";
import { showTitle } from "./page/title.js";

/** @typedef {import("./api.js").Answer<import("./api.js").Html>} HtmlAnswer */

const RETRY_MS = 3000;
const SERVICE_REFRESH_MS = 5000;
const KINDS = [
  "", // home
  "search",
  "track",
  "artist",
  "artists",
  "album",
  "albums",
  "tracks",
  "genre",
  "genres",
  "mood",
  "moods",
  "tag",
  "playlist",
  "playlists",
  "reactions",
  "start",
  "you",
  "map",
  "sound",
  "settings",
  "status",
];
const QUEUE = "queue";
const KINDS_OF_A_LISTENER = ["playlist", "playlists", "reactions", "you"]; // the server refuses these to nobody
const CHOOSE_FIRST = "Choose who is listening to see this page.";
const NOTHING_YET = "Nothing here yet. What you like, play and save is kept here, also for a guest.";

let shownKind = "";
let shownPath = "";
let shownHtml = "";
let pageTimer = 0;
let homeTimer = 0;
let awaitsListener = false;
let pageRequests = 0; // of which only the last one's answer is shown: another may be of the listener before
let homeRequests = 0;
let homeShown = Promise.resolve();
let isHomeToReplace = false; // by the next answer, also one that was asked for to renew what is shown
/** @type {(kind: string) => void} */
let onShown = () => {};

/** @param {typeof onShown} callback called after a page was put in place, with its kind: "home", "track", … */
export function onPageShown(callback) {
  onShown = callback;
}

export function wireRouter() {
  wireSkipLinks();
  wirePlaces();
  addEventListener("hashchange", () => showPage({ place: changePlace() }));
  showPage();
}

/**
 * Shows the page of the address.
 * @param {{ isRefresh?: boolean, place?: import("./navigation/places.js").Place | null }} [options]
 *   isRefresh: the focus stays where it is; place: where the listener was on it, who comes back to it
 */
export async function showPage({ isRefresh = false, place = null } = {}) {
  clearTimeout(pageTimer);
  const request = ++pageRequests;
  awaitsListener = false;
  const hash = location.hash;
  const [address = "", query] = hash.split("?", 2);
  const parts = segments(address);
  const kind = parts?.[0];
  markCurrentLink(kind);
  required("#home-view").hidden = kind !== "";
  required("#view").hidden = kind === "";
  if (kind === "") {
    shownKind = shownPath = "";
    required("#view").replaceChildren();
    showTitle({ page: "" });
    if (isRefresh) return void showHome();
    if (!place) scrollTo(0, 0);
    await showHome();
    if (place) restorePlace(place);
    return;
  }
  if (kind === QUEUE) {
    location.replace("#/"); // the queue lies over any page
    return onShown(QUEUE);
  }
  if (!parts || !kind || !KINDS.includes(kind)) return showError("Page not found.");
  if (KINDS_OF_A_LISTENER.includes(kind) && !currentListener()) {
    awaitsListener = true;
    if (currentListener() === undefined) return required("#view").replaceChildren();
    return showError(currentSession().guests ? NOTHING_YET : CHOOSE_FIRST);
  }
  const path = pathTo("view", ...parts) + (query ? `?${query}` : "");
  /** @type {HtmlAnswer} */
  const answer = await get(path);
  if (request !== pageRequests || location.hash !== hash) return; // another page was chosen meanwhile
  if (!answer.ok) {
    showError(answer.error);
    if (isTemporary(answer.status)) pageTimer = setTimeout(() => showPage({ isRefresh: true }), RETRY_MS);
    return;
  }
  const isNew = shownPath !== path;
  if (kind === "search" && !isNew && !place && answer.html === shownHtml) return; // typing asks for the same results twice
  shownKind = kind;
  shownPath = path;
  shownHtml = answer.html;
  replaceView(answer.html, isNew);
  if (isNew && !isRefresh && !place && !document.activeElement?.closest("#search")) focusHeading();
  if (kind === "status") pageTimer = setTimeout(() => showPage({ isRefresh: true }), SERVICE_REFRESH_MS);
  onShown(kind);
  if (place) restorePlace(place);
}

/** The page that is shown beside home: its kind, its path on the server and what that answered. */
export const shownPage = () => ({ kind: shownKind, path: shownPath, html: shownHtml });

/** Shows the page of the address as if it had just been opened. */
export function showAnew() {
  shownPath = "";
  return showPage();
}

/** Shows the page that had to wait until the server said who is listening. */
export function showAwaitedPage() {
  if (awaitsListener) showPage();
}

/**
 * Shows the shelves below "For you".
 * @param {boolean} [isInPlace] whether those in view stay
 * @returns {Promise<void>} fulfilled when they are shown, also where a later call shows them
 */
export function showHome(isInPlace = false) {
  homeShown = drawHome(isInPlace);
  return homeShown;
}

/** @param {boolean} isInPlace */
async function drawHome(isInPlace) {
  clearTimeout(homeTimer);
  const request = ++homeRequests;
  isHomeToReplace ||= !isInPlace;
  /** @type {HtmlAnswer} */
  const answer = await get("/view/home");
  if (request !== homeRequests) return homeShown;
  if (!answer.ok) {
    if (isTemporary(answer.status)) homeTimer = setTimeout(showHome, RETRY_MS, isInPlace);
    return;
  }
  showShelves(parseHtml(answer.html), !isHomeToReplace);
  isHomeToReplace = false;
  onShown("home");
}

/**
 * @param {string} html escaped by the server, see ui/page/rendering.py
 * @param {boolean} isNew else the same page as before: details that are open stay open
 */
function replaceView(html, isNew) {
  const openDetails = findAll("#view details[open]").map((details) => details.dataset.keep);
  required("#view").replaceChildren(parseHtml(html));
  if (!isNew) {
    for (const details of findAll("#view details")) {
      details.toggleAttribute("open", openDetails.includes(details.dataset.keep));
    }
  }
  showTitle({ page: find("#view h2")?.textContent ?? "" });
}

function focusHeading() {
  const heading = find("#view h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** @param {string} message */
function showError(message) {
  showTitle({ page: "Error" });
  required("#view").replaceChildren(create("p", { className: "problem", role: "alert" }, message));
  shownKind = shownPath = "";
}
