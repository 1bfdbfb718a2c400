// Who is listening: the button at the top and its dialog. The server decides, by the session's cookie.

import { get, make, one, post } from "./dom.js";

let about = { user_id: null, open_names: true, sign_up: true, guests: true };
let isKnown = false;
let arrived = () => {};

export const listenerId = () => about.user_id;
export const isListenerKnown = () => isKnown;
export const isOperator = () => about.operator;

/** callback(name, before): after somebody else has come */
export function onArrival(callback) {
  arrived = callback;
}

export async function askServer() {
  const answer = await get("/listener");
  if (answer.ok) take(answer);
}

/** The name that the server has told along with something else. */
export function confirm(name) {
  if (name === undefined || name === about.user_id) return;
  take({ ...about, user_id: name, is_guest: name?.startsWith("guest-") ?? false, has_account: false });
}

function take(answer) {
  const before = about.user_id;
  about = answer;
  isKnown = true;
  const button = one("#listener");
  const name = about.user_id;
  button.textContent = name === null ? "Choose listener" : about.is_guest ? "Guest" : name;
  const label = `${about.is_guest ? "A guest" : name} is listening. Change listener`;
  button.setAttribute("aria-label", name ? label : "Choose who is listening");
  for (const link of document.querySelectorAll("#nav [data-operator]")) link.hidden = about.operator === false;
  if (name !== before) arrived(name, before);
}

export function requireListener() {
  if (about.user_id) return true;
  askListener("Tell who is listening, so that likes and skips shape a list of your own.");
  return false;
}

export function makeDialog() {
  const dialog = make("dialog", { id: "listener-dialog", "aria-labelledby": "listener-head" });
  dialog.innerHTML = `<form method="dialog">
      <h2 id="listener-head">Who is listening?</h2><p id="listener-why"></p>
      <label for="listener-name">Name</label>
      <input id="listener-name" name="name" maxlength="128" autocomplete="username" spellcheck="false" required>
      <label for="listener-password">Password <small id="password-note"></small></label>
      <input id="listener-password" name="password" type="password" maxlength="256" autocomplete="current-password">
      <p id="listener-error" role="alert"></p>
      <div class="choices"><button type="button" id="listener-guest" class="quiet">As a guest</button>
      <button type="button" id="listener-leave" class="quiet">Sign out</button><span class="gap"></span>
      <button type="button" id="listener-cancel" class="quiet">Cancel</button>
      <button type="button" id="listener-new" class="quiet">New account</button>
      <button type="submit" id="listener-ok" class="primary">Listen</button></div></form>`;
  document.body.append(dialog);
  one("#listener-cancel").addEventListener("click", () => dialog.close());
  one("#listener-guest").addEventListener("click", () => enter({ guest: true }));
  one("#listener-leave").addEventListener("click", () => enter({ name: null }));
  one("#listener-new").addEventListener("click", () => enter({ ...typed(), create: true }));
  one("form", dialog).addEventListener("submit", (event) => {
    event.preventDefault();
    enter(typed());
  });
}

const typed = () => ({ name: one("#listener-name").value, password: one("#listener-password").value });

async function enter(who) {
  const answer = await post("/listener", who);
  const isMaybeNew = answer.status === 401 && who.password && about.sign_up;
  const hint = isMaybeNew ? " New here? “New account” makes one of this name and password." : "";
  one("#listener-error").textContent = answer.ok ? "" : answer.error + hint;
  if (!answer.ok) return;
  one("#listener-password").value = "";
  one("#listener-dialog").close();
  take(answer);
}

export function askListener(why = "Everyone has a list of their own, which follows what they play, skip and like.") {
  one("#listener-why").textContent = why;
  one("#listener-error").textContent = "";
  one("#password-note").textContent = about.open_names ? "(only if the name has one)" : "";
  one("#listener-guest").hidden = !about.guests;
  one("#listener-new").hidden = !about.sign_up;
  one("#listener-leave").hidden = !about.user_id;
  one("#listener-name").value = about.is_guest ? "" : about.user_id ?? "";
  if (!one("#listener-dialog").open) one("#listener-dialog").showModal();
  one("#listener-name").select();
}
