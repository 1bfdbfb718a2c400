// The dialog in which a listener chooses a name, of those used in this browser or another one.

import { create, createDialog, required, requiredInput } from "../page/dom.js";
import { toast } from "../page/messages.js";
import { forgetName, knownNames } from "./known-names.js";
import { currentSession, signIn } from "./listener.js";

/** @typedef {import("./known-names.js").KnownName} KnownName */

/** @param {() => void} onGivenUp called when the dialog was closed and nobody is listening */
export function createListenerDialog(onGivenUp) {
  const dialog = createDialog(
    "listener-dialog",
    "listener-head",
    `<form method="dialog">
      <h2 id="listener-head">Who is listening?</h2><p id="listener-why"></p>
      <ul id="listener-known" role="list" aria-label="Names used in this browser"></ul>
      <label for="listener-name">Name</label>
      <input id="listener-name" name="name" maxlength="128" autocomplete="username" spellcheck="false" required>
      <label for="listener-password">Password <small id="password-note"></small></label>
      <input id="listener-password" name="password" type="password" maxlength="256" autocomplete="current-password">
      <label id="listener-bring-label" class="check"><input id="listener-bring" type="checkbox" checked> Keep what I liked and played as
      a guest</label>
      <p id="listener-error" role="alert"></p>
      <div class="choices"><button type="button" id="listener-guest" class="quiet">Continue as guest</button>
      <button type="button" id="listener-leave" class="quiet">Sign out</button><span class="gap"></span>
      <button type="button" class="quiet" data-close>Cancel</button>
      <button type="button" id="listener-new" class="quiet"></button>
      <button type="submit" id="listener-ok" class="primary">Continue</button></div></form>`,
  );
  required("#listener-guest").addEventListener("click", () => enter({ guest: true }));
  required("#listener-leave").addEventListener("click", () => enter({ name: null }));
  required("#listener-new").addEventListener("click", () => enter({ ...typed(), create: true }));
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(typed());
  });
  dialog.addEventListener("close", () => {
    if (currentSession().user_id === null) onGivenUp();
  });
}

/** @param {string} [reason] */
export function openListenerDialog(reason) {
  const { user_id: id, is_guest: isGuest, has_account: hasAccount, sign_up: signUp, ...session } = currentSession();
  const isNamed = id !== null && !isGuest;
  const why = isNamed
    ? "Each listener gets recommendations based on what they play, skip and like."
    : "Choose a name to find your likes and playlists again, here and in other browsers.";
  required("#listener-why").textContent = reason ?? why;
  required("#listener-error").textContent = "";
  required("#password-note").textContent = session.open_names ? "(only if the name has one)" : "";
  required("#listener-guest").hidden = !session.guests || Boolean(isGuest);
  required("#listener-new").hidden = !signUp || Boolean(hasAccount);
  required("#listener-new").textContent = isNamed ? "Add a password" : "Create account";
  required("#listener-leave").hidden = !isNamed;
  required("#listener-bring-label").hidden = !isGuest;
  requiredInput("#listener-bring").checked = true;
  requiredInput("#listener-name").value = isNamed ? (session.name ?? id) : "";
  showKnownNames();
  const dialog = required("#listener-dialog", HTMLDialogElement);
  if (!dialog.open) dialog.showModal();
  requiredInput("#listener-name").select();
}

function showKnownNames() {
  const { name: current } = currentSession();
  const names = knownNames();
  const items = names.map((known) => {
    const onclick = () => choose(known);
    const isCurrent = known.name === current ? "true" : undefined;
    const forget = () => {
      forgetName(known.name);
      showKnownNames();
      requiredInput("#listener-name").focus();
    };
    const remove = { type: "button", className: "quiet", "aria-label": `Remove ${known.name} from this browser's names`, title: "Remove", onclick: forget };
    return create(
      "li",
      {},
      create("button", { type: "button", className: "pill", "aria-current": isCurrent, onclick }, known.name),
      create("button", remove, "×"),
    );
  });
  required("#listener-known").replaceChildren(...items);
  required("#listener-known").hidden = items.length === 0;
}

/** @param {KnownName} known */
function choose({ name, hasAccount }) {
  requiredInput("#listener-name").value = name;
  if (!hasAccount) return enter({ name });
  required("#listener-error").textContent = "";
  requiredInput("#listener-password").focus();
}

const typed = () => ({
  name: requiredInput("#listener-name").value,
  password: requiredInput("#listener-password").value,
});

/** @param {import("./listener.js").SignIn} request */
async function enter(request) {
  const error = required("#listener-error");
  if (request.name !== undefined && request.name !== null && !request.name.trim()) {
    error.textContent = "Enter a name.";
    return;
  }
  const bring = !required("#listener-bring-label").hidden && requiredInput("#listener-bring").checked;
  const answer = await signIn({ ...request, ...(request.name && { bring }) });
  if (!answer.ok) {
    const isPerhapsNew = answer.status === 401 && request.password && currentSession().sign_up;
    const hint = isPerhapsNew ? " New here? “Create account” registers this name and password." : "";
    error.textContent = answer.error + hint;
    return;
  }
  error.textContent = "";
  requiredInput("#listener-password").value = "";
  required("#listener-dialog", HTMLDialogElement).close();
  if (answer.brought) toast(`What you liked as a guest is now among the likes of ${answer.name}.`);
}
