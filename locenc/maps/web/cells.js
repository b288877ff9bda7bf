"use strict";
// The data of the page: cells of a regular grid, row by row from the north, each row from 180° W.

const data = JSON.parse(document.getElementById("data").textContent);

function bytes(text) {
  const letters = atob(text);
  const result = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) result[i] = letters.charCodeAt(i);
  return result;
}

const { rows, columns, resolution } = data;
const south = 90 - rows * resolution;
const clusters = bytes(data.clusters); // a number from 0 for each cell that has one
const channels = bytes(data.channels); // red, green and blue
const components = new Int16Array(bytes(data.components).buffer); // one cell after the other
const count = clusters.length;
const width = components.length / count;

// Where a cell of the grid stands among those that have data, or -1; and the other way round.
const numbers = new Int32Array(rows * columns).fill(-1);
const squares = new Int32Array(count);
const mask = bytes(data.mask);
for (let square = 0, cell = 0; square < numbers.length; square++) {
  if ((mask[square >> 3] >> (7 - (square & 7))) & 1) {
    squares[cell] = square;
    numbers[square] = cell++;
  }
}

// The cell at a place in degrees: its number, -1 where there is none.
function cellAt(lon, lat) {
  const row = Math.min(rows - 1, Math.floor((90 - lat) / resolution));
  const column = Math.min(columns - 1, Math.floor((lon + 180) / resolution));
  return row < 0 || column < 0 ? -1 : numbers[row * columns + column];
}

function centreOf(cell) {
  const square = squares[cell];
  return [((square % columns) + 0.5) * resolution - 180, 90 - (Math.floor(square / columns) + 0.5) * resolution];
}

// Cosine of the embedding of every cell to that of one.
function similarityTo(cell) {
  const own = components.subarray(cell * width, (cell + 1) * width);
  const result = new Float64Array(count);
  for (let other = 0, at = 0; other < count; other++) {
    let product = 0; // of integers, exact
    for (let i = 0; i < width; i++) product += own[i] * components[at++];
    result[other] = Math.max(-1, Math.min(1, product * data.step * data.step));
  }
  result[cell] = 1;
  return result;
}

// Of the cosines to other cells: the least, the most, the mean by area, and a scale from low to high by round steps.
function summary(values, cell) {
  let [least, most, sum, areas] = [1, -1, 0, 0];
  for (let other = 0; other < count; other++) {
    if (other === cell) continue;
    const area = Math.cos(centreOf(other)[1] * RADIAN);
    sum += area * values[other];
    areas += area;
    [least, most] = [Math.min(least, values[other]), Math.max(most, values[other])];
  }
  const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
  const step = steps.find((one) => Math.ceil(most / one) - Math.floor(least / one) <= 6) ?? 0.5;
  const [low, high] = [Math.floor(least / step) * step, Math.ceil(most / step) * step];
  return { least, most, mean: sum / areas, low, high: Math.max(high, low + step), step };
}
