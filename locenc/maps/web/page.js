"use strict";
// What the page shows: the view that is chosen, the place that is compared, read-out and legend.

const legend = document.getElementById("legend");
const readout = document.getElementById("readout");
const stops = data.scale.map(colour);
const palette = data.palette.map(colour);
const CHANNELS = ["red", "green", "blue"];
const state = { view: "components", before: "components", place: -1, similarity: null, summary: null, cluster: -1 };

function element(tag, properties = {}, ...children) {
  const { style, ...others } = properties;
  const made = Object.assign(document.createElement(tag), others);
  Object.assign(made.style, style);
  made.append(...children);
  return made;
}

const percent = (share) => (share > 0 && share < 0.01 ? "<1%" : `${Math.round(100 * share)}%`);
const signed = (value, digits) => value.toFixed(digits).replace("-", "−");
const rgb = (parts) => `rgb(${parts.map(Math.round).join(" ")})`;

function degrees([lon, lat], digits) {
  const one = (value, plus, minus) => `${Math.abs(value).toFixed(digits)}° ${value < 0 ? minus : plus}`;
  return `${one(lon, "E", "W")}, ${one(lat, "N", "S")}`;
}

const centreText = (cell) => degrees(centreOf(cell), resolution < 0.5 || resolution % 1 ? 2 : 1);

// A colour of the scale: share 0 is its low end, 1 its high one.
function scaleColour(share) {
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  return stops[low].map((part, i) => part + (at - low) * (stops[low + 1][i] - part));
}

const shareOf = (value) => (value - state.summary.low) / (state.summary.high - state.summary.low);

const COLOUR_OF = {
  components: (cell) => CHANNELS.map((_, i) => channels[3 * cell + i]),
  clusters: (cell) => {
    const own = palette[clusters[cell]];
    return state.cluster < 0 || state.cluster === clusters[cell] ? own : own.map((part) => 0.12 * part + 0.88 * 226);
  },
  similarity: (cell) => (state.similarity ? scaleColour(shareOf(state.similarity[cell])) : [201, 208, 215]),
};

const LEGEND_OF = {
  components: () => {
    const rest = 1 - data.shares.reduce((sum, share) => sum + share, 0);
    const part = (share, i) => element("div", { style: { flex: `${share} 0 0`, background: data.channelColours[i] } });
    const numbers = data.shares.map((share, i) => `${CHANNELS[i]} ${percent(share)}`).join(", ");
    return [
      element("h2", {}, "Similar colours are similar embeddings"),
      element("div", { className: "bar" }, ...[...data.shares, rest].map(part)),
      element("p", {}, `Share of the variance behind each colour: ${numbers}; not shown ${percent(rest)}.`),
    ];
  },
  clusters: () => {
    const items = data.clusterAreas.map((area, i) => {
      const [red, green, blue] = palette[i];
      const color = 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "#ffffff" : INK;
      const number = element("b", { style: { background: data.palette[i], color } }, `${i + 1}`);
      const button = element("button", { type: "button", onclick: () => highlight(i) }, number, percent(area));
      button.setAttribute("aria-pressed", state.cluster === i);
      button.setAttribute("aria-label", `Cluster ${i + 1}, ${percent(area)} of the area: show it alone`);
      return element("li", {}, button);
    });
    const heading = `${items.length} clusters, with their shares of ${data.where}; choose one to see it alone`;
    return [element("h2", {}, heading), element("ul", { className: "clusters" }, ...items)];
  },
  similarity: () => {
    if (state.place < 0) {
      const hint = "Click or tap a place on the map: every cell is coloured by how alike its embedding is.";
      return [element("h2", {}, "Cosine similarity"), element("p", {}, hint)];
    }
    const { low, high, least, most, mean, step } = state.summary;
    const digits = step < 0.01 ? 3 : step < 0.1 ? 2 : 1;
    const background = `linear-gradient(to right, ${stops.map(rgb)})`;
    const bar = element("div", { className: "bar", style: { background } });
    const [lowest, highest, average] = [least, most, mean].map((value) => signed(value, 3));
    const ticks = [];
    for (let i = 0; low + i * step <= high + step / 2; i++) {
      const value = low + i * step;
      const left = `${100 * shareOf(value)}%`;
      ticks.push(element("span", { className: i ? "tick" : "tick first", style: { left } }, signed(value, digits)));
    }
    const back = element("button", { type: "button", id: "clear", onclick: clear }, "Back ", element("kbd", {}, "Esc"));
    const place = `${centreText(state.place)} (cluster ${clusters[state.place] + 1})`;
    const needle = element("div", { className: "needle", id: "needle", hidden: true });
    return [
      element("h2", {}, `Cosine similarity to ${place}`, back),
      element("div", { className: "scale" }, bar, needle, ...ticks),
      element("p", {}, `Other cells: lowest ${lowest}, highest ${highest}; mean over the area ${average}.`),
    ];
  },
};

function show(name) {
  if (name !== "similarity") state.before = name;
  state.view = name;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", button.dataset.view === name);
  }
  marks.place = state.place >= 0 ? centreOf(state.place) : null;
  legend.replaceChildren(...LEGEND_OF[name]());
  paint(COLOUR_OF[name]);
}

function highlight(cluster) {
  state.cluster = state.cluster === cluster ? -1 : cluster;
  show("clusters");
  legend.querySelectorAll(".clusters button")[cluster].focus();
}

// Compare a place in degrees with every cell.
function compare(place) {
  const cell = place ? cellAt(...place) : -1;
  if (cell >= 0) {
    state.place = cell;
    state.similarity = similarityTo(cell);
    state.summary = summary(state.similarity, cell);
    show("similarity");
  }
  read(place);
}

function clear() {
  if (state.place >= 0) {
    state.place = -1;
    state.similarity = state.summary = null;
  } else {
    state.cluster = -1;
  }
  show(state.view === "similarity" ? state.before : state.view);
  read(null);
}

// Say what is at a place in degrees; null: nowhere.
function read(place) {
  const cell = place ? cellAt(...place) : -1;
  const needle = document.getElementById("needle");
  if (needle) needle.hidden = cell < 0;
  if (!place) {
    readout.replaceChildren("Point at a place to read it; click to compare it");
    return;
  }
  const fine = pixelsPerUnit() * project(1, 0)[0] > 20; // pixels of a degree
  const parts = [degrees(place, fine ? 2 : 1)];
  if (cell < 0) {
    parts.push(data.elsewhere);
  } else {
    parts.push(`cluster ${clusters[cell] + 1}`);
    if (state.similarity) parts.push(`cosine ${signed(state.similarity[cell], 3)}`);
    if (needle) needle.style.left = `${100 * Math.min(1, shareOf(state.similarity[cell]))}%`;
  }
  const spans = parts.map((part) => element("span", {}, part));
  if (cell >= 0) {
    spans[1].prepend(element("i", { className: "swatch", style: { background: data.palette[clusters[cell]] } }));
  }
  readout.replaceChildren(...spans);
}
