// Why a track is recommended: the tracks behind it, how similar it is, the parts of its score.

import { pathTo } from "../address.js";
import { get } from "../api.js";
import { createDialog, parseHtml, required } from "../page/dom.js";
import { toast } from "../page/messages.js";

export function createWhyDialog() {
  createDialog(
    "why-dialog",
    "why-head", // in the server's markup
    `<div id="why-body"></div>
     <div class="choices"><button type="button" class="primary" data-close>Close</button></div>`,
  );
}

/** @param {string} trackId */
export async function showWhy(trackId) {
  /** @type {import("../api.js").Answer<import("../api.js").Html>} */
  const answer = await get(pathTo("view", "why", trackId));
  if (!answer.ok) return toast(answer.error);
  required("#why-body").replaceChildren(parseHtml(answer.html)); // escaped by the server, see ui/page/rendering.py
  required("#why-dialog", HTMLDialogElement).showModal();
}
