// Which names stand on the map: the larger ones first, none over another, and more of them the closer one looks. Pure logic.

/**
 * @typedef {object} Region
 * @property {"genre" | "artist"} kind
 * @property {string} name
 * @property {number} x from 0 to 1000
 * @property {number} y
 * @property {number} size number of tracks
 */
/** @typedef {{ region: Region, left: number, top: number }} Label its middle, in CSS pixels */
/** @typedef {Pick<import("./map-viewport.js").Viewport, "zoom" | "size" | "project">} View */

const HEIGHT_PX = 20;
const GAP_PX = 8;
const ARTISTS_FROM_ZOOM = 1.4;
const ARTISTS_PER_ZOOM = 10; // for each doubling of what is seen in detail

/**
 * @param {Region[]} regions the largest of each kind first; genres have the room before artists
 * @param {View} viewport
 * @param {(region: Region) => number} widthOf pixels of a name
 * @returns {Label[]}
 */
export function placeLabels(regions, viewport, widthOf) {
  const { width, height } = viewport.size();
  /** @type {(Label & { half: number })[]} */
  const placed = [];
  let artistsLeft = viewport.zoom < ARTISTS_FROM_ZOOM ? 0 : Math.round(ARTISTS_PER_ZOOM * viewport.zoom);
  for (const region of regions) {
    if (region.kind === "artist" && artistsLeft <= 0) continue;
    const [x, top] = viewport.project(region.x, region.y);
    if (x < 0 || x > width || top < 0 || top > height) continue;
    const half = widthOf(region) / 2;
    const left = Math.max(half + GAP_PX, Math.min(width - half - GAP_PX, x)); // whole names, also at the edges
    const isFree = placed.every(
      (other) => Math.abs(other.left - left) >= other.half + half + GAP_PX || Math.abs(other.top - top) >= HEIGHT_PX,
    );
    if (!isFree) continue;
    placed.push({ region, left, top, half });
    if (region.kind === "artist") artistsLeft -= 1;
  }
  return placed.map(({ region, left, top }) => ({ region, left, top }));
}
