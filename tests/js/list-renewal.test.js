// A new list never moves what is under the finger.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { ListRenewal, changesBetween, changesInWords } from "../../ui/static/reactions/list-renewal.js";

let shown;
let offered;
let isInSight;
let isInUse;
let renewal;

beforeEach(() => {
  shown = ["abc"];
  offered = [];
  isInSight = true;
  isInUse = false;
  renewal = new ListRenewal({
    show: (list) => shown.push(list),
    isSame: (list) => list === shown.at(-1),
    isInSight: () => isInSight,
    isInUse: () => isInUse,
    offer: (list) => offered.push(list),
  });
});

describe("a new list", () => {
  test("waits while the one before is in sight, and is offered", () => {
    renewal.receive("bcd", false);
    renewal.settle();
    assert.deepEqual([shown, offered], [["abc"], ["bcd"]]);
    renewal.showNow();
    assert.deepEqual([shown, offered], [["abc", "bcd"], ["bcd", null]]);
    renewal.showNow();
    assert.deepEqual(shown, ["abc", "bcd"], "once");
  });

  test("is shown as soon as the list is out of sight: the latest of those that came", () => {
    renewal.receive("bcd", false);
    renewal.receive("cde", false);
    isInSight = false;
    renewal.settle();
    assert.deepEqual(shown, ["abc", "cde"]);
    renewal.receive("def", false);
    assert.deepEqual(shown, ["abc", "cde", "def"]);
  });

  test("is shown at the next track, unless a card is about to be used", () => {
    isInUse = true;
    renewal.receive("bcd", false);
    renewal.nextTrack();
    assert.deepEqual(shown, ["abc"]);
    isInUse = false;
    renewal.nextTrack();
    assert.deepEqual(shown, ["abc", "bcd"]);
    renewal.nextTrack();
    assert.deepEqual(shown, ["abc", "bcd"]);
  });

  test("of another listener is shown at once, and the one that waited is dropped", () => {
    renewal.receive("bcd", false);
    renewal.receive("xyz", true);
    renewal.nextTrack();
    assert.deepEqual([shown, offered], [["abc", "xyz"], ["bcd", null]]);
  });

  test("with the same tracks in the same order is shown at once: nothing moves", () => {
    renewal.receive("abc", false);
    assert.deepEqual(shown, ["abc", "abc"]);
  });
});

describe("what changed", () => {
  for (const [before, after, added, moved, words] of [
    ["abc", "abc", "", "", "shorter"],
    ["abc", "bc", "", "", "shorter"],
    ["abc", "bcd", "d", "", "1 new"],
    ["abcd", "bcda", "", "a", "1 moved"],
    ["abcd", "xdabcy", "xy", "d", "2 new, 1 moved"],
    ["", "ab", "ab", "", "2 new"],
  ]) {
    test(`“${before}” to “${after}”: ${words}`, () => {
      const changes = changesBetween([...before], [...after]);
      assert.deepEqual([changes.added.join(""), changes.moved.join("")], [added, moved]);
      assert.equal(changesInWords(changes), words);
    });
  }
});
