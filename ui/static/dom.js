// Small things that every part of the page needs.

export const one = (selector, within = document) => within.querySelector(selector);
export const all = (selector, within = document) => [...within.querySelectorAll(selector)];
export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** An element with properties (those with a dash or an aria name as attributes) and children; text stays text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Markup that the server has escaped, as a fragment. */
export function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** {ok, status, ...body}; status 0 where the server does not answer. */
export async function post(path, body) {
  return answered(() =>
    fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      keepalive: true,
    }),
  );
}

export const get = (path) => answered(() => fetch(path));

async function answered(ask) {
  try {
    const answer = await ask();
    const type = answer.headers.get("content-type") ?? "";
    const isJson = type.startsWith("application/json");
    if (!isJson && !isPage(answer, type)) return { ok: false, status: answer.status, error: "There is no such page." };
    const body = isJson ? await answer.json() : { html: await answer.text() };
    return { ...(Array.isArray(body) ? { list: body } : body), ok: answer.ok, status: answer.status };
  } catch {
    return { ok: false, status: 0, error: "The player's server does not answer." };
  }
}

/** Whether an answer is markup of ours. Only the pages' routes escape what they send; a file of the library may hold anything. */
const isPage = (answer, type) => type.startsWith("text/html") && answer.url.startsWith(`${location.origin}/view/`);

export function clock(milliseconds) {
  const seconds = Math.floor((milliseconds || 0) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What a card says of its track. */
export function trackOf(card) {
  const list = card.closest(".cards");
  return {
    id: card.dataset.trackId,
    title: card.dataset.title,
    artist: card.dataset.artist,
    licence: card.dataset.licence,
    licenceUrl: card.dataset.licenceUrl,
    mutedArtist: card.dataset.mutedArtist,
    mutedGenre: card.dataset.mutedGenre,
    durationMs: Number(card.dataset.durationMs) || null,
    source: list.dataset.source,
    modelVersion: list.dataset.modelVersion,
  };
}

/** A track's licence by its usual name, as a link to its text where that is known. */
export function licenceOf({ licence, licenceUrl }) {
  if (!licenceUrl) return make("span", { textContent: licence || "Licence not stated", title: licence ?? "" });
  const link = { href: licenceUrl, target: "_blank", rel: "license noopener noreferrer" };
  return make("a", { ...link, textContent: licence, title: licenceUrl });
}

// crypto.randomUUID exists on https and on this machine only; the player may be served to a home network.
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// ---- messages

let toastTimer = 0;

/** A message that goes by itself; undo: what takes back what it tells of. */
export function toast(message, undo = null) {
  const place = one("#toast");
  const close = () => place.classList.remove("is-shown");
  place.replaceChildren(make("span", { textContent: message }));
  if (undo) {
    const takeBack = () => {
      close();
      undo();
    };
    place.append(make("button", { type: "button", id: "undo", textContent: "Undo", onclick: takeBack }));
  }
  const label = "Close the message";
  place.append(make("button", { type: "button", id: "toast-close", "aria-label": label, textContent: "×", onclick: close }));
  place.classList.add("is-shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(close, undo ? 8000 : 4000);
}

/** What holds for now, such as a part that is away; empty: all is well. */
export function notice(message) {
  const place = one("#notice");
  if (!place || place.textContent === message) return;
  place.textContent = message;
  place.hidden = !message;
}
