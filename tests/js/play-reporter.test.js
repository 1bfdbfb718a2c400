// Which of play, complete and skip a start of a track reports.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { PlayReporter } from "../../ui/static/playback/play-reporter.js";

const DURATION_MS = 20_000;

let reported;
let reporter;

beforeEach(() => {
  reported = [];
  reporter = new PlayReporter(0.9, (action) => reported.push(action));
  reporter.start();
});

/** Another track follows. */
const next = () => {
  reporter.leave(true);
  reporter.start();
};

describe("a start", () => {
  test("that is never heard reports nothing", () => {
    next();
    assert.deepEqual(reported, []);
  });

  test("reports play once, also after a pause", () => {
    reporter.sound();
    reporter.sound();
    assert.deepEqual(reported, ["play"]);
  });

  test("left for another track that was chosen is no skip", () => {
    reporter.sound();
    reporter.progress(5_000, 100_000);
    reporter.leave();
    reporter.start();
    reporter.sound();
    assert.deepEqual(reported, ["play", "play"]);
  });

  test("left before the complete share is a skip", () => {
    reporter.sound();
    reporter.progress(17_999, DURATION_MS);
    next();
    assert.deepEqual(reported, ["play", "skip"]);
  });

  test("heard up to the complete share is complete, once, and no skip", () => {
    reporter.sound();
    reporter.progress(18_000, DURATION_MS);
    reporter.progress(19_000, DURATION_MS);
    next();
    assert.deepEqual(reported, ["play", "complete"]);
  });

  test("whose duration is not known yet is not complete", () => {
    reporter.sound();
    reporter.progress(18_000, null);
    assert.deepEqual(reported, ["play"]);
  });

  test("of the same track again reports again", () => {
    reporter.sound();
    reporter.progress(DURATION_MS, DURATION_MS);
    next();
    reporter.sound();
    assert.deepEqual(reported, ["play", "complete", "play"]);
  });

  test("going back after complete reports nothing more", () => {
    reporter.sound();
    reporter.progress(DURATION_MS, DURATION_MS);
    reporter.sound();
    reporter.progress(0, DURATION_MS);
    reporter.progress(DURATION_MS, DURATION_MS);
    assert.deepEqual(reported, ["play", "complete"]);
  });

  test("tells whether it was heard", () => {
    assert.equal(reporter.wasHeard, false);
    reporter.sound();
    assert.equal(reporter.wasHeard, true);
    next();
    assert.equal(reporter.wasHeard, false);
  });
});

describe("another listener", () => {
  test("is not attributed what the first one left", () => {
    reporter.sound();
    reporter.stopAttributing();
    next();
    assert.deepEqual(reported, ["play"]);
  });

  test("who resumes the track reports a play of their own", () => {
    reporter.sound();
    reporter.stopAttributing();
    reporter.sound();
    assert.deepEqual(reported, ["play", "play"]);
  });

  test("the first one to sign in is attributed what plays, unless it is complete", () => {
    reporter.attribute();
    next();
    assert.deepEqual(reported, ["play", "skip"]);
    reporter.sound();
    reporter.progress(DURATION_MS, DURATION_MS);
    reporter.attribute();
    assert.deepEqual(reported, ["play", "skip", "play", "complete"]);
  });
});
