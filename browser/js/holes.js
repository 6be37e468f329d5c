/** What the hole of a picture holds at the start, and how its rim is spared. */

import { resizeBilinear } from "./resize.js";

/** The picture (3 planes) with its hole filled: by "mean", by "noise" around it, or by its grown-in "surroundings". */
export function fillHole(picture, mask, size, fill, random) {
  const area = size * size;
  const filled = Float32Array.from(picture);
  const known = mask.map((hole) => 1 - hole);
  for (let plane = 0; plane < 3; plane++) {
    const values = filled.subarray(plane * area, (plane + 1) * area);
    if (fill === "surroundings") {
      values.set(grown(values, known, size));
      continue;
    }
    const mean = meanOf(values, known);
    mask.forEach((hole, index) => (values[index] = hole ? mean : values[index]));
    if (fill === "noise") values.forEach((value, index) => {
      const grain = 0.2 * random.normal();
      if (mask[index]) values[index] = value + grain;
    });
  }
  return filled.map((value) => Math.min(1, Math.max(0, value)));
}

function meanOf(values, known) {
  const sum = values.reduce((total, value, index) => total + value * known[index], 0);
  return sum / Math.max(1, known.reduce((total, value) => total + value, 0));
}

const BLURS = 32;

/** A plane with nearly the smoothest filling that meets the rim, found at half the size first. */
function grown(values, known, size) {
  let filled = new Float32Array(values.length).fill(meanOf(values, known));
  if (size > 4) {
    const half = Math.ceil(size / 2);
    const small = new Float32Array(half * half);
    const part = new Float32Array(half * half);
    values.forEach((value, index) => {
      const place = Math.floor(index / size / 2) * half + Math.floor((index % size) / 2);
      small[place] += value * known[index];
      part[place] += known[index];
    });
    const means = small.map((value, index) => (part[index] ? value / part[index] : 0));
    filled = resizeBilinear(grown(means, part.map((value) => Number(value > 0)), half), half, size);
  }
  values.forEach((value, index) => (filled[index] = known[index] ? value : filled[index]));
  for (let round = 0; round < BLURS; round++) blur(filled, known, size);
  return filled;
}

/** The means of 3 x 3 pixels where nothing is known. */
function blur(values, known, size) {
  const sums = new Float32Array(values.length);
  const last = size - 1;
  for (let index = 0; index < values.length; index++) {
    const x = index % size;
    sums[index] = values[x > 0 ? index - 1 : index] + values[index] + values[x < last ? index + 1 : index];
  }
  for (let index = 0; index < values.length; index++) {
    if (known[index]) continue;
    const above = index >= size ? index - size : index;
    const below = index < size * last ? index + size : index;
    values[index] = (sums[above] + sums[index] + sums[below]) / 9;
  }
}

const RIM = 0.1;

/** The mask with values that grow from its rim to 1 at RIM of the width inside. */
export function softened(mask, size) {
  const width = Math.max(1, Math.round(RIM * size));
  const sum = Float32Array.from(mask);
  let layer = sum.slice();
  for (let round = 1; round < width; round++) {
    layer = eroded(layer, size);
    layer.forEach((value, index) => (sum[index] += value));
  }
  return sum.map((value) => value / width);
}

/** The least value of each pixel and its eight neighbours. */
function eroded(mask, size) {
  const last = size - 1;
  const least = (values, step, place) =>
    values.map((value, index) => {
      const before = place(index) > 0 ? values[index - step] : value;
      const after = place(index) < last ? values[index + step] : value;
      return Math.min(value, before, after);
    });
  const lines = least(mask, 1, (index) => index % size);
  return least(lines, size, (index) => Math.floor(index / size));
}
