// The connection of all tabs of a browser, in a shared worker: over HTTP/1.1 a browser has six connections to a server,
// and a tab with one of its own would take them from music and pages.

import { Connection } from "./connection.js";

/** @type {Set<MessagePort>} */
const tabs = new Set();
/** @type {boolean | undefined} undefined before the first attempt has ended */
let isConnected;

const connection = new Connection({
  open: () => new EventSource("/events-of-mine"),
  onMessage: (kind, data) => tell({ kind, data }),
  onState: (state) => {
    isConnected = state;
    tell({ isConnected });
  },
});

/** @param {object} message */
function tell(message) {
  for (const tab of tabs) tab.postMessage(message);
}

globalThis.addEventListener("connect", (event) => {
  const [tab] = /** @type {MessageEvent} */ (event).ports;
  if (!tab) return;
  if (tabs.size === 0) connection.restart();
  tabs.add(tab);
  tab.onmessage = ({ data: request }) => {
    if (request === "leave") tabs.delete(tab);
    else if (request === "stay") tabs.add(tab);
    else if (request === "restart" || !isConnected) connection.restart();
  };
  tab.postMessage({ isConnected });
});
