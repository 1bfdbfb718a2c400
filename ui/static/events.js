// What the listener did, on its way to the server: one at a time, in order, kept while the server is away.

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

/** {ok, status, ...body}; status 0 where the server does not answer. */
export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      keepalive: true,
    });
    return { ...(await answer.json()), ok: answer.ok, status: answer.status };
  } catch {
    return { ok: false, status: 0, error: "The player's server does not answer." };
  }
}

// crypto.randomUUID exists on https and on this machine only; the player may be served to a home network.
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
