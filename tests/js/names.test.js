// Names that are the same for the server are the same for the page; tests/unit/test_mutings.py reads the same pairs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { spellingKey } from "../../ui/static/account/names.js";

const { same, different } = JSON.parse(readFileSync(new URL("../data/names.json", import.meta.url), "utf8"));

for (const [one, other] of same) {
  test(`“${one}” and “${other}” are one name`, () => assert.equal(spellingKey(one), spellingKey(other)));
}
for (const [one, other] of different) {
  test(`“${one}” and “${other}” are two names`, () => {
    assert.notEqual(spellingKey(one), spellingKey(other));
    assert.notEqual(spellingKey(one), "");
  });
}
