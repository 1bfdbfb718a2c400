// The taste map's viewport: projection, panning, zooming, and the track at a point.

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";

import { Viewport } from "../../ui/static/discover/map-viewport.js";

const SIZE = { width: 1060, height: 560 };
let viewport;

beforeEach(() => {
  viewport = new Viewport(() => SIZE);
});

const close = (actual, expected) =>
  actual.forEach((value, axis) => assert.ok(Math.abs(value - expected[axis]) < 1e-6, `${actual} is not ${expected}`));

describe("the whole map", () => {
  test("is inside of a margin, with y upwards", () => {
    close(viewport.project(0, 0), [30, 530]);
    close(viewport.project(1000, 1000), [1030, 30]);
    close(viewport.project(500, 500), [530, 280]);
  });
});

describe("zooming", () => {
  test("keeps what is at the point", () => {
    const [x, y] = [200, 700];
    const point = viewport.project(x, y);
    viewport.zoomBy(3, point);
    close(viewport.project(x, y), point);
    viewport.pan(50, -20);
    const moved = viewport.project(x, y);
    viewport.zoomBy(1 / 2, moved);
    close(viewport.project(x, y), moved);
    assert.equal(viewport.zoom, 1.5);
  });

  test("without a point keeps the middle", () => {
    viewport.zoomBy(2);
    close(viewport.project(500, 500), [530, 280]);
    close(viewport.project(0, 500), [-470, 280]);
  });

  test("stops at 1 and 40, and fully out shows the whole map again", () => {
    viewport.pan(300, 300);
    viewport.zoomBy(100);
    assert.equal(viewport.zoom, 40);
    viewport.zoomBy(1 / 1000);
    assert.equal(viewport.zoom, 1);
    close(viewport.project(500, 500), [530, 280]);
  });
});

describe("panning", () => {
  test("moves everything, and reset moves it back", () => {
    viewport.pan(40, -10);
    viewport.pan(10, 0);
    close(viewport.project(500, 500), [580, 270]);
    viewport.reset();
    close(viewport.project(500, 500), [530, 280]);
  });
});

describe("the nearest track", () => {
  const xs = [500, 505, 900];
  const ys = [500, 500, 100];

  test("is the one at the point, or none where all are out of reach", () => {
    assert.equal(viewport.nearest(xs, ys, [531, 280]), 0);
    assert.equal(viewport.nearest(xs, ys, [534, 281]), 1);
    assert.equal(viewport.nearest(xs, ys, [530, 293]), -1);
    assert.equal(viewport.nearest([], [], [530, 280]), -1);
  });

  test("follows zoom and pan", () => {
    viewport.zoomBy(10);
    viewport.pan(-100, 0);
    const [left, top] = viewport.project(505, 500);
    assert.equal(viewport.nearest(xs, ys, [left + 2, top]), 1);
  });
});
