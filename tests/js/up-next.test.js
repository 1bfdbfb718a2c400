// How "For you" follows the queue.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { nextTrack, upNext } from "../../ui/static/playback/up-next.js";

const tracks = (...ids) => ids.map((id) => ({ id, title: id, artist: "", durationMs: null, source: "for-you" }));
const ids = (list) => list.map(({ id }) => id).join("");
const inOrder = { shuffle: false };

describe("up next", () => {
  test("fresh tracks come in the order of the list, then those started longest ago", () => {
    assert.equal(ids(upNext(tracks("a", "b", "c", "d"), [])), "abcd");
    assert.equal(ids(upNext(tracks("a", "b", "c", "d"), ["d", "b"])), "acdb");
  });

  test("of a track that was started twice, the later start counts", () => {
    assert.equal(ids(upNext(tracks("a", "b"), ["a", "b", "a"])), "ba");
  });

  test("tracks that left the list do not come back", () => {
    assert.equal(ids(upNext(tracks("c"), ["a", "b"])), "c");
  });
});

describe("next track", () => {
  test("tracks follow each other along the list, then start over", () => {
    const started = ["a"];
    const list = tracks("a", "b", "c");
    for (let turn = 0; turn < 4; turn += 1) {
      const others = list.filter(({ id }) => id !== started.at(-1));
      started.push(nextTrack(others, started, inOrder).id);
    }
    assert.equal(started.join(""), "abcab");
  });

  test("an empty list gives null", () => {
    assert.equal(nextTrack([], ["a"], inOrder), null);
    assert.equal(nextTrack([], [], { shuffle: true }), null);
  });

  test("shuffle takes any of the list but none twice", () => {
    const numbers = [0.99, 0.5, 0.1, 0.7];
    const started = ["a"];
    const list = tracks("a", "b", "c", "d", "e", "f");
    for (let turn = 0; turn < 5; turn += 1) {
      const others = list.filter(({ id }) => id !== started.at(-1));
      const random = () => numbers[turn % numbers.length];
      started.push(nextTrack(others, started, { shuffle: true, random }).id);
    }
    assert.deepEqual([...started].sort(), ["a", "b", "c", "d", "e", "f"]);
    assert.notEqual(started.join(""), "abcdef");
  });

  test("shuffle without a fresh track takes the one started longest ago", () => {
    assert.equal(nextTrack(tracks("a", "b"), ["b", "a"], { shuffle: true }).id, "b");
  });
});
