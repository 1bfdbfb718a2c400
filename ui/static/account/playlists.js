// Playlists: created, filled and deleted. They are kept on the server, under the listener's name.

import { pathTo, segments } from "../address.js";
import { get, post } from "../api.js";
import { closeOnBackdrop, create, createDialog, required, requiredInput } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { showPage } from "../router.js";

/** @typedef {import("../track.js").Track} Track */
/** @typedef {{ id: string, name: string, count: number }} Playlist */
/**
 * @template T
 * @typedef {import("../api.js").Answer<T>} Answer
 */

export function createPlaylistDialogs() {
  const add = createDialog(
    "playlist-dialog",
    "playlist-head",
    `<h2 id="playlist-head">Add to playlist</h2><ul id="playlist-known" role="list"></ul>
     <form id="playlist-form"><label for="playlist-name">New playlist</label>
     <input id="playlist-name" maxlength="100" required autocomplete="off"><p id="playlist-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Create</button></div></form>`,
  );
  const drop = createDialog(
    "drop-dialog",
    "drop-head",
    `<h2 id="drop-head">Delete playlist?</h2><p id="drop-name"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="button" id="drop-yes" class="primary">Delete</button></div>`,
  );
  for (const dialog of [add, drop]) closeOnBackdrop(dialog);
}

/**
 * Lets the listener choose a playlist, or create one, for some tracks.
 * @param {Track[]} tracks
 */
export async function openPlaylistDialog(tracks) {
  /** @type {Answer<{ list: Playlist[] }>} */
  const answer = await get("/playlists");
  if (!answer.ok) return toast(answer.error);
  const items = answer.list.map((playlist) => {
    const onclick = () => addTo(playlist, tracks);
    const label = `${playlist.name} (${playlist.count})`;
    return create("li", {}, create("button", { type: "button", className: "pill", onclick }, label));
  });
  required("#playlist-known").replaceChildren(...items);
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
  finish(answer, answer.ok ? `Playlist “${answer.name}” created.` : "");
}

/**
 * @param {Playlist} playlist
 * @param {Track[]} tracks
 */
async function addTo(playlist, tracks) {
  for (const track of tracks) {
    /** @type {Answer<object>} */
    const answer = await post(pathTo("playlists", playlist.id), { add: track.id });
    if (!answer.ok) return finish(answer, "");
  }
  finish({ ok: true, status: 200 }, `Added to “${playlist.name}”.`);
}

/**
 * @param {Answer<object>} answer
 * @param {string} message
 */
function finish(answer, message) {
  required("#playlist-error").textContent = answer.ok ? "" : answer.error;
  if (!answer.ok) return;
  required("#playlist-dialog", HTMLDialogElement).close();
  toast(message);
  if (location.hash.startsWith("#/you") || location.hash.startsWith("#/playlist")) showPage({ isRefresh: true });
}

/** The id of the playlist whose page is open, if any. */
export function openPlaylistId() {
  const [kind, id, ...rest] = segments() ?? [];
  return kind === "playlist" && id && !rest.length ? id : null;
}

/**
 * Removes a track from the playlist whose page is open.
 * @param {Track} track
 */
export async function removeFromPlaylist(track) {
  /** @type {Answer<object>} */
  const answer = await post(pathTo("playlists", openPlaylistId() ?? ""), { remove: track.id });
  if (answer.ok) showPage({ isRefresh: true });
  else toast(answer.error);
}

/**
 * Asks before it deletes: a deleted playlist cannot be restored.
 * @param {string} playlistId
 * @param {string} name
 */
export function confirmDeletePlaylist(playlistId, name) {
  const dialog = required("#drop-dialog", HTMLDialogElement);
  required("#drop-name").textContent = `“${name}” will be deleted permanently. Its tracks stay in the library.`;
  required("#drop-yes").onclick = () => {
    dialog.close();
    deletePlaylist(playlistId);
  };
  dialog.showModal();
}

/** @param {string} playlistId */
async function deletePlaylist(playlistId) {
  /** @type {Answer<object>} */
  const answer = await post(pathTo("playlists", playlistId), { drop: true });
  if (answer.ok) location.hash = "#/you";
  else toast(answer.error);
}
