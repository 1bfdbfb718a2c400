// Long titles in two parts, as the server makes them for cards (tests/unit/test_player_wording.py).

import assert from "node:assert/strict";
import { test } from "node:test";

import { titleParts } from "../../ui/static/page/title-parts.js";

for (const [title, ...parts] of [
  ["Food", "Food", ""],
  ["Quartet in D, K. 155: Andante", "Quartet in D, K. 155: ", "Andante"],
  ["Goldberg Variations – Aria", "Goldberg Variations – ", "Aria"],
  ["Symphony No. 5 in C minor, Op. 67", "Symphony No. 5 in C minor, ", "Op. 67"],
  ["A song without any separator at all", "A song without any separator ", "at all"],
  ["Donaudampfschifffahrtsgesellschaft", "Donaudampfschifffahrtsgese", "llschaft"],
]) {
  test(`the end of “${title}” stays in view`, () => assert.deepEqual(titleParts(title), parts));
}
