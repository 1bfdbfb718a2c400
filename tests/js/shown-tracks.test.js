// Which tracks count as shown, and when they are told: one event for each list, and at most one in ten seconds.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { ShownTracks } from "../../ui/static/discover/shown-tracks.js";

let time;
let timers;
let stored;
let sent;
let shown;

const made = () =>
  new ShownTracks({
    send: (trackIds, modelVersion) => sent.push(trackIds.join(" ") + modelVersion),
    loadSent: () => stored,
    saveSent: (mark) => (stored = mark),
    now: () => time,
    later: (callback, milliseconds) => timers.push({ callback, at: time + milliseconds }),
  });

/** Time passes, and with it what was to come later. */
const pass = (milliseconds) => {
  const end = time + milliseconds;
  for (let due = next(end); due; due = next(end)) {
    timers = timers.filter((timer) => timer !== due);
    time = due.at;
    due.callback();
  }
  time = end;
};
const next = (end) => timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];

beforeEach(() => {
  time = 1_000_000;
  timers = [];
  stored = null;
  sent = [];
  shown = made();
});

describe("a list", () => {
  test("is told ten seconds later, with the tracks that were on the screen for a second", () => {
    shown.showList("ana:1");
    shown.enter("a");
    shown.enter("b");
    shown.enter("c");
    pass(999);
    shown.leave("c");
    pass(500);
    shown.leave("b");
    shown.enter("d"); // scrolled to
    pass(8500);
    assert.deepEqual(sent, []);
    pass(1);
    assert.deepEqual(sent, ["a b d"]);
  });

  test("is told once, also when it is scrolled, put in place again, or shown in another tab", () => {
    shown.showList("ana:1");
    shown.enter("a");
    pass(11_000);
    shown.enter("b");
    pass(60_000);
    shown.showList("ana:1");
    pass(60_000);
    const otherTab = made();
    otherTab.showList("ana:1");
    otherTab.enter("a");
    pass(60_000);
    assert.deepEqual(sent, ["a"]);
  });

  test("is told once where the browser stores nothing", () => {
    shown.loadSent = () => null;
    shown.showList("ana:1");
    shown.enter("a");
    pass(11_000);
    shown.showList("ana:1");
    pass(60_000);
    assert.deepEqual(sent, ["a"]);
  });

  test("that another one replaces is told at once, with its model, and a card that stays counts for both", () => {
    shown.showList("ana:1", " m1");
    shown.enter("a");
    shown.enter("b");
    pass(5000);
    shown.showList("ana:2", " m2");
    shown.leave("b");
    assert.deepEqual(sent, ["a b m1"]);
    pass(10_000);
    assert.deepEqual(sent, ["a b m1", "a m2"]);
  });

  test("that is replaced within ten seconds of the latest event is not told", () => {
    for (const mark of ["ana:1", "ana:2", "ana:3", "ana:4"]) {
      shown.showList(mark);
      shown.enter(mark);
      pass(4000);
      shown.leave(mark);
    }
    shown.showList("ana:5");
    assert.deepEqual(sent, ["ana:1", "ana:4"]);
  });

  test("of which nothing is on the screen yet waits until something is", () => {
    shown.showList("ana:1");
    pass(60_000);
    shown.enter("a");
    pass(9999);
    assert.deepEqual(sent, []);
    pass(1);
    assert.deepEqual(sent, ["a"]);
  });

  test("that is not the listener's own is never told", () => {
    shown.showList(null);
    shown.enter("a");
    pass(60_000);
    shown.showList("ana:1");
    pass(500);
    shown.showList(null);
    pass(60_000);
    assert.deepEqual(sent, []);
  });

  test("of a listener who leaves is not told under the name of the next one", () => {
    shown.showList("ana:1");
    shown.enter("a");
    pass(5000);
    shown.drop();
    shown.showList("bob:1");
    pass(500);
    assert.deepEqual(sent, []);
  });

  test("names a hundred tracks at most", () => {
    shown.showList("ana:1");
    for (let number = 0; number < 120; number += 1) shown.enter(`t${number}`);
    pass(10_000);
    assert.equal(sent[0].split(" ").length, 100);
  });
});

describe("a tab", () => {
  test("that is hidden tells what was seen, and counts nothing until it is seen again", () => {
    shown.showList("ana:1");
    shown.enter("a");
    pass(3000);
    shown.setVisible(false);
    assert.deepEqual(sent, ["a"]);
    shown.showList("ana:2");
    pass(60_000);
    assert.deepEqual(sent, ["a"]);
    shown.setVisible(true);
    pass(500);
    shown.setVisible(false);
    pass(60_000);
    shown.setVisible(true);
    assert.deepEqual(sent, ["a"]);
    pass(10_000);
    assert.deepEqual(sent, ["a", "a"]);
  });

  test("that was opened in the background tells nothing", () => {
    shown.setVisible(false);
    shown.showList("ana:1");
    shown.enter("a");
    pass(60_000);
    assert.deepEqual(sent, []);
  });
});
