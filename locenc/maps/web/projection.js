"use strict";
// Equal Earth projection (Šavrič, Patterson & Jenny 2019, equations 7 to 9), in radii of the sphere, and its inverse.
// A parallel is a straight line along which degrees have equal lengths: a row of pixels has one latitude.

const RADIAN = Math.PI / 180;
const ROOT3 = Math.sqrt(3);
const [A1, A2, A3, A4] = [1.340264, -0.081106, 0.000893, 0.003796];

const parametric = (lat) => Math.asin((ROOT3 / 2) * Math.sin(lat * RADIAN));

function heightOf(theta) {
  const t = theta * theta;
  return theta * (A1 + t * (A2 + t * t * (A3 + A4 * t)));
}

function slopeOf(theta) {
  const t = theta * theta;
  return A1 + t * (3 * A2 + t * t * (7 * A3 + 9 * A4 * t));
}

// Length of a degree of longitude along a parallel.
const degreeLength = (theta) => (2 * ROOT3 * RADIAN * Math.cos(theta)) / (3 * slopeOf(theta));

function project(lon, lat) {
  const theta = parametric(lat);
  return [lon * degreeLength(theta), heightOf(theta)];
}

// What a straight horizontal line is: {lat, degree}, its latitude and the length of a degree; null beyond the poles.
function parallelAt(y) {
  if (Math.abs(y) > heightOf(Math.PI / 3)) return null;
  let theta = y;
  for (let turn = 0; turn < 6; turn++) theta -= (heightOf(theta) - y) / slopeOf(theta);
  const lat = Math.asin(Math.max(-1, Math.min(1, (2 / ROOT3) * Math.sin(theta)))) / RADIAN;
  return { lat, degree: degreeLength(theta) };
}
