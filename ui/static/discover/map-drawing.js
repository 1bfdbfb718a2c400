// Draws the taste map: a dot for each track, over it the listener's interests, avoided sounds and listening path.

import { create } from "../page/dom.js";
import { placeLabels } from "./map-labels.js";

/**
 * The map's data; coordinates from 0 to 1000.
 * @typedef {object} MapData
 * @property {string[]} tracks ids
 * @property {number[]} x by track
 * @property {number[]} y by track
 * @property {number[]} genre by track: a number of `genres`, -1 for all others
 * @property {string[]} genres or words for the sound
 * @property {boolean} [by_sound] whether these are words for the sound
 * @property {{ x: number, y: number, weight: number }[]} [centres] the listener's interests
 * @property {[number, number][]} [rejected] tracks that the listener's list keeps away from
 * @property {import("./map-labels.js").Region[]} [regions] where genres and artists lie, the largest first
 * @property {[number, number][]} [liked]
 * @property {[number, number][]} [path] the tracks played last, the latest at the end
 */
/** @typedef {import("./map-viewport.js").Viewport} Viewport */

// As many as the server tells genres apart (ui/routes/taste_map.py).
const GENRE_COLOURS = [
  ["#e8683c", "#3f9be0", "#4bb36a", "#b06fd8", "#d9a514", "#e0559b", "#37b3b0", "#8d7bea", "#9aa63a", "#c98252"],
  ["#4f74c4", "#c2454b", "#1f8f5f", "#d98ad0", "#8f7416", "#6cb9da", "#8a4f9e", "#7fc241", "#b0627a", "#5b8078"],
].flat();
const OTHER_COLOUR = "#8a8f99";
const AVOIDED_COLOUR = "#d62828";
const AVOIDED_RADIUS_PX = 46;
const LIKED_COLOUR = "#ff5d7a";
const HEART = new Path2D("M0 5.5 -5 .6a3.3 3.3 0 0 1 4.7-4.7l.3.3.3-.3a3.3 3.3 0 0 1 4.7 4.7z");
const LABEL_FONTS = { genre: "650 15px system-ui, sans-serif", artist: "500 12.5px system-ui, sans-serif" };
const FULL_CIRCLE = 2 * Math.PI;

/** @param {number} genre */
const colourOf = (genre) => GENRE_COLOURS[genre] ?? OTHER_COLOUR;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {MapData} data
 * @param {Viewport} viewport
 */
export function drawMap(canvas, data, viewport) {
  const context = canvas.getContext("2d");
  if (!context || !canvas.clientWidth) return;
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  drawAvoided(context, data, viewport);
  drawTracks(context, data, viewport);
  drawPath(context, data, viewport, style.color);
  drawLikes(context, data, viewport);
  drawInterests(context, data, viewport, style.color);
  drawLabels(context, data, viewport, style);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {MapData} data
 * @param {Viewport} viewport
 */
function drawAvoided(context, { rejected = [] }, viewport) {
  const radius = AVOIDED_RADIUS_PX * viewport.zoom;
  for (const [x, y] of rejected) {
    const [left, top] = viewport.project(x, y);
    const glow = context.createRadialGradient(left, top, 0, left, top, radius);
    glow.addColorStop(0, "rgb(214 40 40 / .32)");
    glow.addColorStop(1, "rgb(214 40 40 / 0)");
    context.fillStyle = glow;
    context.fillRect(left - radius, top - radius, 2 * radius, 2 * radius);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {MapData} data
 * @param {Viewport} viewport
 */
function drawTracks(context, { x: xs, y: ys, genre }, viewport) {
  const radius = Math.max(1.6, Math.min(6, 60 / Math.sqrt(xs.length))) * Math.sqrt(viewport.zoom);
  context.globalAlpha = 0.85;
  xs.forEach((x, position) => {
    context.fillStyle = colourOf(genre[position] ?? -1);
    fillCircle(context, viewport.project(x, ys[position] ?? 0), radius);
  });
  context.globalAlpha = 1;
}

/**
 * The tracks played last, as a line that grows stronger towards the latest.
 * @param {CanvasRenderingContext2D} context
 * @param {MapData} data
 * @param {Viewport} viewport
 * @param {string} colour
 */
function drawPath(context, { path = [] }, viewport, colour) {
  const points = path.map(([x, y]) => viewport.project(x, y));
  context.strokeStyle = context.fillStyle = colour;
  points.slice(1).forEach((point, position) => {
    const recency = (position + 1) / points.length;
    context.globalAlpha = 0.12 + 0.6 * recency;
    context.lineWidth = 1 + recency;
    context.beginPath();
    context.moveTo(...(points[position] ?? point));
    context.lineTo(...point);
    context.stroke();
  });
  context.globalAlpha = 1;
  const latest = points.at(-1);
  if (latest) fillCircle(context, latest, 4);
}

/**
 * A ring for each interest, larger with its weight.
 * @param {CanvasRenderingContext2D} context
 * @param {MapData} data
 * @param {Viewport} viewport
 * @param {string} colour
 */
function drawInterests(context, { centres = [] }, viewport, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 2.5;
  for (const { x, y, weight } of centres) {
    const [left, top] = viewport.project(x, y);
    context.beginPath();
    context.arc(left, top, 12 + 10 * Math.min(1, Math.max(0, weight)), 0, FULL_CIRCLE);
    context.stroke();
    fillCircle(context, [left, top], 3);
  }
}

/**
 * A heart for each liked track.
 * @param {CanvasRenderingContext2D} context
 * @param {MapData} data
 * @param {Viewport} viewport
 */
function drawLikes(context, { liked = [] }, viewport) {
  context.fillStyle = LIKED_COLOUR;
  context.strokeStyle = "rgb(0 0 0 / .5)";
  context.lineWidth = 1;
  for (const [x, y] of liked) {
    const [left, top] = viewport.project(x, y);
    context.translate(left, top);
    context.fill(HEART);
    context.stroke(HEART);
    context.translate(-left, -top);
  }
}

/**
 * Names of genres and artists, as many as there is room for.
 * @param {CanvasRenderingContext2D} context
 * @param {MapData} data
 * @param {Viewport} viewport
 * @param {CSSStyleDeclaration} style of the canvas
 */
function drawLabels(context, { regions = [] }, viewport, { color, backgroundColor }) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = backgroundColor;
  context.fillStyle = color;
  const widthOf = (/** @type {import("./map-labels.js").Region} */ { kind, name }) => {
    context.font = LABEL_FONTS[kind];
    return context.measureText(name).width;
  };
  for (const { region, left, top } of placeLabels(regions, viewport, widthOf)) {
    context.font = LABEL_FONTS[region.kind];
    context.strokeText(region.name, left, top);
    context.fillText(region.name, left, top);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./map-viewport.js").Point} centre
 * @param {number} radius
 */
function fillCircle(context, [left, top], radius) {
  context.beginPath();
  context.arc(left, top, radius, 0, FULL_CIRCLE);
  context.fill();
}

/**
 * What the colours and marks mean, as list items.
 * @param {MapData} data
 */
export function legendItems({ genre, genres, centres, liked, path, rejected }) {
  const item = (/** @type {string} */ colour, /** @type {string} */ name, className = "dot") =>
    create("li", {}, create("i", { className, style: `--dot: ${colour}` }), name);
  const items = genres.map((name, number) => item(colourOf(number), name));
  if (genre.includes(-1)) items.push(item(OTHER_COLOUR, "other"));
  if (centres?.length) items.push(item("currentColor", "your interests", "ring"));
  if (liked?.length) items.push(item(LIKED_COLOUR, "liked", "heart"));
  if (path?.length) items.push(item("currentColor", "your listening path", "line"));
  if (rejected?.length) items.push(item(AVOIDED_COLOUR, "avoided sounds", "glow"));
  return items;
}
