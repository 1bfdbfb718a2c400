// Messages to the listener: a toast for what just happened, a notice for what holds for now.

import { create, find, required } from "./dom.js";

const SHOWN_MS = 4000;
const SHOWN_WITH_UNDO_MS = 8000;

let closeTimer = 0;

export const createToast = () => document.body.append(create("div", { id: "toast", role: "status" }));

/**
 * Shows a message that closes by itself.
 * @param {string} message
 * @param {(() => void) | null} [undo] takes back what the message tells of
 */
export function toast(message, undo = null) {
  const box = required("#toast");
  const close = () => box.classList.remove("is-shown");
  box.replaceChildren(create("span", {}, message));
  if (undo) {
    const onclick = () => {
      close();
      undo();
    };
    box.append(create("button", { type: "button", id: "undo", onclick }, "Undo"));
  }
  box.append(
    create("button", { type: "button", id: "toast-close", "aria-label": "Close the message", onclick: close }, "×"),
  );
  box.classList.add("is-shown");
  clearTimeout(closeTimer);
  closeTimer = setTimeout(close, undo ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
}

/**
 * Says to screen readers what the page shows elsewhere.
 * @param {string} message
 */
export function say(message) {
  const box = find("#said") ?? document.body.appendChild(create("p", { id: "said", className: "said", role: "status" }));
  box.textContent = message;
}

/**
 * Shows what holds for now, such as an unavailable service.
 * @param {string} message empty: all is well
 */
export function notice(message) {
  const box = find("#notice");
  if (!box || box.textContent === message) return;
  box.textContent = message;
  box.hidden = !message;
}
