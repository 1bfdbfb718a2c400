// The pages beside the list, by the part of the address behind "#". The server makes their HTML; a part that is away is
// said, and asked again until it is back.

import { pathTo, segments } from "./address.js";
import { all, get, make, one, parsed } from "./dom.js";
import { showTitle } from "./title.js";

const RETRY_MS = 3000;
const STATUS_MS = 5000;
const KINDS = ["track", "artist", "genre", "playlist", "you", "map", "sound", "status"];

let shown = ""; // what stands in #view
let timer = 0;
let placed = () => {};

/** callback(kind): after a page was put in place */
export function onView(callback) {
  placed = callback;
}

export function wireViews() {
  addEventListener("hashchange", () => showView());
  showView();
}

/** Shows the page of the address. again: although it is there already, without moving the focus */
export async function showView(again = false) {
  clearTimeout(timer);
  const asked = location.hash;
  const parts = segments(asked);
  const kind = parts?.[0] ?? null;
  for (const link of all("#nav a")) {
    if (link.hash.replace(/^#\/?/, "") === kind) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  one("#home-view").hidden = kind !== "";
  one("#view").hidden = kind === "";
  if (kind === "") {
    shown = "";
    one("#view").replaceChildren();
    showTitle({ page: "" });
    return showHome();
  }
  if (parts === null || !KINDS.includes(kind)) return fail("There is no such page.");
  const path = pathTo("view", ...parts);
  const answer = await get(path);
  if (location.hash !== asked) return; // another page was chosen meanwhile
  if (!answer.ok) {
    fail(answer.error ?? "This page cannot be shown.");
    if (answer.status === 0 || answer.status >= 500) timer = setTimeout(() => showView(true), RETRY_MS);
    return;
  }
  const isNew = shown !== path;
  shown = path;
  const opened = all("#view details[open]").map((each) => each.dataset.keep);
  one("#view").replaceChildren(parsed(answer.html)); // escaped by the server, see ui/page/rendering.py
  if (!isNew) for (const each of all("#view details")) each.open = opened.includes(each.dataset.keep);
  const head = one("#view h2");
  showTitle({ page: head?.textContent ?? "" });
  if (isNew && !again && head) {
    head.tabIndex = -1;
    head.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  if (kind === "status") timer = setTimeout(() => showView(true), STATUS_MS);
  if (kind === "map") (await import("./map.js")).showMap();
  if (kind === "sound") (await import("./sound.js")).wireSound();
  placed(kind);
}

function fail(why) {
  showTitle({ page: "Not shown" });
  one("#view").replaceChildren(make("p", { className: "problem", role: "alert", textContent: why }));
  shown = "";
}

let homeTimer = 0;

/** The shelves around "For you". */
export async function showHome() {
  clearTimeout(homeTimer);
  const answer = await get("/view/home");
  if (!answer.ok) {
    if (answer.status === 0 || answer.status >= 500) homeTimer = setTimeout(showHome, RETRY_MS);
    return;
  }
  const fresh = parsed(answer.html);
  const top = one("#continue", fresh);
  one("#home-top").replaceChildren(...(top ? [top] : []));
  one("#home-more").replaceChildren(fresh);
  placed("home");
}
