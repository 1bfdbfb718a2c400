// What a switch of listeners keeps: each listener's own queue and track.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Queue } from "../../ui/static/playback/queue/queue.js";
import { forgetPlayback, restorePlayback, savePlayback, switchPlayback } from "../../ui/static/playback/queue/saved-playback.js";

const track = (id) => ({ id, title: id, artist: "Band", durationMs: 1000, source: "for-you" });
const ids = (player) => player.queue.items.map(({ id }) => id).join("");

/** A player that loads, pauses and attributes, and plays nothing. */
class Silent {
  track = null;
  positionMs = 0;
  calls = [];
  queue = new Queue();

  load(loaded, positionMs) {
    Object.assign(this, { track: loaded, positionMs });
  }

  unload() {
    this.track = null;
  }

  stopAttributing() {
    this.calls.push("stop");
  }

  attributePlayback() {
    this.calls.push("attribute");
  }
}

let player;

beforeEach(() => {
  const values = new Map();
  globalThis.localStorage = {
    getItem: (name) => values.get(name) ?? null,
    setItem: (name, value) => values.set(name, value),
    removeItem: (name) => values.delete(name),
  };
  player = new Silent();
});

/** Saves as the page does, then switches. */
function change(before, listener) {
  savePlayback(before, player);
  switchPlayback(before, listener, player);
  savePlayback(listener, player);
}

test("each listener finds the own queue and track again", () => {
  player.load(track("x"), 5000);
  player.queue.add(track("a"), track("b"));
  change("ana", "bob");
  assert.equal(ids(player), "");
  player.load(track("y"), 700);
  player.queue.add(track("c"));
  change("bob", "ana");
  assert.deepEqual([ids(player), player.track.id, player.positionMs], ["ab", "x", 5000]);
  change("ana", "bob");
  assert.deepEqual([ids(player), player.track.id, player.positionMs], ["c", "y", 700]);
  assert.deepEqual(player.calls, ["stop", "stop", "stop"]);
});

test("what was queued before anybody was chosen comes before the listener's own, and what plays goes on", () => {
  player.queue.add(track("a"), track("b"));
  change("ana", null);
  player = new Silent(); // the page is opened again
  restorePlayback(null, player);
  player.load(track("x"), 300);
  player.queue.add(track("n"));
  change(null, "ana");
  assert.deepEqual([ids(player), player.track.id, player.positionMs], ["nab", "x", 300]);
  assert.deepEqual(player.calls, ["attribute"]);
  change("ana", null);
  assert.equal(ids(player), "", "it is nobody's any more");
});

test("a listener who deletes everything leaves no queue", () => {
  player.queue.add(track("a"));
  savePlayback("ana", player);
  forgetPlayback("ana");
  player = new Silent();
  switchPlayback(null, "ana", player);
  assert.equal(ids(player), "");
});

test("what cannot be read is deleted", () => {
  localStorage.setItem("overtone.player.ana", '{"queue": 7, "track": ""}');
  localStorage.setItem("overtone.player.bob", "no JSON");
  for (const listener of ["ana", "bob"]) restorePlayback(listener, player);
  assert.equal(ids(player), "");
});
