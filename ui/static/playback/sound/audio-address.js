// From where a track's audio comes: its file, or MP3 made from it on the way where this browser cannot play the file.

import { pathTo } from "../../address.js";

/** @typedef {import("../../track.js").Track} Track */

/** Kinds of files, with a type that a browser says whether it can play. */
const TYPES = {
  aac: "audio/aac",
  aiff: "audio/aiff",
  flac: "audio/flac",
  m4a: 'audio/mp4; codecs="mp4a.40.2"',
  mp3: "audio/mpeg",
  ogg: 'audio/ogg; codecs="vorbis"',
  opus: 'audio/ogg; codecs="opus"',
  wav: "audio/wav",
};

/** @type {string | null} */
let unplayableKinds = null;

/** The kinds that this browser cannot play, with commas between them. */
function findUnplayableKinds() {
  const audio = document.createElement("audio");
  return Object.entries(TYPES)
    .filter(([, type]) => !audio.canPlayType(type))
    .map(([kind]) => kind)
    .join();
}

/**
 * @param {Track} track
 * @param {{ isSmaller?: boolean, isMp3?: boolean }} [options] isSmaller: lossless files as MP3; isMp3: any file as MP3
 */
export function audioAddress(track, { isSmaller = false, isMp3 = false } = {}) {
  unplayableKinds ??= findUnplayableKinds();
  const query = new URLSearchParams({
    ...(unplayableKinds && { without: unplayableKinds }),
    ...(isSmaller && { smaller: "1" }),
    ...(isMp3 && { as: "mp3" }),
  }).toString();
  return pathTo("audio", track.id) + (query && `?${query}`);
}
