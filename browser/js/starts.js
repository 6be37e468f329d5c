/** Where a picture of a class starts: the distributions of synth/starts, drawn with a Random. */

import { resizeBilinear } from "./resize.js";

const TRUNCATION = 0.95; // fraction of a class's variance that the start "pca" keeps

/** A start picture: 3 * size * size values from 0 to 1. tensors: the statistics of the class by name; scale: spread. */
export function sampleStart(name, tensors, size, scale, random) {
  const { mean, offset } = DRAWS[name](tensors, size, random);
  const flat = offset.map((value, index) => (typeof mean === "number" ? mean : mean[index]) + scale * value);
  const side = Math.round(Math.sqrt(flat.length / 3));
  const picture = side === size ? flat : resizeBilinear(flat, side, size);
  return picture.map((value) => Math.min(1, Math.max(0, value)));
}

const DRAWS = {
  gaussian(tensors, size, random) {
    const deviation = tensors.deviation;
    return { mean: tensors.mean, offset: combine(deviation.map((d) => d * random.normal()), tensors.basis) };
  },
  mixture(tensors, size, random) {
    const { weights, centers, factors, basis } = tensors;
    const count = centers.length / weights.length;
    const part = choose(weights, random.uniform());
    const normals = Float32Array.from({ length: count }, () => random.normal());
    const coordinates = Float32Array.from({ length: count }, (_, row) => {
      const first = (part * count + row) * count;
      return normals.reduce((sum, value, column) => sum + factors[first + column] * value, centers[part * count + row]);
    });
    return { mean: tensors.mean, offset: combine(coordinates, basis) };
  },
  pca(tensors, size, random) {
    let explained = 0;
    let kept = true;
    const coordinates = tensors.deviation.map((d) => {
      const value = kept ? d * random.normal() : 0;
      explained += (d * d) / tensors.variance[0];
      kept = explained < TRUNCATION ? kept : false;
      return value;
    });
    return { mean: tensors.mean, offset: combine(coordinates, tensors.basis) };
  },
  mean(tensors) {
    return { mean: tensors.mean, offset: new Float32Array(tensors.mean.length) };
  },
  noise(tensors, size, random) {
    return { mean: 0.5, offset: Float32Array.from({ length: 3 * size * size }, () => 0.25 * random.normal()) };
  },
};

function choose(weights, uniform) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  for (let index = 0; index < weights.length; index++) {
    sum += weights[index] / total;
    if (uniform < sum) return index;
  }
  return weights.length - 1;
}

/** coordinates (K) times basis (K, D): D values. */
function combine(coordinates, basis) {
  const size = basis.length / coordinates.length;
  const sum = new Float32Array(size);
  coordinates.forEach((coordinate, row) => {
    for (let index = 0; index < size; index++) sum[index] += coordinate * basis[row * size + index];
  });
  return sum;
}
