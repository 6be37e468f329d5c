/** Pictures of some planes at another size, with PyTorch's conventions. */

/** Bilinear enlargement of planes of side * side values to size * size. */
export function resizeBilinear(planes, side, size) {
  return resize(planes, side, size, 2, (t) => [1 - t, t]);
}

/** Bicubic enlargement; the values are clamped to 0..1. */
export function resizeBicubic(planes, side, size) {
  return resizeCubic(planes, side, size).map((value) => Math.min(1, Math.max(0, value)));
}

/** Bicubic enlargement of values of any size. */
export function resizeCubic(planes, side, size) {
  const a = -0.75;
  const near = (t) => ((a + 2) * t - (a + 3)) * t * t + 1;
  const far = (t) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return resize(planes, side, size, 4, (t) => [far(t + 1), near(t), near(1 - t), far(2 - t)]);
}

/** Each pixel repeated. */
export function resizeNearest(planes, side, size) {
  return resize(planes, side, size, 1, () => [1]);
}

/** The means of blocks: 3 * side * side values become 3 * size * size, where size divides side. */
export function shrink(planes, side, size) {
  const factor = side / size;
  const small = new Float32Array(3 * size * size);
  for (let index = 0; index < planes.length; index++) {
    const plane = Math.floor(index / (side * side));
    const row = Math.floor(Math.floor(index / side) % side / factor);
    small[(plane * size + row) * size + Math.floor((index % side) / factor)] += planes[index] / (factor * factor);
  }
  return small;
}

/** One line after the other, then one column after the other: `taps` values each, weighed by `weigh` (position). */
function resize(planes, side, size, taps, weigh) {
  const places = Array.from({ length: size }, (_, index) => {
    const at = ((index + 0.5) * side) / size - 0.5;
    const first = taps === 1 ? Math.floor((index * side) / size) : Math.floor(at) - taps / 2 + 1;
    const from = Array.from({ length: taps }, (_, tap) => Math.min(side - 1, Math.max(0, first + tap)));
    const t = taps === 2 ? Math.max(0, at) - Math.floor(Math.max(0, at)) : at - Math.floor(at);
    if (taps === 2 && at < 0) from[1] = Math.min(side - 1, 1), (from[0] = 0);
    return { from, weights: weigh(t) };
  });
  const count = planes.length / (side * side);
  const wide = new Float32Array(count * side * size);
  const result = new Float32Array(count * size * size);
  for (let line = 0; line < count * side; line++) {
    places.forEach(({ from, weights }, column) => {
      wide[line * size + column] = weights.reduce((sum, weight, tap) => sum + weight * planes[line * side + from[tap]], 0);
    });
  }
  for (let plane = 0; plane < count; plane++) {
    places.forEach(({ from, weights }, row) => {
      for (let column = 0; column < size; column++) {
        const value = (sum, weight, tap) => sum + weight * wide[(plane * side + from[tap]) * size + column];
        result[(plane * size + row) * size + column] = weights.reduce(value, 0);
      }
    });
  }
  return result;
}
