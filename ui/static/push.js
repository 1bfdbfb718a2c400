// What changes on the server, told to the page as it happens: subscribe("list", callback). Where the connection is lost or
// refused, the page looks by itself, slowly, until it is back.

import { Connection } from "./push/connection.js";

const SLOW_POLL_MS = 5000;
const SLOW_POLL_HIDDEN_MS = 30_000; // in a background tab

/** @typedef {"list" | "mixes" | "library" | "queue" | "status"} Kind
 * `list`: "For you" or opinions have changed; `mixes`: the lists beside it; `library`: tracks, albums or artists; `queue`: on
 * another device; `status`: Kafka or MongoDB is away or back */
/** @typedef {{ connected: boolean, waiting: number, away?: string }} Status as in /for-you; `waiting` only without Kafka */

/** @type {Map<string, Set<(data: any) => void>>} */
const callbacks = new Map();
/** @type {boolean | undefined} undefined before the first attempt has ended */
let isConnected;
let pollTimer = 0;
/** @type {(request: "restart" | "look") => void} */
let ask = () => {};

/**
 * Calls back whenever something of this kind has changed, or may have changed unseen.
 * @template {Kind} K
 * @param {K} kind
 * @param {(data: K extends "status" ? Status : object) => void} callback `status` has data, the other kinds say to look
 */
export function subscribe(kind, callback) {
  callbacks.set(kind, (callbacks.get(kind) ?? new Set()).add(callback));
}

/** Opens the connection, which all tabs share where the browser can. */
export function connect() {
  if (typeof SharedWorker === "undefined") connectAlone();
  else connectByWorker();
  addEventListener("online", () => ask("look"));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !isConnected) ask("look");
  });
}

/** Connects again: another listener has come. */
export const reconnect = () => ask("restart");

/**
 * @param {string} kind
 * @param {object} data
 */
function tell(kind, data) {
  for (const callback of callbacks.get(kind) ?? []) callback(data);
}

function lookAtEverything() {
  for (const kind of callbacks.keys()) if (kind !== "status") tell(kind, {});
}

/** @param {boolean} state */
function setConnected(state) {
  const isNews = state !== isConnected;
  isConnected = state;
  if (isNews) lookAtEverything(); // of what was not told
  if (state) clearTimeout(pollTimer);
  else if (isNews) pollTimer = setTimeout(poll, pollPause());
}

const pollPause = () => (document.hidden ? SLOW_POLL_HIDDEN_MS : SLOW_POLL_MS);

function poll() {
  lookAtEverything();
  pollTimer = setTimeout(poll, pollPause());
}

function connectAlone() {
  const connection = new Connection({
    open: () => new EventSource("/events-of-mine"),
    onMessage: tell,
    onState: setConnected,
  });
  ask = (request) => {
    if (request === "restart" || !isConnected) connection.restart();
  };
  connection.restart();
}

function connectByWorker() {
  const worker = new SharedWorker(new URL("./push/worker.js", import.meta.url), { type: "module", name: "overtone-push" });
  worker.addEventListener("error", connectAlone, { once: true }); // a browser without modules in workers
  worker.port.onmessage = ({ data: message }) => {
    if (message.kind) tell(message.kind, message.data);
    else if (message.isConnected !== undefined) setConnected(message.isConnected);
  };
  ask = (request) => worker.port.postMessage(request);
  addEventListener("pagehide", () => worker.port.postMessage("leave"));
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) worker.port.postMessage("stay");
  });
}
