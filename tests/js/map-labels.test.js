// Names on the taste map: none over another, the larger ones first, more of them closer up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { placeLabels } from "../../ui/static/discover/map-labels.js";
import { Viewport } from "../../ui/static/discover/map-viewport.js";

const widthOf = ({ name }) => 8 * name.length;
const view = (zoom = 1) => {
  const viewport = new Viewport(() => ({ width: 860, height: 560 }));
  viewport.zoomBy(zoom);
  return viewport;
};
const region = (name, x, y, kind = "genre", size = 10) => ({ kind, name, x, y, size });
const names = (labels) => labels.map((label) => label.region.name);

test("of two names in one place the larger one stands, the other one closer up", () => {
  const regions = [region("Baroque", 500, 500), region("Folk", 520, 505), region("Jazz", 100, 900)];
  assert.deepEqual(names(placeLabels(regions, view(), widthOf)), ["Baroque", "Jazz"]);
  assert.deepEqual(names(placeLabels(regions, view(8), widthOf)), ["Baroque", "Folk"], "Jazz is out of view");
});

test("artists come with the zoom", () => {
  const artists = Array.from({ length: 60 }, (_, n) => region(`A${n}`, 5 + 99 * (n % 10), 40 + 150 * Math.floor(n / 10), "artist"));
  const regions = [region("Folk", 500, 500), ...artists];
  assert.deepEqual(names(placeLabels(regions, view(), widthOf)), ["Folk"]);
  const closer = placeLabels(regions, view(2), widthOf);
  assert.ok(closer.length > 10 && closer.length <= 21, String(closer.length));
});

test("a name at the edge stands whole", () => {
  const [label] = placeLabels([region("A very long name", 0, 500)], view(), widthOf);
  assert.equal(label.left, 8 * 16 / 2 + 8);
});
