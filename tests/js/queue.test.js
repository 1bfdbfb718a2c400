// The queue: its order, its limit, shuffle, repeat, and what a reload keeps.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { MAX_QUEUED_TRACKS, Queue } from "../../ui/static/playback/queue/queue.js";

const track = (id) => ({ id, title: `Track ${id}`, artist: "Band", durationMs: 1000, source: "for-you" });
const tracks = (...ids) => ids.map(track);
const ids = (queue) => queue.items.map(({ id }) => id).join("");
const takeAll = (queue, count) => Array.from({ length: count }, () => queue.take()?.id ?? "-").join("");

describe("queue", () => {
  let queue;
  let changes;

  beforeEach(() => {
    changes = 0;
    queue = new Queue(() => (changes += 1));
    queue.add(...tracks("a", "b", "c", "d"));
  });

  test("a track left by “previous” follows next, and is played once", () => {
    queue.repeat = "all";
    const [a, b] = [queue.take(), queue.take()];
    queue.putBack(b);
    queue.putBack(a); // "previous" twice
    assert.equal(ids(queue), "abcd");
    assert.deepEqual(queue.played, []);
    assert.equal(takeAll(queue, 4), "abcd");
  });

  test("tracks are taken in order, and an empty queue gives null", () => {
    assert.equal(takeAll(queue, 5), "abcd-");
    assert.equal(queue.take(), null);
  });

  test("add puts tracks at the end, addNext before all others", () => {
    queue.add(track("e"));
    queue.addNext(track("x"), track("y"));
    assert.equal(ids(queue), "xyabcde");
  });

  test("the same track may be queued twice", () => {
    queue.add(track("a"));
    assert.equal(takeAll(queue, 5), "abcda");
  });

  test("what a radio put there leaves it when it is rejected, and what was chosen by hand stays", () => {
    queue.add(...["r", "s", "t"].map((id) => ({ ...track(id), source: "radio" })));
    changes = 0;
    queue.removeRejected(() => false);
    assert.equal(changes, 0);
    queue.removeRejected(({ id }) => ["a", "s"].includes(id));
    assert.equal(ids(queue), "abcdrt");
    assert.equal(changes, 1);
  });

  test("what is rejected no longer comes back to its place", () => {
    queue.add(...["r", "s", "t"].map((id) => ({ ...track(id), source: "radio" })));
    const reject = (rejected) => queue.removeRejected(({ id }) => rejected.includes(id));
    reject("rs");
    reject("rst");
    assert.equal(ids(queue), "abcd");
    queue.takeAt("own", 0);
    reject("r");
    assert.equal(ids(queue), "bcdst");
    reject("");
    assert.equal(ids(queue), "bcdrst");
    reject("t");
    queue.clear();
    reject("");
    assert.equal(ids(queue), "", "a queue that was cleared stays so");
  });

  test("a track that was removed is brought back before the one that it stood before", () => {
    const undo = queue.remove("own", 1);
    assert.equal(ids(queue), "acd");
    queue.takeAt("own", 0);
    undo();
    assert.equal(ids(queue), "bcd");
    const undoLast = queue.remove("own", 2);
    queue.clear();
    undoLast();
    assert.equal(ids(queue), "d");
    queue.remove("own", 7)();
    assert.equal(ids(queue), "d");
  });

  test("a track that was removed from a list does not come back to another one", () => {
    const list = (id) => ({ kind: "album", id });
    queue.playFrom(list("1"), [..."xyz"].map(track));
    const undo = queue.remove("list", 0);
    undo();
    assert.equal(queue.list.map(({ id }) => id).join(""), "yz");
    const undoLate = queue.remove("list", 0);
    queue.playFrom(list("2"), [..."uvw"].map(track));
    undoLate();
    assert.equal(queue.list.map(({ id }) => id).join(""), "vw");
  });

  test("a position takes that track, and one outside of the queue none", () => {
    assert.equal(queue.takeAt("own", 2)?.id, "c");
    assert.equal(ids(queue), "abd");
    assert.equal(queue.takeAt("own", 3), null);
    assert.deepEqual([ids(queue), queue.played.length], ["abd", 1]);
  });

  test("remove takes one track out, also the last", () => {
    queue.remove("own", 1);
    queue.remove("own", 2);
    assert.equal(ids(queue), "ac");
  });

  for (const [from, to, order] of [
    [0, 1, "bacd"],
    [1, 0, "bacd"],
    [2, 0, "cabd"],
    [0, 3, "bcda"],
    [3, 3, "abcd"],
    [0, -1, "abcd"],
    [0, 4, "abcd"],
    [4, 0, "abcd"],
    [NaN, 0, "abcd"],
  ]) {
    test(`moving ${from} to ${to} gives ${order}`, () => {
      queue.move("own", from, to);
      assert.equal(ids(queue), order);
    });
  }

  test("clear forgets what was played, so that repeat does not bring it back", () => {
    queue.take();
    queue.repeat = "all";
    queue.clear();
    assert.equal(queue.take(), null);
  });

  test("every change is told once", () => {
    for (const change of [
      () => queue.add(track("e")),
      () => queue.addNext(track("f")),
      () => queue.move("own", 0, 1),
      () => queue.remove("own", 0),
      () => queue.take(),
      () => queue.toggleShuffle(),
      () => queue.cycleRepeat(),
      () => queue.clear(),
      () => queue.restore(),
    ]) {
      const before = changes;
      change();
      assert.equal(changes, before + 1, String(change));
    }
  });

  test("it holds at most MAX_QUEUED_TRACKS; further ones are left out, wherever they were to go", () => {
    const many = Array.from({ length: MAX_QUEUED_TRACKS - 5 }, (_, number) => track(`n${number}`));
    queue.add(...many);
    assert.equal(queue.items.length, MAX_QUEUED_TRACKS - 1);
    queue.addNext(track("x"), track("y"));
    assert.deepEqual([queue.items[0].id, queue.items[1].id], ["x", "a"]);
    queue.add(track("z"));
    queue.addNext(track("z"));
    assert.equal(queue.items.length, MAX_QUEUED_TRACKS);
  });
});

describe("repeat", () => {
  test("goes from off to all to one and back to off", () => {
    const queue = new Queue();
    const turns = Array.from({ length: 4 }, () => {
      queue.cycleRepeat();
      return queue.repeat;
    });
    assert.deepEqual(turns, ["all", "one", "off", "all"]);
  });

  test("all starts over with what was played, in its order", () => {
    const queue = new Queue();
    queue.add(...tracks("a", "b"));
    queue.repeat = "all";
    assert.equal(takeAll(queue, 5), "ababa");
  });

  test("all brings back what was chosen out of order after the rest", () => {
    const queue = new Queue();
    queue.add(...tracks("a", "b", "c"));
    queue.repeat = "all";
    assert.equal(queue.takeAt("own", 2)?.id, "c");
    assert.equal(takeAll(queue, 5), "abcab");
  });

  test("all over an empty queue gives nothing", () => {
    const queue = new Queue();
    queue.repeat = "all";
    assert.equal(queue.take(), null);
  });

  test("off and one do not start over", () => {
    for (const repeat of ["off", "one"]) {
      const queue = new Queue();
      queue.add(...tracks("a"));
      queue.repeat = repeat;
      assert.equal(takeAll(queue, 2), "a-");
    }
  });
});

describe("state", () => {
  test("survives JSON, and a restored queue goes on as the first would", () => {
    const queue = new Queue();
    queue.add(...tracks("a", "b", "c"));
    queue.repeat = "all";
    queue.take();
    const restored = new Queue();
    restored.restore(JSON.parse(JSON.stringify(queue.state())));
    assert.deepEqual(restored.state(), queue.state());
    assert.equal(takeAll(restored, 5), "bcabc");
  });

  test("of another listener, or of nobody, is empty with all modes off", () => {
    const queue = new Queue();
    queue.restore({ items: tracks("a"), shuffle: true, repeat: "one" });
    queue.restore();
    assert.deepEqual(queue.state(), {
      items: [],
      played: [],
      context: null,
      list: [],
      listPlayed: [],
      order: [],
      shuffle: false,
      seed: 0,
      repeat: "off",
    });
  });
});
