/** What super-resolution starts from, as synth/tasks/super_resolution.py makes it. */

import { resizeBicubic, resizeBilinear, resizeNearest, shrink } from "./resize.js";

const STEPS = 30;
const STEP = 0.01;
const MOMENTUM = 0.8;
const FLAT = 0.05;

/** 3 planes of side * side values as 3 of size * size: interpolated, or of least total variation. */
export function enlarged(low, side, size, upsampling) {
  if (upsampling === "nearest") return resizeNearest(low, side, size);
  const picture = resizeBicubic(low, side, size);
  if (upsampling === "bicubic") return picture;
  return leastVariation(picture, low, side, size).map((value) => Math.min(1, Math.max(0, value)));
}

/** A picture with as little total variation as those that shrink to `low` have, by steps with momentum. */
function leastVariation(picture, low, side, size) {
  let moved = new Float32Array(picture.length);
  for (let round = 0; round < STEPS; round++) {
    const bend = curvature(picture, size);
    const following = picture.map((value, index) => value + MOMENTUM * moved[index] + STEP * bend[index]);
    const shrunk = shrink(following, size, side);
    const missing = resizeBilinear(low.map((value, index) => value - shrunk[index]), side, size);
    for (let index = 0; index < following.length; index++) following[index] += missing[index];
    moved = following.map((value, index) => value - picture[index]);
    picture = following;
  }
  return picture;
}

/** Minus the gradient of the total variation of 3 planes, whose colours have their edges in common. */
function curvature(picture, size) {
  const area = size * size;
  const bend = new Float32Array(picture.length);
  for (let pixel = 0; pixel < area; pixel++) {
    const last = { right: pixel % size === size - 1, down: pixel >= area - size };
    const planes = [pixel, pixel + area, pixel + 2 * area];
    const right = planes.map((at) => (last.right ? 0 : picture[at + 1] - picture[at]));
    const down = planes.map((at) => (last.down ? 0 : picture[at + size] - picture[at]));
    const squares = [...right, ...down].reduce((sum, value) => sum + value * value, FLAT * FLAT);
    const scale = 1 / Math.sqrt(squares);
    planes.forEach((at, plane) => {
      bend[at] += scale * (right[plane] + down[plane]);
      if (!last.right) bend[at + 1] -= scale * right[plane];
      if (!last.down) bend[at + size] -= scale * down[plane];
    });
  }
  return bend;
}
