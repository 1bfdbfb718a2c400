// WAV of decoded audio: the header, the channels' mean, clipping and the limit.

import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeWav } from "../../ui/static/discover/wav.js";

const text = (view, offset, length) =>
  String.fromCharCode(...Array.from({ length }, (_, position) => view.getUint8(offset + position)));

test("the header tells mono 16-bit PCM and the sizes", () => {
  const view = new DataView(encodeWav([new Float32Array(8)], 22050, 60));
  assert.equal(view.byteLength, 44 + 16);
  assert.deepEqual([text(view, 0, 4), text(view, 8, 8), text(view, 36, 4)], ["RIFF", "WAVEfmt ", "data"]);
  const [size, rate, bytesPerSecond, dataSize] = [4, 24, 28, 40].map((offset) => view.getUint32(offset, true));
  assert.deepEqual([size, rate, bytesPerSecond, dataSize], [36 + 16, 22050, 44100, 16]);
  const [format, channels, blockSize, bits] = [20, 22, 32, 34].map((offset) => view.getUint16(offset, true));
  assert.deepEqual([format, channels, blockSize, bits], [1, 1, 2, 16]);
});

test("samples are the channels' mean, clipped to [-1, 1]", () => {
  const view = new DataView(encodeWav([Float32Array.of(1, 0, -1, 3), Float32Array.of(0, 0, -1, 3)], 8000, 60));
  const samples = Array.from({ length: 4 }, (_, sample) => view.getInt16(44 + 2 * sample, true));
  assert.deepEqual(samples, [16383, 0, -32767, 32767]);
});

test("what is longer than the limit is cut off, and no audio gives an empty file", () => {
  assert.equal(encodeWav([new Float32Array(5 * 8000)], 8000, 2).byteLength, 44 + 2 * 2 * 8000);
  assert.equal(encodeWav([], 8000, 2).byteLength, 44);
});
