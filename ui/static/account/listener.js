// Who is listening: the button at the top and its dialog. The server decides, by the session's cookie.

import { get, post } from "../api.js";
import { createDialog, required, requiredInput } from "../page/dom.js";

/**
 * The session as the server tells it.
 * @typedef {object} Session
 * @property {string | null} user_id null: no listener was chosen
 * @property {string | null} [name] as it was chosen; the id of a guest who has signed up is another
 * @property {boolean} [is_guest]
 * @property {boolean} [has_account]
 * @property {boolean} [operator] whether the page of the service is open to the listener
 * @property {boolean} open_names whether a name without an account needs no password
 * @property {boolean} sign_up
 * @property {boolean} guests
 */

const CHOOSE = "Choose listener";

/** @type {Session} */
let session = { user_id: null, open_names: true, sign_up: true, guests: true };
let isKnown = false;
let isLeaving = false;
/** @type {(id: string | null, before: string | null) => void} */
let onChange = () => {};
/** @type {() => void} */
let onKnown = () => {};

/** The listener's id, null where none was chosen; undefined until the server has answered, and while the session ends. */
export const currentListener = () => (isKnown && !isLeaving ? session.user_id : undefined);

/** The listener's id, null where none was chosen or it is not known yet. */
export const listenerId = () => session.user_id;

/** @param {typeof onChange} callback called when the listener has changed */
export function onListenerChange(callback) {
  onChange = callback;
}

/** @param {typeof onKnown} callback called when the server has said for the first time who is listening */
export function onListenerKnown(callback) {
  onKnown = callback;
}

/**
 * Runs a request that ends the session. Until it is answered nothing is asked for in the listener's name.
 * @template T
 * @param {() => Promise<T>} request
 */
export async function leaving(request) {
  isLeaving = true;
  try {
    return await request();
  } finally {
    isLeaving = false;
  }
}

/** Asks the server who is listening. */
export async function loadListener() {
  /** @type {import("../api.js").Answer<Session>} */
  const answer = await get("/listener");
  if (answer.ok) update(answer);
}

/** @param {string | null | undefined} id as it came with another answer of the server; undefined: the answer had none */
export function setListener(id) {
  if (id === undefined || (isKnown && id === session.user_id)) return;
  update({ ...session, user_id: id, name: id, is_guest: id?.startsWith("guest-") ?? false, has_account: false });
  if (id !== null) loadListener(); // for the name
}

/** Whether a listener was chosen; if not, opens the dialog. */
export function requireListener() {
  if (session.user_id) return true;
  openListenerDialog("Choose who is listening to get recommendations based on your likes and skips.");
  return false;
}

/** @param {Session} changed */
function update(changed) {
  const [before, wasKnown] = [session.user_id, isKnown];
  session = changed;
  isKnown = true;
  const button = required("#listener");
  const { user_id: id, is_guest: isGuest } = session;
  const name = session.name ?? id;
  button.textContent = name === null ? CHOOSE : isGuest ? "Guest" : name;
  const label = `${isGuest ? "A guest" : name} is listening. Change listener`;
  button.setAttribute("aria-label", name ? label : "Choose who is listening");
  if (id !== before) onChange(id, before);
  if (!wasKnown) onKnown();
}

// ---- the dialog

export function createListenerDialog() {
  const dialog = createDialog(
    "listener-dialog",
    "listener-head",
    `<form method="dialog">
      <h2 id="listener-head">Who is listening?</h2><p id="listener-why"></p>
      <label for="listener-name">Name</label>
      <input id="listener-name" name="name" maxlength="128" autocomplete="username" spellcheck="false" required>
      <label for="listener-password">Password <small id="password-note"></small></label>
      <input id="listener-password" name="password" type="password" maxlength="256" autocomplete="current-password">
      <p id="listener-error" role="alert"></p>
      <div class="choices"><button type="button" id="listener-guest" class="quiet">Continue as guest</button>
      <button type="button" id="listener-leave" class="quiet">Sign out</button><span class="gap"></span>
      <button type="button" class="quiet" data-close>Cancel</button>
      <button type="button" id="listener-new" class="quiet">Create account</button>
      <button type="submit" id="listener-ok" class="primary">Sign in</button></div></form>`,
  );
  required("#listener-guest").addEventListener("click", () => signIn({ guest: true }));
  required("#listener-leave").addEventListener("click", () => signIn({ name: null }));
  required("#listener-new").addEventListener("click", () => signIn({ ...typed(), create: true }));
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    signIn(typed());
  });
}

/** @param {string} [reason] */
export function openListenerDialog(reason) {
  const { user_id: id, is_guest: isGuest } = session;
  const guestReason = isGuest && session.sign_up ? "Create an account to keep your history, likes and playlists." : undefined;
  required("#listener-why").textContent =
    reason ?? guestReason ?? "Each listener gets recommendations based on what they play, skip and like.";
  required("#listener-error").textContent = "";
  required("#password-note").textContent = session.open_names ? "(only if the name has one)" : "";
  required("#listener-guest").hidden = !session.guests;
  required("#listener-new").hidden = !session.sign_up;
  required("#listener-leave").hidden = !id;
  requiredInput("#listener-name").value = isGuest ? "" : (session.name ?? id ?? "");
  const dialog = required("#listener-dialog", HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
  requiredInput("#listener-name").select();
}

const typed = () => ({
  name: requiredInput("#listener-name").value,
  password: requiredInput("#listener-password").value,
});

/** @param {{ name?: string | null, password?: string, guest?: boolean, create?: boolean }} request name null: sign out */
async function signIn(request) {
  /** @type {import("../api.js").Answer<Session>} */
  const answer = await post("/listener", request);
  const error = required("#listener-error");
  if (!answer.ok) {
    const isPerhapsNew = answer.status === 401 && request.password && session.sign_up;
    const hint = isPerhapsNew ? " New here? “Create account” registers this name and password." : "";
    error.textContent = answer.error + hint;
    return;
  }
  error.textContent = "";
  requiredInput("#listener-password").value = "";
  required("#listener-dialog", HTMLDialogElement).close();
  update(answer);
}
