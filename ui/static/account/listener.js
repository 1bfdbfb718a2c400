// Who is listening. The server decides, by the session's cookie. Whoever has chosen no name is a guest as soon as they do
// something: what they did first is kept for the guest or, where guests are not allowed, for the name that they choose.

import { get, isTemporary, post, sleep } from "../api.js";
import { required } from "../page/dom.js";
import { rememberName } from "./known-names.js";

/**
 * The session as the server tells it.
 * @typedef {object} Session
 * @property {string | null} user_id null: nobody has chosen a name or done anything yet
 * @property {string | null} [name] as it was chosen; the id of a guest who has chosen one is another
 * @property {boolean} [is_guest]
 * @property {string | null} [brought_from] id of the guest who has chosen this name, as whom this browser may have events to send
 * @property {boolean} [has_account]
 * @property {boolean} [operator] whether the page of the service is open to the listener
 * @property {boolean} open_names whether a name without an account needs no password
 * @property {boolean} sign_up
 * @property {boolean} guests
 * @property {number} [brought] opinions that a guest has brought along to a name that was there before
 */
/** @typedef {{ name?: string | null, password?: string, guest?: boolean, create?: boolean, bring?: boolean }} SignIn */
/** @typedef {import("../api.js").Answer<Session>} SessionAnswer */

const CHOOSE = "Choose listener";
const GUEST = "Guest";
const RETRY_MS = 2000;
const SAVING_MS = 2000; // the longest wait for what a guest has to be saved
const BY_PLAYING = ["play", "skip", "complete"];

/** @type {Session} */
let session = { user_id: null, open_names: true, sign_up: true, guests: true };
let isKnown = false;
let isLeaving = false;
/** @type {Promise<boolean> | null} of a guest who is about to enter */
let entering = null;
/** @type {(id: string | null, before: string | null, isBrought: boolean) => void} */
let onChange = () => {};
/** @type {() => void} */
let onKnown = () => {};
/** @type {(reason: string) => void} */
let ask = () => {};
/** @type {() => Promise<unknown>} */
let saveAll = async () => {};

/** The listener's id, null where there is none; undefined until the server has answered, and while the session ends. */
export const currentListener = () => (isKnown && !isLeaving ? session.user_id : undefined);

/** The listener's id, null where there is none or it is not known yet. */
export const listenerId = () => session.user_id;

export const currentSession = () => session;

/**
 * @param {typeof onChange} callback called when the listener has changed; isBrought: a guest has chosen a name that was there
 *   before, and brought along what they did
 */
export function onListenerChange(callback) {
  onChange = callback;
}

/** @param {typeof onKnown} callback called when the server has said for the first time who is listening */
export function onListenerKnown(callback) {
  onKnown = callback;
}

/** @param {typeof saveAll} callback saves on the server what a guest has, before it is given to the name that they choose */
export function onBeforeBringing(callback) {
  saveAll = callback;
}

/** @param {typeof ask} callback asks for a name, with the reason */
export function onNameNeeded(callback) {
  ask = callback;
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
  /** @type {SessionAnswer} */
  const answer = await get("/listener");
  if (answer.ok) update(answer);
}

/** @param {string | null | undefined} id as it came with another answer of the server; undefined: the answer had none */
export function setListener(id) {
  if (id === undefined || (isKnown && id === session.user_id)) return;
  const isGuest = id?.startsWith("guest-") ?? false;
  update({ ...session, user_id: id, name: id, is_guest: isGuest, has_account: false, brought_from: null });
  if (id !== null) loadListener(); // for the name
}

/**
 * A listener for what somebody does: the present one, else a guest. Where guests are not allowed, a name is asked for.
 * @param {string} [reason] for the question; none: nothing is asked
 * @returns {Promise<boolean>} whether there is one now
 */
export async function ensureListener(reason = "Choose who is listening to get recommendations based on your likes and skips.") {
  if (session.user_id) return true;
  if (!session.guests) {
    if (reason) ask(reason);
    return false;
  }
  entering ??= enterAsGuest().finally(() => (entering = null));
  return entering;
}

/**
 * A listener for an event that waits for one. Nobody is asked for a name because something plays.
 * @param {Record<string, unknown>} event
 */
export const ensureListenerFor = ({ action }) => ensureListener(BY_PLAYING.includes(String(action)) ? "" : undefined);

async function enterAsGuest() {
  for (;;) {
    /** @type {SessionAnswer} */
    const answer = await post("/listener", { guest: true, only_if_nobody: true });
    if (session.user_id) return true; // a name was chosen meanwhile
    if (answer.ok) update(answer);
    if (!isTemporary(answer.status)) return answer.ok;
    await sleep(RETRY_MS);
  }
}

/**
 * Signs in, up or out.
 * @param {SignIn} request name null: signs out
 * @returns {Promise<SessionAnswer>}
 */
export async function signIn(request) {
  if (request.bring && session.is_guest) await Promise.race([saveAll(), sleep(SAVING_MS)]);
  /** @type {SessionAnswer} */
  const answer = await leaving(() => post("/listener", request));
  if (answer.ok) update(answer, Boolean(request.name && request.bring && session.is_guest));
  return answer;
}

/**
 * @param {Session} changed
 * @param {boolean} [isBrought]
 */
function update(changed, isBrought = false) {
  const [before, wasKnown] = [session.user_id, isKnown];
  session = changed;
  isKnown = true;
  const { user_id: id, is_guest: isGuest, has_account: hasAccount } = session;
  const name = session.name ?? id;
  const isNamed = name !== null && !isGuest;
  const button = required("#listener");
  button.textContent = isNamed ? name : isGuest || session.guests ? GUEST : CHOOSE;
  const label = isNamed ? `${name} is listening. Change listener` : "You are listening as a guest. Choose a name";
  button.setAttribute("aria-label", isNamed || isGuest || session.guests ? label : "Choose who is listening");
  if (isNamed) rememberName(name, hasAccount ?? false);
  if (id !== before) onChange(id, before, isBrought);
  if (!wasKnown) onKnown();
}
