// Playlists: made, filled and deleted. They are kept on the server, under the listener's name.

import { pathTo, segments } from "./address.js";
import { get, make, one, post, toast } from "./dom.js";
import { showView } from "./views.js";

/** Asks for one of the listener's playlists, or a new one, and puts the tracks into it. */
export async function putInto(tracks) {
  const known = await get("/playlists");
  if (!known.ok) return toast(known.error);
  const dialog = one("#playlist-dialog");
  const list = known.list.map((playlist) => {
    const onclick = () => add(playlist, tracks);
    return make("li", {}, make("button", { type: "button", className: "pill", onclick }, `${playlist.name} (${playlist.count})`));
  });
  one("#playlist-known").replaceChildren(...list);
  one("#playlist-name").value = "";
  one("#playlist-form").onsubmit = async (event) => {
    event.preventDefault();
    const answer = await post("/playlists", { name: one("#playlist-name").value, tracks: tracks.map((track) => track.id) });
    done(answer, `“${answer.name}” is made.`);
  };
  dialog.showModal();
}

async function add(playlist, tracks) {
  let answer = { ok: true };
  for (const track of tracks) answer = await post(pathTo("playlists", playlist.id), { add: track.id });
  done(answer, `Added to “${playlist.name}”.`);
}

function done(answer, message) {
  if (!answer.ok) {
    one("#playlist-error").textContent = answer.error;
    return;
  }
  one("#playlist-error").textContent = "";
  one("#playlist-dialog").close();
  toast(message);
  if (location.hash.startsWith("#/you") || location.hash.startsWith("#/playlist")) showView(true);
}

/** The playlist whose page is open, if any. */
export function open() {
  const [kind, id, ...rest] = segments() ?? [];
  return kind === "playlist" && id && !rest.length ? id : null;
}

export async function takeOut(track) {
  const answer = await post(pathTo("playlists", open()), { remove: track.id });
  if (answer.ok) showView(true);
  else toast(answer.error);
}

/** Asks, since nothing brings a deleted playlist back. */
export function askDrop(playlistId, name) {
  one("#drop-name").textContent = `“${name}” is deleted for good. Its tracks stay in the library.`;
  one("#drop-yes").onclick = () => {
    one("#drop-dialog").close();
    drop(playlistId);
  };
  one("#drop-dialog").showModal();
}

async function drop(playlistId) {
  const answer = await post(pathTo("playlists", playlistId), { drop: true });
  if (answer.ok) location.hash = "#/you";
  else toast(answer.error);
}

export function makeDialogs() {
  const dialog = (id, head, body) => {
    const made = make("dialog", { id, className: "dialog", "aria-labelledby": head });
    made.innerHTML = body; // fixed markup
    document.body.append(made);
    made.addEventListener("click", (event) => {
      if (event.target === made || event.target.closest("[data-close]")) made.close();
    });
  };
  dialog(
    "playlist-dialog",
    "playlist-head",
    `<h2 id="playlist-head">Add to a playlist</h2><ul id="playlist-known" role="list"></ul>
     <form id="playlist-form"><label for="playlist-name">New playlist</label>
     <input id="playlist-name" maxlength="100" required autocomplete="off"><p id="playlist-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Make it</button></div></form>`,
  );
  dialog(
    "why-dialog",
    "why-head",
    `<div id="why-body"></div>
     <div class="choices"><button type="button" class="primary" data-close>Close</button></div>`,
  );
  dialog(
    "drop-dialog",
    "drop-head",
    `<h2 id="drop-head">Delete the playlist?</h2><p id="drop-name"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Keep it</button>
     <button type="button" id="drop-yes" class="primary">Delete it</button></div>`,
  );
  dialog(
    "forget-dialog",
    "forget-head",
    `<h2 id="forget-head">Delete my data</h2>
     <p>Your account, likes, history, playlists, profile and list are deleted now, and your events and lists in the lake.
     Kafka's log keeps events until its own time is over; nothing counts them any more.</p>
     <form id="forget-form"><label for="forget-name">Your name, to be sure</label>
     <input id="forget-name" required autocomplete="off">
     <label for="forget-password">Password, if you have one</label>
     <input id="forget-password" type="password" autocomplete="current-password">
     <p id="forget-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Delete</button></div></form>`,
  );
}

export function askForget(gone) {
  one("#forget-form").onsubmit = async (event) => {
    event.preventDefault();
    const answer = await post("/me/forget", { name: one("#forget-name").value, password: one("#forget-password").value });
    one("#forget-error").textContent = answer.ok ? "" : answer.error;
    if (!answer.ok) return;
    one("#forget-dialog").close();
    location.hash = "#/";
    gone();
  };
  one("#forget-dialog").showModal();
}
