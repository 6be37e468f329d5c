/** What the hole of a picture holds at the start, and how its rim is spared. */

/** The picture (3 planes) with its hole filled: by "mean", by "noise" around it, or by its grown-in "surroundings". */
export function fillHole(picture, mask, size, fill, random) {
  const area = size * size;
  const filled = Float32Array.from(picture);
  for (let plane = 0; plane < 3; plane++) {
    const values = filled.subarray(plane * area, (plane + 1) * area);
    const known = values.reduce((sum, value, index) => sum + value * (1 - mask[index]), 0);
    const mean = known / Math.max(1, mask.reduce((sum, value) => sum + 1 - value, 0));
    mask.forEach((hole, index) => (values[index] = hole ? mean : values[index]));
    if (fill === "noise") values.forEach((value, index) => {
      const grain = 0.2 * random.normal();
      if (mask[index]) values[index] = value + grain;
    });
    if (fill === "surroundings") grow(values, mask, size);
  }
  return filled.map((value) => Math.min(1, Math.max(0, value)));
}

/** Blur by 3 x 3 boxes again and again, changing the hole alone: nearly the smoothest filling that meets the rim. */
function grow(values, mask, size) {
  const sums = new Float32Array(values.length);
  const last = size - 1;
  for (let round = 0; round < 4 * size; round++) {
    for (let index = 0; index < values.length; index++) {
      const x = index % size;
      sums[index] = values[x > 0 ? index - 1 : index] + values[index] + values[x < last ? index + 1 : index];
    }
    for (let index = 0; index < values.length; index++) {
      if (!mask[index]) continue;
      const above = index >= size ? index - size : index;
      const below = index < size * last ? index + size : index;
      values[index] = (sums[above] + sums[index] + sums[below]) / 9;
    }
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
