// Song path: tracks that lead from one track to another in small steps. Each field keeps the id behind the text that it
// shows.

import { get } from "../api.js";
import { create, find, parseHtml, required, requiredInput } from "../page/dom.js";

/**
 * @template T
 * @typedef {import("../api.js").Answer<T>} Answer
 */
/** @typedef {"start" | "end"} End */
/** @typedef {{ tracks: { id: string, title: string, artist: string }[] }} FoundTracks */

const START_STORED_AS = "overtone.path-from";

/** @type {Record<End, { id: string, text: string } | null>} */
const chosen = { start: null, end: null };

/**
 * Keeps a start for the next time that the page is shown.
 * @param {string} id
 * @param {string} title
 */
export const rememberPathStart = (id, title) => sessionStorage.setItem(START_STORED_AS, JSON.stringify({ id, title }));

/** @param {() => void} onResults called when cards were put into the page */
export function wireSongPath(onResults) {
  for (const end of /** @type {End[]} */ (["start", "end"])) field(end).addEventListener("input", () => suggest(end));
  required("#path-form").addEventListener("submit", (event) => {
    event.preventDefault();
    findPath(onResults);
  });
  const start = sessionStorage.getItem(START_STORED_AS);
  if (!start) return;
  sessionStorage.removeItem(START_STORED_AS);
  const { id, title } = JSON.parse(start);
  chosen.start = { id, text: title };
  field("start").value = title;
  required("#song-path").scrollIntoView();
  field("end").focus();
}

/** @param {End} end */
const field = (end) => requiredInput(`#path-${end}`);

/** @param {string} message */
const showStatus = (message) => {
  const status = find("#path-state"); // gone where another page was opened meanwhile
  if (status) status.textContent = message;
};

/** @param {End} end */
async function suggest(end) {
  const text = field(end).value;
  const options = required(`#path-${end}-found`, HTMLDataListElement).options;
  const match = [...options].find((option) => option.value === text);
  chosen[end] = match ? { id: match.dataset.id ?? "", text } : null;
  if (match) return;
  /** @type {Answer<FoundTracks>} */
  const answer = await get(`/search?q=${encodeURIComponent(text)}`);
  if (!answer.ok) return;
  const suggestions = answer.tracks.map(({ id, title, artist }) =>
    create("option", { value: `${title} · ${artist}`, "data-id": id }),
  );
  find(`#path-${end}-found`)?.replaceChildren(...suggestions);
}

/**
 * The track that a field means: the chosen one, else the best that search finds.
 * @param {End} end
 */
async function trackIdOf(end) {
  const text = field(end).value;
  const choice = chosen[end];
  if (text && choice?.text === text) return choice.id;
  /** @type {Answer<FoundTracks>} */
  const answer = await get(`/search?q=${encodeURIComponent(text.split(" · ")[0] ?? "")}&limit=1`);
  return answer.ok ? answer.tracks[0]?.id : undefined;
}

/** @param {() => void} onResults */
async function findPath(onResults) {
  const [start, end] = await Promise.all([trackIdOf("start"), trackIdOf("end")]);
  if (!start || !end) return showStatus(`No track found for “${field(start ? "end" : "start").value}”.`);
  const query = new URLSearchParams({ start, end, steps: requiredInput("#path-steps").value });
  /** @type {Answer<import("../api.js").Html & { note: string }>} */
  const answer = await get(`/path?${query}`);
  const results = find("#path-found");
  if (!results) return;
  results.replaceChildren();
  if (!answer.ok) return showStatus(answer.error);
  const play = { type: "button", className: "pill primary", "data-action": "play-path" };
  results.replaceChildren(parseHtml(answer.html), create("button", play, "Play path"));
  showStatus(`${results.querySelectorAll(".card").length} tracks. ${answer.note}`);
  onResults();
}
