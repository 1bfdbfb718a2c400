// Why a track gives no sound: its file, or the server? Only the server knows.

import { isTemporary, sleep } from "../../api.js";
import { toast } from "../../page/messages.js";

const RETRY_MS = 2000; // a server that does not answer is asked again after this long

/**
 * The status of an address's audio, without its content; 0 where the server does not answer.
 * @param {string} address
 */
async function audioStatus(address) {
  try {
    return (await fetch(address, { method: "HEAD", cache: "no-store" })).status;
  } catch {
    return 0;
  }
}

/**
 * Waits while the server, or the track's store, is unavailable.
 * @param {string} title of the track
 * @param {string} address
 * @param {() => boolean} isCurrent whether the track is still to be heard
 * @returns {Promise<"superseded" | "back" | "undecodable" | "missing">} back: the server was unavailable and no longer is
 */
export async function soundProblem(title, address, isCurrent) {
  let status = await audioStatus(address);
  const wasAway = isTemporary(status);
  if (isCurrent() && wasAway) toast(`“${title}” is unavailable right now. Playback resumes automatically.`);
  while (isCurrent() && isTemporary(status)) {
    await sleep(RETRY_MS);
    status = await audioStatus(address);
  }
  if (!isCurrent()) return "superseded";
  if (status !== 200) return "missing";
  return wasAway ? "back" : "undecodable";
}
