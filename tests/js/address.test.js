// Addresses: what of a link reaches the server.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { pathTo, segments } from "../../ui/static/address.js";

describe("segments of an address", () => {
  for (const [hash, parts] of [
    ["", [""]],
    ["#/", [""]],
    ["#/you", ["you"]],
    ["#/artist/Bach%20%2F%20Busoni", ["artist", "Bach / Busoni"]],
    ["#/track/..", null],
    ["#/track/%2e%2e/audio/1", null],
    ["#/./you", null],
    ["#/artist/%E0%A4%A", null],
  ]) {
    test(`${hash || "(none)"} gives ${JSON.stringify(parts)}`, () => assert.deepEqual(segments(hash), parts));
  }
});

describe("a path on the server", () => {
  test("keeps each part in one segment", () => {
    assert.equal(pathTo("audio", "a/b?c#d %"), "/audio/a%2Fb%3Fc%23d%20%25");
    assert.equal(pathTo("view", "genre", "Folk (live)"), "/view/genre/Folk%20(live)");
  });

  test("does not lead out of its folder", () => {
    for (const part of [".", ".."]) assert.equal(pathTo("view", part, "audio"), "/view/%00/audio");
    assert.equal(pathTo("view", "..."), "/view/...");
  });
});
