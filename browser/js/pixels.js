/** Between the bytes of a canvas and what the network reads: three planes of numbers from 0 to 1. */

/** Three planes of size * size values of RGBA bytes. */
export function toPlanes(rgba, size) {
  const area = size * size;
  return Float32Array.from({ length: 3 * area }, (_, index) => rgba[(index % area) * 4 + Math.floor(index / area)] / 255);
}

/** RGBA bytes of pictures of three planes each, one picture after the other. */
export function toBytes(planes, size) {
  const area = size * size;
  const bytes = new Uint8ClampedArray((planes.length / 3) * 4);
  for (let index = 0; index < bytes.length; index++) {
    const channel = index % 4;
    const pixel = (index - channel) / 4;
    const picture = Math.floor(pixel / area);
    bytes[index] = channel === 3 ? 255 : 255 * planes[(picture * 3 + channel) * area + (pixel % area)];
  }
  return bytes;
}
