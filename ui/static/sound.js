// Find by sound, and song paths. A clip goes to the server as it is; a format that the server cannot decode, and what the
// microphone recorded, is decoded here and sent as WAV.

import { get, make, one, parsed } from "./dom.js";

const RECORD_S = 10;
const RATE = 22050;
const LONGEST_S = 60;

let changed = () => {};
let recorder = null;

export function onFound(callback) {
  changed = callback;
}

export function wireSound() {
  one("#clip").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) await find(file, `“${file.name}”`);
  });
  for (const end of ["start", "end"]) {
    const field = one(`#path-${end}`);
    field.addEventListener("input", () => suggest(end));
  }
  one("#path-form").addEventListener("submit", findPath);
  const from = sessionStorage.getItem("overtone.path-from");
  if (from) {
    const { id, title } = JSON.parse(from);
    sessionStorage.removeItem("overtone.path-from");
    choose("start", id, title);
    one("#song-path").scrollIntoView();
    one("#path-end").focus();
  }
}

const tell = (message) => (one("#sound-state").textContent = message);

async function find(blob, name) {
  tell(`Listening to ${name} …`);
  let answer = await sendClip(blob, blob.type.startsWith("audio/") ? blob.type : "application/octet-stream");
  if (answer.status === 422) {
    try {
      answer = await sendClip(await asWav(blob), "audio/wav");
    } catch {
      // neither of us can decode it: the server's answer says why
    }
  }
  if (!one("#sound-found")) return;
  if (!answer.ok) {
    one("#sound-found").replaceChildren();
    return tell(answer.error);
  }
  tell(`${answer.count} tracks sound most like ${name}, nearest first.`);
  one("#sound-found").replaceChildren(parsed(answer.html));
  changed();
}

async function sendClip(body, type) {
  try {
    const answer = await fetch("/sound", { method: "POST", headers: { "Content-Type": type }, body });
    return { ...(await answer.json()), ok: answer.ok, status: answer.status };
  } catch {
    return { ok: false, status: 0, error: "The player's server does not answer." };
  }
}

/** The first minute as mono 16-bit WAV. */
async function asWav(blob) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const sound = await context.decodeAudioData(await blob.arrayBuffer());
  const length = Math.min(sound.length, LONGEST_S * RATE);
  const bytes = new DataView(new ArrayBuffer(44 + 2 * length));
  const text = (at, letters) => [...letters].forEach((letter, place) => bytes.setUint8(at + place, letter.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true);
  bytes.setUint16(22, 1, true);
  bytes.setUint32(24, RATE, true);
  bytes.setUint32(28, 2 * RATE, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, 2 * length, true);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel));
  for (let at = 0; at < length; at += 1) {
    const value = channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length;
    bytes.setInt16(44 + 2 * at, Math.max(-1, Math.min(1, value)) * 32767, true);
  }
  return new Blob([bytes.buffer], { type: "audio/wav" });
}

export async function record() {
  if (recorder) return recorder.stop();
  if (!navigator.mediaDevices) return tell("The browser records only on https or on this machine.");
  let stream;
  try {
    const asItIs = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: asItIs });
  } catch (error) {
    const isMissing = error.name === "NotFoundError";
    return tell(isMissing ? "There is no microphone." : "The browser does not let this page use the microphone.");
  }
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", async () => {
    stream.getTracks().forEach((track) => track.stop());
    const type = recorder.mimeType;
    recorder = null;
    one("#record")?.setAttribute("aria-pressed", "false");
    await find(new Blob(parts, { type }), "the recording");
  });
  recorder.start();
  one("#record").setAttribute("aria-pressed", "true");
  tell(`Recording for ${RECORD_S} seconds; press again to end sooner.`);
  const own = recorder;
  setTimeout(() => own === recorder && recorder?.stop(), RECORD_S * 1000);
}

// ---- song path: each field remembers the id behind what it shows

const chosen = { start: null, end: null };
const label = (track) => `${track.title} · ${track.artist}`;

function choose(end, id, shown) {
  chosen[end] = { id, shown };
  one(`#path-${end}`).value = shown;
}

async function suggest(end) {
  const field = one(`#path-${end}`);
  const known = [...one(`#path-${end}-found`).options].find((option) => option.value === field.value);
  if (known) return void (chosen[end] = { id: known.dataset.id, shown: field.value });
  chosen[end] = null;
  const answer = await get(`/words?text=${encodeURIComponent(field.value)}`);
  if (!answer.ok) return;
  const options = answer.tracks.map((track) => make("option", { value: label(track), "data-id": track.id }));
  one(`#path-${end}-found`)?.replaceChildren(...options);
}

/** The track that a field means: the one that was chosen, else the best that search finds. */
async function meant(end) {
  const shown = one(`#path-${end}`).value;
  if (chosen[end]?.shown === shown && shown) return chosen[end].id;
  const answer = await get(`/words?text=${encodeURIComponent(shown.split(" · ")[0])}&limit=1`);
  return answer.ok ? answer.tracks[0]?.id : undefined;
}

async function findPath(event) {
  event.preventDefault();
  const say = (message) => (one("#path-state").textContent = message);
  const [start, end] = await Promise.all([meant("start"), meant("end")]);
  if (!start || !end) return say(`No track is found for “${one(start ? "#path-end" : "#path-start").value}”.`);
  const steps = one("#path-steps").value;
  const answer = await get(`/path?start=${encodeURIComponent(start)}&end=${encodeURIComponent(end)}&steps=${steps}`);
  one("#path-found").replaceChildren();
  if (!answer.ok) return say(answer.error);
  const play = make("button", { type: "button", className: "pill primary", "data-action": "play-path" }, "Play the path");
  one("#path-found").replaceChildren(parsed(answer.html), play);
  say(`${one("#path-found").querySelectorAll(".card").length} tracks.`);
  changed();
}
