/** Reads the statistics of a class's start: half-precision numbers, one tensor after another. */

/** {name: Float32Array} of the file's bytes; shapes: {name: shape}, in the order of the file. */
export function readTensors(bytes, shapes) {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  let at = 0;
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const count = shape.reduce((product, side) => product * side, 1);
    return [name, Float32Array.from(halves.subarray(at, (at += count)), toSingle)];
  });
  return Object.fromEntries(tensors);
}

/** The number that 16 bits stand for in half precision. */
function toSingle(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
