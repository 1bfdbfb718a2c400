// Events that the server has not taken yet, kept by the browser: they survive their tab, and another one sends them.

import { forget, loadJson, saveJson, storedNames } from "../storage.js";

/** @typedef {import("./outbox.js").QueuedEvent} QueuedEvent */

const PREFIX = "event.";

/** @returns {QueuedEvent[]} the oldest first; what cannot be read is deleted */
export function loadEvents() {
  const events = [];
  for (const name of storedNames(PREFIX)) {
    const queued = loadJson(name);
    if (typeof queued?.event?.event_id === "string" && typeof queued.queuedAt === "number") events.push(queued);
    else forget(name);
  }
  return events.sort((a, b) => a.queuedAt - b.queuedAt || (a.number ?? 0) - (b.number ?? 0));
}

/** @param {QueuedEvent} queued */
export const saveEvent = (queued) => saveJson(PREFIX + queued.event.event_id, queued);

/** @param {QueuedEvent} queued */
export const forgetEvent = (queued) => forget(PREFIX + queued.event.event_id);
