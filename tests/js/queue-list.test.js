// Playing from a list: it goes on there, then in "For you"; and what is shown as next plays next.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { MAX_LIST_TRACKS, Queue } from "../../ui/static/playback/queue/queue.js";
import { upNext } from "../../ui/static/playback/queue/up-next.js";

const track = (id) => ({ id, title: `Track ${id}`, artist: "Band", durationMs: 1000, source: "album" });
const tracks = (...ids) => ids.map(track);
const takeAll = (queue, count) => Array.from({ length: count }, () => queue.take()?.id ?? "-").join("");

describe("a list", () => {
  const album = { kind: "album", id: "1", title: "Hours", address: "#/album/1" };
  const listed = (queue) => queue.list.map(({ id }) => id).join("");
  const playing = (random) => {
    const queue = new Queue(() => {}, random);
    queue.playFrom(album, tracks("a", "b", "c", "d"), "b");
    return queue;
  };

  test("goes on after the track that was chosen; own additions come first and stay", () => {
    const queue = playing();
    assert.deepEqual([listed(queue), queue.context], ["cd", album]);
    queue.add(track("x"));
    assert.equal(queue.upcoming(tracks("f")).map(({ part, track: { id } }) => `${part}:${id}`).join(), "own:x,list:c,list:d,for-you:f");
    assert.equal(takeAll(queue, 4), "xcd-");
    queue.add(track("y"));
    queue.playFrom({ kind: "radio" }, tracks("r", "s"));
    assert.equal(takeAll(queue, 2), "ys");
  });

  test("its end is followed by “For you”, which is not taken out of the queue", () => {
    const queue = playing();
    takeAll(queue, 2);
    assert.equal(queue.take(tracks("f", "g")).id, "f");
    assert.equal(queue.listPlayed.map(({ id }) => id).join(""), "abcd");
  });

  test("of “For you” itself nothing is queued", () => {
    const queue = playing();
    assert.equal(queue.playFrom({ kind: "for-you" }, tracks("f", "g"), "g").id, "g");
    assert.deepEqual([queue.context, queue.list], [null, []]);
  });

  test("without a start, the first track starts; of no tracks, nothing does and the list stays", () => {
    const queue = playing();
    assert.equal(queue.playFrom(album, []), null);
    assert.equal(listed(queue), "cd");
    assert.equal(queue.playFrom(album, tracks("x", "y")).id, "x");
  });

  test("goes on from a track further down", () => {
    const queue = playing();
    assert.equal(queue.takeAt("list", 1).id, "d");
    assert.deepEqual([listed(queue), queue.listPlayed.length], ["", 4]);
  });

  test("“previous” puts a track back where it was", () => {
    const queue = playing();
    queue.putBack(queue.take());
    assert.deepEqual([listed(queue), queue.items], ["cd", []]);
  });

  test("repeats all of it, also the tracks before the one that was chosen", () => {
    const queue = playing();
    queue.cycleRepeat();
    assert.equal(takeAll(queue, 7), "cdabcda");
  });

  test("shuffled plays in the order that it shows, every track once, also when it repeats", () => {
    const queue = playing();
    queue.toggleShuffle();
    queue.playFrom(album, tracks("a", "b", "c", "d", "e", "f", "g"), "d");
    queue.cycleRepeat();
    for (const count of [6, 7, 7]) {
      const shown = queue.upcoming().map(({ track: { id } }) => id).join("");
      assert.equal(takeAll(queue, count), shown);
      assert.equal(shown.length, count);
      assert.equal(new Set(shown).size, count);
    }
  });

  test("is back in its own order when shuffle ends, without what was played", () => {
    const queue = new Queue();
    queue.playFrom(album, tracks("a", "b", "c", "d", "e", "f", "g"), "c");
    queue.toggleShuffle();
    const heard = [queue.take().id, queue.take().id];
    queue.toggleShuffle();
    assert.equal(listed(queue), [..."defg"].filter((id) => !heard.includes(id)).join(""));
  });

  test("of a long list, tracks around the chosen one are queued", () => {
    const queue = new Queue();
    const many = Array.from({ length: 5000 }, (_, number) => track(`n${number}`));
    queue.playFrom(album, many, "n3000");
    assert.equal(queue.list[0].id, "n3001");
    assert.equal(queue.list.length + queue.listPlayed.length, MAX_LIST_TRACKS);
  });

  test("a copy brings everything back", () => {
    const queue = playing();
    queue.add(track("x"));
    const [before, shown] = [queue.snapshot(), queue.upcoming()];
    queue.take();
    queue.playFrom({ kind: "radio" }, tracks("r", "s"));
    queue.clear();
    queue.restore(before);
    assert.deepEqual(queue.upcoming(), shown);
    assert.deepEqual(queue.context, album);
  });
});

describe("what is shown as next", () => {
  /** Numbers of a linear congruential generator, from 0 up to 1. */
  const generator = (seed) => () => (seed = (seed * 1664525 + 1013904223) % 2 ** 32) / 2 ** 32;

  for (let seed = 1; seed <= 60; seed += 1) {
    test(`plays next, whatever was done before (sequence ${seed})`, () => {
      const random = generator(seed);
      const number = (below) => Math.floor(random() * below);
      const some = () => tracks(..."abcdefghijkl".slice(number(6), 6 + number(7)));
      const queue = new Queue(() => {}, random);
      let forYou = tracks("u", "v", "w", "x", "y", "z");
      const started = [];
      const part = () => (number(2) ? "own" : "list");
      const following = () => upNext(forYou.filter(({ id }) => id !== started.at(-1)), started, queue.shuffle ? queue.seed : null);
      const changes = [
        () => queue.add(...some()),
        () => queue.addNext(...some()),
        () => queue.playFrom({ kind: number(4) ? "album" : "for-you" }, some(), number(2) ? "e" : null),
        () => queue.toggleShuffle(),
        () => queue.cycleRepeat(),
        () => queue.move(part(), number(5), number(5)),
        () => queue.remove(part(), number(5)),
        () => queue.takeAt(part(), number(5)),
        () => queue.putBack(tracks("p")[0]),
        () => (forYou = [...forYou.slice(number(3)), ...forYou.slice(0, number(3))]),
        () => queue.restore(JSON.parse(JSON.stringify(queue.state()))),
        () => queue.clear(),
      ];
      for (let turn = 0; turn < 200; turn += 1) {
        changes[number(changes.length)]();
        const shown = queue.upcoming(following());
        const next = queue.take(following());
        assert.equal(next?.id, shown[0]?.track.id, `turn ${turn}`);
        if (next) started.push(next.id);
        const after = queue.upcoming(following()).filter((each) => each.part !== "for-you");
        const expected = shown.slice(1).filter((each) => each.part !== "for-you");
        if (expected.length) assert.deepEqual(after, expected, `turn ${turn}: the rest stays in its order`);
      }
    });
  }
});
