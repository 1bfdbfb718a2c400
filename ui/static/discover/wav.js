// Encodes decoded audio as WAV. Pure logic.

const HEADER_BYTES = 44;
const BYTES_PER_SAMPLE = 2;
const MAX_SAMPLE = 32767;
const PCM = 1;

/**
 * Mono 16-bit WAV of the channels' mean.
 * @param {Float32Array[]} channels of equal length, in [-1, 1]
 * @param {number} rate samples per second
 * @param {number} maxSeconds what is longer is cut off
 * @returns {ArrayBuffer}
 */
export function encodeWav(channels, rate, maxSeconds) {
  const length = Math.min(channels[0]?.length ?? 0, maxSeconds * rate);
  const dataBytes = BYTES_PER_SAMPLE * length;
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + dataBytes));
  const text = (/** @type {number} */ offset, /** @type {string} */ letters) =>
    [...letters].forEach((letter, position) => view.setUint8(offset + position, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of the format that follows
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, BYTES_PER_SAMPLE * rate, true);
  view.setUint16(32, BYTES_PER_SAMPLE, true);
  view.setUint16(34, 8 * BYTES_PER_SAMPLE, true);
  text(36, "data");
  view.setUint32(40, dataBytes, true);
  for (let sample = 0; sample < length; sample += 1) {
    const mean = channels.reduce((sum, channel) => sum + (channel[sample] ?? 0), 0) / channels.length;
    view.setInt16(HEADER_BYTES + BYTES_PER_SAMPLE * sample, Math.max(-1, Math.min(1, mean)) * MAX_SAMPLE, true);
  }
  return view.buffer;
}
