"use strict";
// Pointer, wheel, keyboard and buttons.

const FAR = 4; // pixels that a click may move
const pressed = new Map(); // pointers that are down: where they are
let moved = 0;

const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  if (!pressed.size) moved = 0;
  pressed.set(event.pointerId, at(event));
  marks.cross = null;
});

canvas.addEventListener("pointermove", (event) => {
  const now = at(event);
  const before = pressed.get(event.pointerId);
  if (!before) {
    read(placeAt(...now));
    return;
  }
  const other = [...pressed].find(([id]) => id !== event.pointerId)?.[1];
  pressed.set(event.pointerId, now);
  moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (other) {
    moved = Infinity;
    panBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    const spread = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
    zoomBy(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (moved > FAR) {
    canvas.classList.add("dragged");
    panBy(now[0] - before[0], now[1] - before[1]);
  }
});

canvas.addEventListener("pointerup", (event) => {
  if (pressed.size === 1 && pressed.has(event.pointerId) && moved <= FAR) compare(placeAt(...at(event)));
});

canvas.addEventListener("lostpointercapture", (event) => {
  pressed.delete(event.pointerId);
  if (!pressed.size) canvas.classList.remove("dragged");
});

canvas.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "mouse") read(null);
});

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
  zoomBy(Math.exp(-Math.max(-150, Math.min(150, event.deltaY * lines)) / 400), ...at(event));
  read(placeAt(...at(event)));
}, { passive: false });

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const middle = () => placeAt(canvas.clientWidth / 2, canvas.clientHeight / 2);
const closer = () => zoomBy(1.5);
const farther = () => zoomBy(1 / 1.5);
const enter = () => compare(marks.cross ?? middle());
const KEYS = { "+": closer, "=": closer, "-": farther, 0: showWhole, Enter: enter };

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const move = MOVES[event.key];
  if (move) moveCross(...move.map((one) => one * resolution * (event.shiftKey ? 10 : 1)));
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

// Move the cross, from the middle of the view at first, by cells; the view follows it.
function moveCross(right, up) {
  const centred = (value, low) => low + (Math.floor((value - low) / resolution) + 0.5) * resolution;
  const [lon, lat] = marks.cross ?? middle() ?? [0, 0];
  const [last, edge] = [180 - resolution / 2, south + resolution / 2];
  marks.cross = [
    Math.max(-last, Math.min(last, centred(lon, -180) + right)),
    Math.max(edge, Math.min(90 - resolution / 2, centred(lat, south) + up)),
  ];
  const [left, top] = toScreen(project(...marks.cross));
  if (left < 24 || top < 24 || left > canvas.clientWidth - 24 || top > canvas.clientHeight - 24) {
    [view.x, view.y] = project(...marks.cross);
  }
  redraw();
  read(marks.cross);
}

canvas.addEventListener("blur", () => {
  marks.cross = null;
  redraw();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
});
document.getElementById("closer").addEventListener("click", closer);
document.getElementById("farther").addEventListener("click", farther);
document.getElementById("whole").addEventListener("click", showWhole);
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => {
    show(button.dataset.view);
    read(null);
  });
}

new ResizeObserver(redraw).observe(canvas);
show("components");
read(null);
