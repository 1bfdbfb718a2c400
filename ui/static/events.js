// What the listener did, on its way to the server: one at a time, in order, kept while the server is away.

import { post, uuid } from "./dom.js";

const waiting = [];
const KEPT = 1000;
const RETRY_MS = 2000;
let isSending = false;
let heard = () => {};

/** Calls back after each answer: ({ok, status, error}). */
export function onAnswer(callback) {
  heard = callback;
}

export function send(event) {
  if (waiting.length < KEPT) waiting.push({ event_id: uuid(), ...event });
  flush();
}

async function flush() {
  if (isSending) return;
  isSending = true;
  while (waiting.length) {
    const answer = await post("/events", waiting[0]);
    if (answer.status === 0 || answer.status >= 500) {
      heard(answer);
      await new Promise((done) => setTimeout(done, RETRY_MS));
      continue;
    }
    waiting.shift();
    heard(answer);
  }
  isSending = false;
}
