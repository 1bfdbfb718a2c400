// The connection to the player's stream of changes: when it is made again, and what reaches the page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, SILENCE_MS } from "../../ui/static/push/connection.js";

/** A connection over sources that the test opens, breaks and lets speak, and timers that it fires. */
function setUp() {
  const sources = [];
  const timers = [];
  const heard = [];
  const open = () => {
    const listeners = new Map();
    const source = {
      isClosed: false,
      addEventListener: (kind, listener) => listeners.set(kind, listener),
      close: () => (source.isClosed = true),
      fire: (kind, data = {}) => listeners.get(kind)({ data: JSON.stringify(data) }),
    };
    sources.push(source);
    return source;
  };
  const later = (callback, milliseconds) => timers.push({ callback, milliseconds, isOver: false }) - 1;
  const cancel = (number) => {
    if (timers[number]) timers[number].isOver = true;
  };
  const connection = new Connection({
    open,
    later,
    cancel,
    random: () => 0.5,
    onMessage: (kind, data) => heard.push([kind, data]),
    onState: (isConnected) => heard.push(isConnected),
  });
  connection.restart();
  const due = () => timers.filter(({ isOver }) => !isOver);
  const fire = () => {
    const [timer, ...others] = due();
    assert.deepEqual(others, [], "one timer at a time");
    timer.isOver = true;
    timer.callback();
    return timer.milliseconds;
  };
  return { connection, sources, heard, due, fire, last: () => sources.at(-1) };
}

test("messages reach the page, heartbeats do not", () => {
  const { heard, last } = setUp();
  last().fire("open");
  last().fire("status", { connected: true, waiting: 0 });
  last().fire("alive");
  last().fire("list");
  assert.deepEqual(heard, [true, ["status", { connected: true, waiting: 0 }], ["list", {}]]);
});

test("a lost connection is made again after growing pauses, which a connection ends", () => {
  const { heard, sources, fire, last } = setUp();
  const pauses = [];
  for (let attempt = 0; attempt < 7; attempt += 1) {
    last().fire("error");
    assert.ok(last().isClosed, "the browser does not connect by itself too");
    pauses.push(fire());
  }
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS]);
  last().fire("open");
  last().fire("error");
  assert.equal(fire(), FIRST_PAUSE_MS);
  assert.equal(sources.length, 9);
  assert.deepEqual(heard, [...Array(7).fill(false), true, false]);
});

test("silence counts as a loss, and a heartbeat as a sign", () => {
  const { heard, sources, fire, due, last } = setUp();
  last().fire("open");
  last().fire("alive");
  assert.deepEqual(due().map(({ milliseconds }) => milliseconds), [SILENCE_MS]);
  fire();
  assert.deepEqual(heard, [true, false]);
  fire();
  assert.equal(sources.length, 2);
});

test("after a restart the connection before it is closed and heard no more", () => {
  const { connection, heard, sources } = setUp();
  sources[0].fire("open");
  connection.restart();
  assert.ok(sources[0].isClosed);
  sources[0].fire("list");
  sources[0].fire("error");
  sources[1].fire("open");
  sources[1].fire("list");
  assert.deepEqual(heard, [true, true, ["list", {}]]);
});
