/** Gaussian blur with reflected edges, as torchvision's. */

/** Planes of size * size values, blurred with the standard deviation `sigma` in pixels. */
export function blurred(planes, size, sigma) {
  if (!sigma) return planes;
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, tap) => Math.exp(-0.5 * ((tap - reach) / sigma) ** 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const within = (at) => (at < 0 ? -at : at >= size ? 2 * size - 2 - at : at);
  const along = (values, place) =>
    values.map((_, index) => {
      const column = index % size;
      const row = Math.floor(index / size) % size;
      const first = index - row * size - column;
      let total = 0;
      weights.forEach((weight, tap) => (total += weight * values[first + place(row, column, tap - reach)]));
      return total / sum;
    });
  const wide = along(planes, (row, column, shift) => row * size + within(column + shift));
  return along(wide, (row, column, shift) => within(row + shift) * size + column);
}
