// When a listener counts as come back.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { Visits } from "../../ui/static/account/visits.js";

const MINUTE = 60_000;

let time;
let stored;
let sent;
let visits;

const opened = () =>
  new Visits({
    send: ({ action }) => sent.push(action),
    load: () => stored,
    save: (times) => (stored = JSON.parse(JSON.stringify(times))),
    now: () => time,
  });

const hideFor = (milliseconds) => {
  visits.setVisible(false);
  time += milliseconds;
  visits.setVisible(true);
};

beforeEach(() => {
  time = 1_000_000_000;
  stored = null;
  sent = [];
  visits = opened();
});

describe("a visit is sent", () => {
  test("when the page is opened, once", () => {
    visits.show("ana", true);
    visits.show("ana", true);
    assert.deepEqual(sent, ["visit"]);
  });

  test("when the tab was hidden for ten minutes, and not before", () => {
    visits.show("ana", true);
    time += 60 * MINUTE; // looked at all the while
    visits.show("ana", true);
    hideFor(10 * MINUTE - 1);
    visits.show("ana", true);
    assert.equal(sent.length, 1);
    hideFor(10 * MINUTE);
    visits.show("ana", true);
    assert.equal(sent.length, 2);
  });

  test("once in ten minutes by all tabs and reloads, for each listener", () => {
    visits.show("ana", true);
    time += 10 * MINUTE - 1;
    visits = opened();
    visits.show("ana", true);
    assert.equal(sent.length, 1);
    visits.expect();
    visits.show("bob", true);
    assert.equal(sent.length, 2);
    time += 1;
    visits = opened();
    visits.show("ana", true);
    assert.equal(sent.length, 3);
    assert.deepEqual(Object.keys(stored), ["bob", "ana"]);
  });

  test("once in ten minutes where the browser stores nothing", () => {
    visits.save = () => {};
    visits.show("ana", true);
    visits.expect();
    visits.show("ana", true);
    assert.equal(sent.length, 1);
  });

  test("also where what is stored is of another kind, or from a clock that was ahead", () => {
    for (stored of ["text", 7, { ana: time + 60 * MINUTE }, { ana: "then" }]) {
      visits = opened();
      visits.show("ana", true);
    }
    assert.equal(sent.length, 4);
  });
});

describe("no visit is sent", () => {
  test("without a listener, or for one without a list", () => {
    visits.show(null, false);
    visits.show("ana", false);
    assert.deepEqual(sent, []);
    visits.show("ana", true);
    assert.deepEqual(sent, ["visit"], "the list is there now");
  });

  test("by a tab in the background, until it is looked at", () => {
    visits.setVisible(false);
    visits.show("ana", true);
    assert.deepEqual(sent, []);
    visits.setVisible(true);
    visits.show("ana", true);
    assert.deepEqual(sent, ["visit"]);
  });
});
