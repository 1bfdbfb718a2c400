// What the listener did, on its way to the server: one at a time, in order, kept while the server is away. Each event keeps whose
// it is: it waits until they listen again rather than go out under another name.

import { post, uuid } from "./dom.js";
import { isListenerKnown, listenerId } from "./listener.js";

let waiting = []; // {event, at}
const KEPT = 1000;
const RETRY_MS = 2000;
const LATE_MS = 2000; // kept for longer, an event says itself when it was; else the server's clock says so
let isSending = false;
let heard = () => {};

/** Calls back after each answer: ({ok, status, error}). */
export function onAnswer(callback) {
  heard = callback;
}

export function send(event) {
  const whose = isListenerKnown() ? { listener: listenerId() } : {};
  if (waiting.length < KEPT) waiting.push({ event: { event_id: uuid(), ...whose, ...event }, at: Date.now() });
  flush();
}

export async function flush() {
  if (isSending) return;
  isSending = true;
  for (let next = first(); next; next = first()) {
    const isLate = Date.now() - next.at > LATE_MS;
    const answer = await post("/events", { ...next.event, ...(isLate && { occurred_at: new Date(next.at).toISOString() }) });
    const isToRetry = answer.status === 0 || answer.status === 409 || answer.status >= 500;
    if (!isToRetry) waiting = waiting.filter((each) => each !== next);
    heard(answer);
    if (isToRetry) await new Promise((done) => setTimeout(done, RETRY_MS));
  }
  isSending = false;
}

/** The first event that may go out now. */
function first() {
  if (listenerId() !== null) waiting = waiting.filter(({ event }) => event.listener !== null); // what nobody did stays nobody's
  return waiting.find(({ event }) => event.listener === undefined || event.listener === listenerId());
}
