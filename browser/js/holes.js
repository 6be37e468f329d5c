/** What the hole of a picture holds at the start. */

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
