// The listener changes the password of their account; their other sessions end.

import { post } from "../api.js";
import { currentSession } from "./listener.js";
import { createDialog, required, requiredInput } from "../page/dom.js";
import { toast } from "../page/messages.js";

export function createPasswordDialog() {
  createDialog(
    "password-dialog",
    "password-head",
    `<h2 id="password-head">Change password</h2>
     <p>You stay signed in here. Other browsers have to sign in again.</p>
     <form id="password-form"><input id="password-name" autocomplete="username" readonly hidden><label for="password-now">Present password</label>
     <input id="password-now" type="password" required maxlength="256" autocomplete="current-password">
     <label for="password-new">New password <small>(at least 8 characters)</small></label>
     <input id="password-new" type="password" required minlength="8" maxlength="256" autocomplete="new-password">
     <p id="password-error" role="alert"></p>
     <div class="choices"><button type="button" class="quiet" data-close>Cancel</button>
     <button type="submit" class="primary">Change</button></div></form>`,
  );
}

export function openPasswordDialog() {
  const dialog = required("#password-dialog", HTMLDialogElement);
  const [now, fresh] = [requiredInput("#password-now"), requiredInput("#password-new")];
  now.value = fresh.value = "";
  requiredInput("#password-name").value = currentSession().name ?? ""; // for the browser, which keeps passwords by name
  required("#password-error").textContent = "";
  required("#password-form").onsubmit = async (event) => {
    event.preventDefault();
    /** @type {import("../api.js").Answer<object>} */
    const answer = await post("/me/password", { password: now.value, new_password: fresh.value });
    required("#password-error").textContent = answer.ok ? "" : answer.error;
    if (!answer.ok) return;
    dialog.close();
    toast("Password changed.");
  };
  dialog.showModal();
}
