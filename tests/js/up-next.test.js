// How "For you" follows the queue.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { upNext } from "../../ui/static/playback/queue/up-next.js";

const tracks = (...ids) => ids.map((id) => ({ id, title: id, artist: "", durationMs: null, source: "for-you" }));
const ids = (list) => list.map(({ id }) => id).join("");

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

describe("the first of what follows", () => {
  /** Plays the first of what follows, again and again. */
  const heard = (list, count, seed) => {
    const started = ["a"];
    for (let turn = 0; turn < count; turn += 1) {
      const others = list.filter(({ id }) => id !== started.at(-1));
      started.push(upNext(others, started, seed)[0].id);
    }
    return started.join("");
  };

  test("tracks follow each other along the list, then start over", () => {
    assert.equal(heard(tracks("a", "b", "c"), 4, null), "abcab");
  });

  test("an empty list gives nothing", () => {
    assert.deepEqual(upNext([], ["a"], 7), []);
  });

  test("shuffle takes any of the list but none twice, and another seed another order", () => {
    const list = tracks("a", "b", "c", "d", "e", "f");
    const orders = [1, 2, 3, 4, 5].map((seed) => heard(list, 5, seed));
    for (const order of orders) assert.equal([...order].sort().join(""), "abcdef");
    assert.ok(new Set(orders).size > 2, orders.join());
  });

  test("shuffle without a fresh track takes the one started longest ago", () => {
    assert.equal(upNext(tracks("a", "b"), ["b", "a"], 3)[0].id, "b");
  });

  test("a shuffled track keeps its place before the others when the list is made anew", () => {
    const order = upNext(tracks("a", "b", "c", "d"), [], 5);
    const renewed = upNext(tracks("d", "c", "b", "a"), [], 5);
    assert.equal(ids(renewed), ids(order));
  });
});
