// How loud a track is played, and when playback ends by itself.

import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";

import { gainFactor } from "../../ui/static/playback/sound/replay-gain.js";
import { SleepTimer } from "../../ui/static/playback/sound/sleep-timer.js";

const NONE = { trackGainDb: null, trackPeak: null, albumGainDb: null, albumPeak: null };
const BOTH = { trackGainDb: -6.0206, trackPeak: 0.9, albumGainDb: -12.0412, albumPeak: 0.95 };

describe("ReplayGain", () => {
  for (const [what, loudness, mode, factor] of [
    ["track mode has the track's gain", BOTH, "track", 0.5],
    ["album mode has the album's", BOTH, "album", 0.25],
    ["off plays as it is", BOTH, "off", 1],
    ["without values as it is", NONE, "track", 1],
    ["without an album's value, the track's", { ...BOTH, albumGainDb: null }, "album", 0.5],
    ["without a track's value, the album's", { ...BOTH, trackGainDb: null }, "track", 0.25],
    ["a peak is not clipped", { ...NONE, trackGainDb: 12, trackPeak: 0.8 }, "track", 1.25],
    ["a peak beyond full scale is made softer", { ...NONE, trackGainDb: 0, trackPeak: 1.25 }, "track", 0.8],
    ["without a peak the gain alone counts", { ...NONE, trackGainDb: 6.0206 }, "track", 2],
    ["0 dB is a value", { ...BOTH, trackGainDb: 0 }, "track", 1],
  ]) {
    test(what, () => assert.ok(Math.abs(gainFactor(loudness, mode) - factor) < 1e-4, String(gainFactor(loudness, mode))));
  }
});

describe("the sleep timer", () => {
  test("ends after its minutes, once", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    let ends = 0;
    const timer = new SleepTimer(() => (ends += 1));
    timer.set(15);
    timer.set(30); // in place of the first
    mock.timers.tick(29 * 60_000);
    assert.deepEqual([ends, timer.setting], [0, 30]);
    mock.timers.tick(60_000);
    assert.deepEqual([ends, timer.setting], [1, null]);
    timer.set(15);
    timer.set(null);
    mock.timers.tick(60 * 60_000);
    assert.equal(ends, 1);
    mock.timers.reset();
  });

  test("ends with the track, and only with that one", () => {
    const timer = new SleepTimer(() => {});
    assert.equal(timer.takeEndOfTrack(), false);
    timer.set("track");
    assert.deepEqual([timer.takeEndOfTrack(), timer.takeEndOfTrack()], [true, false]);
  });
});
