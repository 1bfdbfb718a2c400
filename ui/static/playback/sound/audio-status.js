// Why a track gives no sound: its file, or the server? Only the server knows.

import { pathTo } from "../../address.js";

/**
 * The status of a track's audio, without its content; 0 where the server does not answer.
 * @param {import("../../track.js").Track} track
 */
export async function audioStatus(track) {
  try {
    return (await fetch(pathTo("audio", track.id), { method: "HEAD", cache: "no-store" })).status;
  } catch {
    return 0;
  }
}

/** @param {number} status */
export const isUnavailable = (status) => status === 0 || status >= 500;
