// Lists of the library while they stay open: a quiet line says that there is new music, and a click shows it. Nothing moves by
// itself; only a page without a list shows the first music at once.

import { get } from "../api.js";
import { create, find, findAll, parseHtml } from "../page/dom.js";
import { say } from "../page/messages.js";
import { subscribe } from "../push.js";
import { showAnew, shownPage } from "../router.js";

/** @typedef {import("../api.js").Answer<import("../api.js").Html>} HtmlAnswer */

const LISTS = ["albums", "artists", "tracks", "genres", "moods"];
const GATHER_MS = 1000; // a library is published track by track
const AGAIN_MS = 8000; // genres and moods are those of the search index, which is read again some seconds after a change

let timer = 0;
let timerAgain = 0;

export function wireListNews() {
  subscribe("library", () => {
    clearTimeout(timer);
    clearTimeout(timerAgain);
    timer = setTimeout(look, GATHER_MS);
    timerAgain = setTimeout(look, AGAIN_MS);
  });
}

/** Asks for the page that is shown, and offers it where it is another by now. */
async function look() {
  const { kind, path, html } = shownPage();
  if (!LISTS.includes(kind) || find("#list-news")) return;
  /** @type {HtmlAnswer} */
  const answer = await get(path);
  const now = shownPage();
  if (!answer.ok || now.path !== path || now.html !== html || find("#list-news")) return; // looked at anew meanwhile
  const [shown, fresh] = [parseHtml(html), parseHtml(answer.html)];
  const growth = sizeOf(fresh) - sizeOf(shown);
  const isSame = find("[data-shuffled]", fresh) ? growth === 0 : answer.html === html; // shuffled, it is another each time
  if (isSame) return;
  if (find("#view [role=list] li")) offer(growth > 0 ? "New music" : "Updated");
  else showAnew();
}

/**
 * The number of tracks, albums or artists on a page: of its head, or of its tiles.
 * @param {ParentNode} page
 */
const sizeOf = (page) =>
  findAll(".section-head p, .name-grid span", page).reduce(
    (sum, { textContent }) => sum + Number(textContent?.replaceAll(/\D/g, "")),
    0,
  );

/** @param {string} news */
function offer(news) {
  const show = create("button", { type: "button", "aria-label": `${news}. Show it`, onclick: showAnew }, "Show");
  find("#view .section-head")?.append(create("span", { id: "list-news" }, create("span", {}, news), show));
  say(`${news}.`);
}
