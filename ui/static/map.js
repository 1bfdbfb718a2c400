// The taste map: every track a dot, the listener's centres, rejected region and path over it. Click plays, drag moves,
// the wheel looks closer; with the keyboard, arrows move and + and - look closer. By touch, one finger plays and scrolls the
// page, two move the map and look closer.

import { pathTo } from "./address.js";
import { get, make, one, parsed } from "./dom.js";

// As many as the server tells genres apart (ui/routes/audio.py).
const COLOURS = [
  ["#e8683c", "#3f9be0", "#4bb36a", "#b06fd8", "#d9a514", "#e0559b", "#37b3b0", "#8d7bea", "#9aa63a", "#c98252"],
  ["#4f74c4", "#c2454b", "#1f8f5f", "#d98ad0", "#8f7416", "#6cb9da", "#8a4f9e", "#7fc241", "#b0627a", "#5b8078"],
].flat();
const OTHER = "#8a8f99";
const NEAR = 12;
const MARGIN = 60;

let data = null;
let view = { x: 0, y: 0, zoom: 1 };
let canvas = null;
let from = null; // where a pointer went down
let hasMoved = false;
let play = () => {};
const titles = new Map();

export function onPlay(callback) {
  play = callback;
}

export async function showMap() {
  canvas = one("#map");
  data = await get("/map.json");
  if (!canvas.isConnected) return;
  const isThere = data.ok && data.tracks.length > 0;
  one("#map-none").hidden = isThere;
  one("#map-frame").hidden = one("#map-legend").hidden = !isThere;
  if (!isThere) return;
  legend();
  all();
  new ResizeObserver(draw).observe(canvas);
  wire();
}

export function look(how) {
  if (how === "all") return all();
  zoom(how === "in" ? 1.5 : 1 / 1.5, canvas.clientWidth / 2, canvas.clientHeight / 2);
}

function all() {
  view = { x: 0, y: 0, zoom: 1 };
  draw();
}

const put = (x, y) => [
  canvas.clientWidth / 2 + ((x - 500) / 1000) * (canvas.clientWidth - MARGIN) * view.zoom + view.x,
  canvas.clientHeight / 2 - ((y - 500) / 1000) * (canvas.clientHeight - MARGIN) * view.zoom + view.y,
];

function draw() {
  if (!canvas?.clientWidth || !data?.tracks) return;
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const radius = Math.max(1.6, Math.min(6, 60 / Math.sqrt(data.tracks.length))) * Math.sqrt(view.zoom);
  for (const [x, y] of data.rejected ?? []) {
    const [left, top] = put(x, y);
    const glow = context.createRadialGradient(left, top, 0, left, top, 46 * view.zoom);
    glow.addColorStop(0, "rgb(214 40 40 / .32)");
    glow.addColorStop(1, "rgb(214 40 40 / 0)");
    context.fillStyle = glow;
    context.fillRect(left - 50 * view.zoom, top - 50 * view.zoom, 100 * view.zoom, 100 * view.zoom);
  }
  context.globalAlpha = 0.85;
  data.tracks.forEach((_, at) => {
    const [left, top] = put(data.x[at], data.y[at]);
    context.fillStyle = data.genre[at] < 0 ? OTHER : COLOURS[data.genre[at]];
    context.beginPath();
    context.arc(left, top, radius, 0, 7);
    context.fill();
  });
  context.globalAlpha = 1;
  path(context, style);
  for (const { x, y, weight } of data.centres ?? []) {
    const [left, top] = put(x, y);
    context.strokeStyle = style.color;
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(left, top, 12 + 10 * Math.min(1, Math.max(0, weight)), 0, 7);
    context.stroke();
    context.beginPath();
    context.arc(left, top, 3, 0, 7);
    context.fillStyle = style.color;
    context.fill();
  }
}

/** The tracks heard, as a line that grows stronger towards now. */
function path(context, style) {
  const spots = (data.path ?? []).map(([x, y]) => put(x, y));
  context.strokeStyle = style.color;
  for (let at = 1; at < spots.length; at += 1) {
    context.globalAlpha = 0.12 + (0.6 * at) / spots.length;
    context.lineWidth = 1 + at / spots.length;
    context.beginPath();
    context.moveTo(...spots[at - 1]);
    context.lineTo(...spots[at]);
    context.stroke();
  }
  context.globalAlpha = 1;
  if (!spots.length) return;
  context.fillStyle = style.color;
  context.beginPath();
  context.arc(...spots.at(-1), 4, 0, 7);
  context.fill();
}

function legend() {
  const entry = (colour, name, kind = "dot") => make("li", {}, make("i", { className: kind, style: `--dot: ${colour}` }), name);
  const genres = data.genres.map((name, at) => entry(COLOURS[at], name));
  if (data.genre.includes(-1)) genres.push(entry(OTHER, "other"));
  if (data.centres?.length) genres.push(entry("currentColor", "your centres", "ring"));
  if (data.path?.length) genres.push(entry("currentColor", "your path", "line"));
  if (data.rejected?.length) genres.push(entry("#d62828", "kept away from", "glow"));
  one("#map-legend").replaceChildren(...genres);
}

function zoom(by, left, top) {
  const to = Math.max(1, Math.min(40, view.zoom * by));
  const scale = to / view.zoom;
  const [middleX, middleY] = [canvas.clientWidth / 2, canvas.clientHeight / 2];
  view = { x: left - middleX - (left - middleX - view.x) * scale, y: top - middleY - (top - middleY - view.y) * scale, zoom: to };
  if (to === 1) view = { x: 0, y: 0, zoom: 1 };
  draw();
}

function nearest(left, top) {
  let [best, far] = [-1, NEAR ** 2];
  data.tracks.forEach((_, at) => {
    const [x, y] = put(data.x[at], data.y[at]);
    const distance = (x - left) ** 2 + (y - top) ** 2;
    if (distance < far) [best, far] = [at, distance];
  });
  return best;
}

function wire() {
  const tip = one("#map-tip");
  wireFingers();
  canvas.addEventListener("pointercancel", () => (from = null));
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary) return;
    from = { x: event.clientX - view.x, y: event.clientY - view.y, left: event.clientX, top: event.clientY };
    hasMoved = false;
    if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    if (from) {
      hasMoved ||= Math.hypot(event.clientX - from.left, event.clientY - from.top) > 4;
      if (hasMoved) {
        view = { ...view, x: event.clientX - from.x, y: event.clientY - from.y };
        draw();
      }
    } else hover(event.offsetX, event.offsetY, tip);
  });
  canvas.addEventListener("pointerup", async (event) => {
    const at = !from || hasMoved ? -1 : nearest(event.offsetX, event.offsetY);
    from = null;
    if (at >= 0) {
      const answer = await get(pathTo("card", data.tracks[at]));
      if (answer.ok) play(one(".card", parsed(answer.html)));
    }
  });
  const onWheel = (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
  };
  canvas.addEventListener("wheel", onWheel, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (step && !event.shiftKey) {
      view = { ...view, x: view.x + step[0], y: view.y + step[1] };
      draw();
    } else if (event.key === "+" || event.key === "-") look(event.key === "+" ? "in" : "out");
    else return;
    event.preventDefault();
  });
}

function wireFingers() {
  let before = null;
  const fingers = ({ touches: [one, other] }) => {
    const frame = canvas.getBoundingClientRect();
    return {
      left: (one.clientX + other.clientX) / 2 - frame.left,
      top: (one.clientY + other.clientY) / 2 - frame.top,
      apart: Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY)),
    };
  };
  const onTouch = (event) => {
    if (event.touches.length !== 2) return void (before = null);
    event.preventDefault(); // one finger scrolls the page
    const now = fingers(event);
    if (event.type === "touchmove" && before) {
      view = { ...view, x: view.x + now.left - before.left, y: view.y + now.top - before.top };
      zoom(now.apart / before.apart, now.left, now.top);
    }
    [before, from] = [now, null];
  };
  for (const name of ["touchstart", "touchmove", "touchend"]) canvas.addEventListener(name, onTouch, { passive: false });
}

async function hover(left, top, tip) {
  const at = nearest(left, top);
  canvas.style.cursor = at < 0 ? "grab" : "pointer";
  if (at < 0) return void (tip.textContent = "");
  const id = data.tracks[at];
  if (!titles.has(id)) {
    const answer = await get(pathTo("card", id));
    if (answer.ok) titles.set(id, one(".card", parsed(answer.html)).dataset);
  }
  const track = titles.get(id);
  if (track) tip.textContent = `${track.title} · ${track.artist}`;
}
