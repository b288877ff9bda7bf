"use strict";
// The canvas: what is drawn, and where the view is.

const canvas = document.getElementById("map");
const context = canvas.getContext("2d");
const colour = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const pixel = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; // little-endian
const SEA = pixel(colour(data.sea));
const INK = "#1d252c";
const ZOOMS = 40; // how much nearer than the whole map

// Outline, graticule and coast in the projection's units.
const parallels = Array.from({ length: 121 }, (_, i) => south + ((90 - south) * i) / 120);
const outline = new Path2D();
for (const lat of parallels) outline.lineTo(...project(-180, lat));
for (const lat of parallels.slice().reverse()) outline.lineTo(...project(180, lat));
outline.closePath();
const graticule = new Path2D();
function addLine(path, line) {
  line.forEach(([lon, lat], i) => path[i ? "lineTo" : "moveTo"](...project(lon, lat)));
}
for (let lon = -120; lon < 180; lon += 60) addLine(graticule, parallels.map((lat) => [lon, lat]));
for (let lat = -60; lat < 90; lat += 30) if (lat > south) addLine(graticule, [[-180, lat], [180, lat]]);
const coast = new Path2D();
const points = new Int16Array(bytes(data.coast).buffer);
let next = 0;
for (const length of data.coastLengths) {
  addLine(coast, Array.from({ length }, () => [points[next++] / data.coastUnit, points[next++] / data.coastUnit]));
}
const [east, north, bottom] = [project(180, 0)[0], project(0, 90)[1], project(0, south)[1]];

// x, y: the middle of the view; zoom: 1 is the whole map.
const view = { x: 0, y: (north + bottom) / 2, zoom: 1 };
const colours = new Uint32Array(rows * columns).fill(SEA);
const marks = { place: null, cross: null }; // degrees
let image = null;
let waiting = false;

function pixelsPerUnit() {
  const whole = Math.min((canvas.clientWidth - 24) / (2 * east), (canvas.clientHeight - 24) / (north - bottom));
  return whole * view.zoom;
}

function clampView() {
  view.zoom = Math.max(1, Math.min(ZOOMS, view.zoom));
  const [half, tall] = [canvas.clientWidth / 2 / pixelsPerUnit(), canvas.clientHeight / 2 / pixelsPerUnit()];
  const margin = 12 / pixelsPerUnit();
  const kept = (value, low, high) => (low > high ? (low + high) / 2 : Math.max(low, Math.min(high, value)));
  view.x = kept(view.x, half - east - margin, east + margin - half);
  view.y = kept(view.y, bottom - margin + tall, north + margin - tall);
}

function toScreen([x, y]) {
  const k = pixelsPerUnit();
  return [canvas.clientWidth / 2 + (x - view.x) * k, canvas.clientHeight / 2 - (y - view.y) * k];
}

function fromScreen(left, top) {
  const k = pixelsPerUnit();
  return [view.x + (left - canvas.clientWidth / 2) / k, view.y - (top - canvas.clientHeight / 2) / k];
}

// (lon, lat) under a point of the canvas, null outside the map.
function placeAt(left, top) {
  const [x, y] = fromScreen(left, top);
  const parallel = parallelAt(y);
  if (!parallel || parallel.lat < south || Math.abs(x) > 180 * parallel.degree) return null;
  return [x / parallel.degree, parallel.lat];
}

function panBy(right, down) {
  view.x -= right / pixelsPerUnit();
  view.y += down / pixelsPerUnit();
  redraw();
}

// Zoom and keep what is under a point of the canvas there.
function zoomBy(factor, left = canvas.clientWidth / 2, top = canvas.clientHeight / 2) {
  const [x, y] = fromScreen(left, top);
  view.zoom = Math.max(1, Math.min(ZOOMS, view.zoom * factor));
  const [movedX, movedY] = fromScreen(left, top);
  view.x += x - movedX;
  view.y += y - movedY;
  redraw();
}

function showWhole() {
  view.zoom = 1;
  redraw();
}

// colourOf(cell): red, green and blue.
function paint(colourOf) {
  for (let cell = 0; cell < count; cell++) colours[squares[cell]] = pixel(colourOf(cell));
  redraw();
}

function redraw() {
  clampView();
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
}

function draw() {
  waiting = false;
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const [wide, tall] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!wide || !tall) return;
  if (image?.width !== wide || image.height !== tall) {
    [canvas.width, canvas.height] = [wide, tall];
    image = context.createImageData(wide, tall);
  }
  const k = pixelsPerUnit() * ratio;
  drawCells(new Uint32Array(image.data.buffer), wide, tall, k);
  context.resetTransform();
  context.putImageData(image, 0, 0);
  context.save();
  context.setTransform(k, 0, 0, -k, wide / 2 - view.x * k, tall / 2 + view.y * k);
  context.save();
  context.clip(outline);
  stroke(graticule, "rgb(29 37 44 / 14%)", (0.7 * ratio) / k);
  stroke(coast, "rgb(29 37 44 / 80%)", (0.8 * ratio) / k);
  context.restore();
  stroke(outline, "#5b6670", (1.4 * ratio) / k);
  context.restore();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (marks.cross) drawCross(...toScreen(project(...marks.cross)));
  if (marks.place) drawPin(...toScreen(project(...marks.place)));
}

function drawCells(pixels, wide, tall, k) {
  pixels.fill(0);
  for (let row = 0; row < tall; row++) {
    const parallel = parallelAt(view.y - (row + 0.5 - tall / 2) / k);
    if (!parallel || parallel.lat < south) continue;
    const from = Math.min(rows - 1, Math.floor((90 - parallel.lat) / resolution)) * columns;
    const perPixel = 1 / (k * parallel.degree * resolution); // columns of cells
    const offset = 180 / resolution + view.x / parallel.degree / resolution + (0.5 - wide / 2) * perPixel;
    const first = Math.max(0, Math.ceil(-offset / perPixel));
    const last = Math.min(wide, Math.ceil((columns - offset) / perPixel));
    for (let column = first, at = row * wide + first; column < last; column++, at++) {
      pixels[at] = colours[from + Math.min(columns - 1, Math.floor(offset + column * perPixel))];
    }
  }
}

function stroke(path, style, thick) {
  context.strokeStyle = style;
  context.lineWidth = thick;
  context.lineJoin = "round";
  context.stroke(path);
}

function drawPin(left, top) {
  for (const [radius, style, thick] of [[7, "#ffffff", 5], [7, INK, 2.2]]) {
    const ring = new Path2D();
    ring.arc(left, top, radius, 0, 2 * Math.PI);
    stroke(ring, style, thick);
  }
}

function drawCross(left, top) {
  const cross = new Path2D(`M${left - 12} ${top}h9m6 0h9M${left} ${top - 12}v9m0 6v9`);
  stroke(cross, "#ffffff", 4);
  stroke(cross, INK, 1.8);
}
