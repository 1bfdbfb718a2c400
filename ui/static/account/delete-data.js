// The listener deletes everything that is stored about them.

import { post } from "../api.js";
import { currentSession, leaving } from "./listener.js";
import { createDialog, required, requiredInput } from "../page/dom.js";

export function createDeleteDataDialog() {
  createDialog(
    "forget-dialog",
    "forget-head",
    `<h2 id="forget-head">Delete my data</h2>
     <p>Your account, likes, history, playlists, profile and recommendations are deleted now, and your events and lists in the
     lake. Kafka keeps its events until their retention ends; they no longer count.</p>
     <form id="forget-form"><label for="forget-name">Enter your name to confirm</label>
     <input id="forget-name" required autocomplete="off">
     <label for="forget-password">Password, if you have one</label>
     <input id="forget-password" type="password" autocomplete="current-password">
     <p id="forget-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Delete</button></div></form>`,
  );
}

/** @param {(listener: string, name: string) => void} onDeleted */
export function openDeleteDataDialog(onDeleted) {
  const dialog = required("#forget-dialog", HTMLDialogElement);
  required("#forget-form").onsubmit = async (event) => {
    event.preventDefault();
    const { user_id: listener, name } = currentSession(); // the session ends before the answer comes
    const request = { name: requiredInput("#forget-name").value, password: requiredInput("#forget-password").value };
    /** @type {import("../api.js").Answer<object>} */
    const answer = await leaving(() => post("/me/forget", request));
    required("#forget-error").textContent = answer.ok ? "" : answer.error;
    if (!answer.ok) return;
    dialog.close();
    location.hash = "#/";
    if (listener !== null) onDeleted(listener, name ?? listener);
  };
  dialog.showModal();
}
