// Home while it stays open: new mixes, what was just played, and music that was added to the library.

import { subscribe } from "../push.js";
import { showHome } from "../router.js";

const GATHER_MS = 1000; // a library is published track by track
const AFTER_TRACK_MS = 3000; // until what was heard is in the history
const AGAIN_MS = 35_000; // the player reads which tracks were added last from the lake, at most every 30 seconds

let timer = 0;
let timerAgain = 0;

export function wireHomeNews() {
  subscribe("mixes", () => renewIn(GATHER_MS));
  subscribe("library", () => {
    renewIn(GATHER_MS);
    clearTimeout(timerAgain);
    timerAgain = setTimeout(renew, AGAIN_MS);
  });
}

/** The next track has started: the one before was played. */
export const renewAfterTrack = () => renewIn(AFTER_TRACK_MS);

/** @param {number} milliseconds */
function renewIn(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(renew, milliseconds);
}

const renew = () => showHome(true);
