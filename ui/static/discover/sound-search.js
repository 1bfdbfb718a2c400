// Search by sound: a file or a recording finds similar tracks. A clip goes to the server as it is; what the server
// cannot decode, as the recordings of most browsers, is decoded here and sent as WAV.

import { postFile } from "../api.js";
import { find, parseHtml, requiredInput } from "../page/dom.js";
import { encodeWav } from "./wav.js";

const RECORDING_S = 10;
const WAV_RATE = 22050;
const MAX_WAV_S = 60;
const NOT_DECODABLE = 422; // the server's status

/** @typedef {import("../api.js").Answer<import("../api.js").Html & { count: number }>} SoundAnswer */

/** @type {MediaRecorder | null} while it records */
let recorder = null;

/** @param {() => void} onResults called when cards were put into the page */
export function wireSoundSearch(onResults) {
  const clip = requiredInput("#clip");
  clip.addEventListener("change", async () => {
    const file = clip.files?.[0];
    clip.value = "";
    if (file) await search(file, `“${file.name}”`, onResults);
  });
}

/** @param {string} message */
const showStatus = (message) => {
  const status = find("#sound-state"); // gone where another page was opened meanwhile
  if (status) status.textContent = message;
};

/**
 * @param {Blob} clip
 * @param {string} name
 * @param {() => void} onResults
 */
async function search(clip, name, onResults) {
  showStatus(`Analysing ${name} …`);
  const type = clip.type.startsWith("audio/") ? clip.type : "application/octet-stream";
  /** @type {SoundAnswer} */
  let answer = await postFile("/sound", clip, type);
  if (answer.status === NOT_DECODABLE) {
    const wav = await decodeToWav(clip);
    if (wav) answer = await postFile("/sound", wav, "audio/wav");
  }
  const results = find("#sound-found");
  if (!results) return;
  if (!answer.ok) {
    results.replaceChildren();
    return showStatus(answer.error);
  }
  showStatus(`${answer.count} tracks similar to ${name}, most similar first.`);
  results.replaceChildren(parseHtml(answer.html));
  onResults();
}

/**
 * The clip's first minute as WAV; null where the browser cannot decode it either.
 * @param {Blob} clip
 */
async function decodeToWav(clip) {
  try {
    const context = new OfflineAudioContext(1, 1, WAV_RATE);
    const audio = await context.decodeAudioData(await clip.arrayBuffer());
    const channels = Array.from({ length: audio.numberOfChannels }, (_, channel) => audio.getChannelData(channel));
    return new Blob([encodeWav(channels, WAV_RATE, MAX_WAV_S)], { type: "audio/wav" });
  } catch {
    return null;
  }
}

/**
 * Records from the microphone and searches by it; while it records, stops.
 * @param {() => void} onResults
 */
export async function toggleRecording(onResults) {
  if (recorder) return recorder.stop();
  if (!navigator.mediaDevices) return showStatus("Recording needs HTTPS or localhost.");
  let stream;
  try {
    const unprocessed = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: unprocessed });
  } catch (error) {
    const isMissing = error instanceof DOMException && error.name === "NotFoundError";
    return showStatus(isMissing ? "No microphone found." : "Microphone access was denied.");
  }
  record(stream, (recording) => search(recording, "the recording", onResults));
}

/**
 * @param {MediaStream} stream
 * @param {(recording: Blob) => void} onRecorded
 */
function record(stream, onRecorded) {
  const own = new MediaRecorder(stream);
  recorder = own;
  /** @type {Blob[]} */
  const parts = [];
  own.addEventListener("dataavailable", ({ data }) => parts.push(data));
  own.addEventListener("stop", () => {
    for (const track of stream.getTracks()) track.stop();
    recorder = null;
    find("#record")?.setAttribute("aria-pressed", "false");
    onRecorded(new Blob(parts, { type: own.mimeType }));
  });
  own.start();
  find("#record")?.setAttribute("aria-pressed", "true");
  showStatus(`Recording for ${RECORDING_S} seconds. Press again to stop.`);
  setTimeout(() => own === recorder && own.stop(), RECORDING_S * 1000);
}
