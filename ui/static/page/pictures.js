// Pictures of a track that the server draws when they are first asked for: asked for again until they are there.

import { isTemporary, sleep } from "../api.js";
import { findAll } from "./dom.js";

const [OK, PENDING] = [200, 202];
const RETRY_MS = 2000;
const MAX_ATTEMPTS = 60;

/** Loads the pictures of the page that is shown. */
export function loadPictures() {
  for (const picture of findAll("#view img[data-picture]")) load(/** @type {HTMLImageElement} */ (picture));
}

/** @param {HTMLImageElement} picture */
async function load(picture) {
  const address = picture.dataset.picture ?? "";
  delete picture.dataset.picture;
  for (let attempt = 0; attempt < MAX_ATTEMPTS && picture.isConnected; attempt += 1) {
    const status = await statusOf(address);
    if (status !== PENDING && !isTemporary(status)) {
      if (status === OK) picture.src = address; // from the browser's cache
      else {
        picture.alt = "This picture cannot be drawn.";
        picture.removeAttribute("src"); // of nothing, until then
      }
      return;
    }
    await sleep(RETRY_MS);
  }
}

/**
 * The status of an address; 0 where the server does not answer.
 * @param {string} address
 */
async function statusOf(address) {
  try {
    const response = await fetch(address);
    await response.blob();
    return response.status;
  } catch {
    return 0;
  }
}
