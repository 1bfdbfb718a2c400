// Playlists: created, filled, renamed, deleted and read from M3U files. They are kept on the server, under the listener's name;
// each change can be taken back.

import { ensureListener } from "../account/listener.js";
import { pathTo, segments } from "../address.js";
import { get, post, postFile } from "../api.js";
import { create, createDialog, required, requiredInput } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { showPage } from "../router.js";

/** @typedef {import("../track.js").Track} Track */
/** @typedef {{ id: string, name: string, count: number }} Playlist */
/** @typedef {{ line: number, text: string }} UnmatchedLine */
/**
 * @typedef {{ id: string, name: string, count: number, left_out: number, unmatched_count: number, unmatched: UnmatchedLine[] }}
 * Imported
 */
/**
 * @template T
 * @typedef {import("../api.js").Answer<T>} Answer
 */

export function createPlaylistDialogs() {
  createDialog(
    "playlist-dialog",
    "playlist-head",
    `<h2 id="playlist-head">Add to playlist</h2><ul id="playlist-known" role="list"></ul>
     <form id="playlist-form"><label for="playlist-name">New playlist</label>
     <input id="playlist-name" maxlength="100" required autocomplete="off"><p id="playlist-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Create</button></div></form>`,
  );
  createDialog(
    "playlist-edit",
    "edit-head",
    `<h2 id="edit-head">Edit playlist</h2><form id="edit-form"><label for="edit-name">Name</label>
     <input id="edit-name" maxlength="100" required autocomplete="off">
     <label for="edit-description">Description <small>optional</small></label>
     <input id="edit-description" maxlength="500" autocomplete="off"><p id="edit-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Save</button></div></form>`,
  );
  createDialog(
    "import-dialog",
    "import-head",
    `<h2 id="import-head"></h2><p id="import-note"></p><ol id="import-unmatched" role="list" tabindex="0"
     aria-label="Lines that were not found"></ol>
     <div class="choices"><button type="button" class="primary" data-close>Close</button></div>`,
  );
}

/**
 * Lets the listener choose a playlist, or create one, for some tracks.
 * @param {Track[]} tracks
 */
export async function openPlaylistDialog(tracks) {
  if (!(await ensureListener())) return;
  /** @type {Answer<{ list: Playlist[] }>} */
  const answer = await get("/playlists");
  if (!answer.ok) return toast(answer.error);
  const items = answer.list.map((playlist) => {
    const onclick = () => addTo(playlist, tracks);
    const label = `${playlist.name} (${playlist.count})`;
    return create("li", {}, create("button", { type: "button", className: "pill", onclick }, label));
  });
  required("#playlist-head").textContent = tracks.length ? "Add to playlist" : "New playlist";
  required("#playlist-known").replaceChildren(...(tracks.length ? items : []));
  required("#playlist-error").textContent = "";
  requiredInput("#playlist-name").value = "";
  required("#playlist-form").onsubmit = (event) => {
    event.preventDefault();
    createPlaylist(requiredInput("#playlist-name").value, tracks);
  };
  required("#playlist-dialog", HTMLDialogElement).showModal();
}

/**
 * @param {string} name
 * @param {Track[]} tracks
 */
async function createPlaylist(name, tracks) {
  /** @type {Answer<Playlist>} */
  const answer = await post("/playlists", { name, tracks: tracks.map((track) => track.id) });
  if (!answer.ok) return showError("#playlist-error", answer.error);
  close("#playlist-dialog");
  toast(`Playlist “${answer.name}” created.`, () => change(answer.id, { drop: true }));
  if (!tracks.length) location.hash = `#${pathTo("playlist", answer.id)}`;
  else refreshPage();
}

/**
 * @param {Playlist} playlist
 * @param {Track[]} tracks
 */
async function addTo(playlist, tracks) {
  /** @type {Answer<{ added: string[] }>} */
  const answer = await post(pathTo("playlists", playlist.id), { add: tracks.map((track) => track.id) });
  if (!answer.ok) return showError("#playlist-error", answer.error);
  close("#playlist-dialog");
  const { added } = answer;
  if (!added.length) return toast(`Already in “${playlist.name}”.`);
  toast(`Added to “${playlist.name}”.`, () => change(playlist.id, { remove: added }));
  refreshPage();
}

/**
 * Sends a change of a playlist; what went wrong is told.
 * @param {string} id
 * @param {object} body
 * @param {() => void} [then] in place of showing the page again
 * @returns {Promise<boolean>}
 */
export async function change(id, body, then = refreshPage) {
  /** @type {Answer<object>} */
  const answer = await post(pathTo("playlists", id), body);
  if (answer.ok) then();
  else toast(answer.error);
  return answer.ok;
}

/** Shows the page again where it is of playlists. */
export function refreshPage() {
  if (/^#\/playlists?(?:[/?]|$)/.test(location.hash)) showPage({ isRefresh: true });
}

/** The id of the playlist whose page is open, if any. */
export function openPlaylistId() {
  const [kind, id, ...rest] = segments() ?? [];
  return kind === "playlist" && id && !rest.length ? id : null;
}

/**
 * Removes a track from the playlist whose page is open.
 * @param {{ id: string, title: string }} track
 * @param {string | null} previousId of the track before it
 */
export async function removeFromPlaylist(track, previousId) {
  const id = openPlaylistId() ?? "";
  if (!(await change(id, { remove: track.id }))) return;
  toast(`“${track.title}” removed.`, () => change(id, { place: { track_id: track.id, after: previousId } }));
}

/** @param {HTMLElement} button of the playlist's page */
export function openEditDialog({ dataset }) {
  const { playlist = "", name = "", description = "", revision = "" } = dataset;
  requiredInput("#edit-name").value = name;
  requiredInput("#edit-description").value = description;
  required("#edit-error").textContent = "";
  required("#edit-form").onsubmit = async (event) => {
    event.preventDefault();
    const edited = { name: requiredInput("#edit-name").value, description: requiredInput("#edit-description").value };
    /** @type {Answer<object>} */
    const answer = await post(pathTo("playlists", playlist), { ...edited, revision: Number(revision) });
    if (!answer.ok) return showError("#edit-error", answer.error);
    close("#playlist-edit");
    refreshPage();
    toast("Playlist changed.", () => change(playlist, { name: name || "Playlist", description }));
  };
  required("#playlist-edit", HTMLDialogElement).showModal();
}

/** @param {HTMLElement} button of the playlist's page */
export async function deletePlaylist({ dataset }) {
  const { playlist = "", name = "" } = dataset;
  const leave = () => (openPlaylistId() === playlist ? (location.hash = "#/playlists") : refreshPage());
  if (!(await change(playlist, { drop: true }, leave))) return;
  toast(`“${name}” deleted.`, () => change(playlist, { restore: true }));
}

/** Lets the listener choose an M3U file, and makes a playlist of it. */
export async function choosePlaylistFile() {
  if (!(await ensureListener())) return;
  const input = create("input", { type: "file", accept: ".m3u,.m3u8,audio/x-mpegurl", id: "playlist-file", hidden: true });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    input.remove();
    if (file) importFile(file);
  });
  input.addEventListener("cancel", () => input.remove());
  document.body.append(input);
  input.click();
}

/** @param {File} file */
async function importFile(file) {
  /** @type {Answer<Imported>} */
  const answer = await postFile(`/playlists/import?name=${encodeURIComponent(file.name)}`, file, "audio/x-mpegurl");
  const [head, note] = [required("#import-head"), required("#import-note")];
  const lines = required("#import-unmatched");
  lines.replaceChildren();
  if (!answer.ok) {
    head.textContent = `“${file.name}” was not imported`;
    note.textContent = answer.error;
  } else {
    const { name, count, left_out: leftOut, unmatched_count: missing, unmatched } = answer;
    if (!missing && !leftOut) {
      toast(`Playlist “${name}” imported: ${count} tracks.`, () => change(answer.id, { drop: true }));
      location.hash = `#${pathTo("playlist", answer.id)}`;
      return;
    }
    head.textContent = `“${name}” imported`;
    const notes = [`${count} tracks were found, ${missing} were not.`];
    if (leftOut) notes.push(`${leftOut} more than a playlist may have were left out.`);
    if (missing > unmatched.length) notes.push(`The first ${unmatched.length} that were not found:`);
    note.textContent = notes.join(" ");
    lines.append(...unmatched.map(({ line, text }) => create("li", {}, `Line ${line}: ${text}`)));
    location.hash = `#${pathTo("playlist", answer.id)}`;
  }
  lines.hidden = !lines.children.length;
  required("#import-dialog", HTMLDialogElement).showModal();
}

/**
 * @param {string} selector
 * @param {string} message
 */
const showError = (selector, message) => void (required(selector).textContent = message);

/** @param {string} selector */
const close = (selector) => required(selector, HTMLDialogElement).close();
