/** What each task asks of the loop: where to start, what to raise, and which pixels may move. */

import { blurred } from "./blur.js";
import { enlarged } from "./enlarge.js";
import { fillHole, softened } from "./holes.js";
import { stepInputs } from "./loop.js";
import { resizeCubic, resizeNearest, shrink } from "./resize.js";
import { sampleStart } from "./starts.js";

/** A problem of `count` pictures that moves nothing yet. shape: {size, classes, features} of the checkpoint. */
export function emptyProblem(shape, count) {
  const area = shape.size * shape.size;
  return {
    shape,
    start: new Float32Array(count * 3 * area),
    logitWeights: new Float32Array(count * shape.classes),
    entropyWeights: new Float32Array(count * shape.classes),
    featureWeights: new Float32Array(count * shape.features),
    changeWeights: new Float32Array(count * area),
    inside: new Float32Array(count * area).fill(1),
    low: null,
    factor: 1,
  };
}

/**
 * The problem of a run.
 *
 * settings: the task's parameters, with its name, task; label (a class's index, or null for what the model sees);
 * picture (3 planes) and mask where it has them. engine: has step(inputs). startOf: gets the statistics of a class.
 * randoms: one Random a picture.
 */
export async function makeProblem(settings, shape, { engine, startOf, randoms }) {
  const { size, classes, features } = shape;
  const problem = emptyProblem(shape, randoms.length);
  for (const [index, random] of randoms.entries()) {
    const start = await STARTS[settings.task](settings, size, random, { startOf, label: settings.label ?? index % classes });
    problem.start.set(start, index * start.length);
  }
  if (settings.task === "super_resolution" && settings.consistency === "hard") await match(problem, settings, engine);
  if (settings.mask) hold(problem, settings);
  if (settings.task === "painting") {
    randoms.forEach((_, index) => (problem.featureWeights[index * features + settings.feature] = -settings.strength));
    return problem;
  }
  if (settings.focus) await attend(problem, settings.focus, engine);
  const labels = settings.task === "generation" || settings.label !== null
    ? randoms.map((_, index) => settings.label ?? index % classes)
    : await seen(problem, engine);
  const raised = settings.objective === "logit" ? problem.logitWeights : problem.entropyWeights;
  labels.forEach((label, index) => (raised[index * classes + label] = settings.objective === "logit" ? -1 : 1));
  return problem;
}

const STARTS = {
  async generation(settings, size, random, { startOf, label }) {
    const tensors = settings.start === "noise" ? {} : await startOf(label);
    return sampleStart(settings.start, tensors, size, settings.start_scale, random);
  },
  inpainting: (settings, size, random) => fillHole(settings.picture, settings.mask, size, settings.fill, random),
  sketch: ({ picture, texture, softness }, size, random) =>
    blurred(picture, size, softness).map((value) => clamp(value + texture * random.normal())),
  translation: ({ picture }) => picture,
  painting: ({ picture }) => picture,
  maximisation: ({ picture }) => picture,
  super_resolution({ picture, factor, upsampling }, size) {
    const side = Math.max(1, Math.floor(size / factor));
    return enlarged(shrink(picture, size, side), side, size, upsampling);
  },
};

const clamp = (value) => Math.min(1, Math.max(0, value));

const BACK_PROJECTIONS = 10;

/** Let the means of blocks stay those of the small picture; the start, too, is moved there. */
async function match(problem, settings, engine) {
  const { size } = problem.shape;
  const side = Math.max(1, Math.floor(size / settings.factor));
  const low = shrink(settings.picture, size, side);
  for (let round = 0; round < BACK_PROJECTIONS; round++) {
    const shrunk = shrink(problem.start, size, side);
    const added = resizeCubic(low.map((value, index) => value - shrunk[index]), side, size);
    problem.start = problem.start.map((value, index) => value + added[index]);
  }
  problem.low = resizeNearest(low, side, size);
  problem.factor = settings.factor;
  problem.start = Float32Array.from((await stay(problem, engine)).next);
}

/** Keep what the mask leaves out: exactly, or by a penalty on its change. */
function hold(problem, { mask, outside, lam }) {
  const weights = softened(mask, problem.shape.size);
  for (let index = 0; index < problem.inside.length; index++) {
    const held = 1 - mask[index % mask.length];
    if (outside === "exact") problem.inside[index] = weights[index % mask.length];
    else problem.changeWeights[index] = lam * held;
  }
}

const QUIET = 0.35;
const LOUD = 0.75;

/** Let steps be shorter by the part `focus` where the model looks at nothing: where its features are short. */
async function attend(problem, focus, engine) {
  const { size } = problem.shape;
  const { lengths } = await stay(problem, engine);
  const count = problem.inside.length / (size * size);
  const side = Math.sqrt(lengths.length / count);
  for (let index = 0; index < count; index++) {
    const own = lengths.subarray(index * side * side, (index + 1) * side * side);
    const longest = Math.max(1e-12, ...own);
    resizeCubic(own.map((length) => length / longest), side, size).forEach((part, place) => {
      const lookedAt = clamp((part - QUIET) / (LOUD - QUIET));
      problem.inside[index * size * size + place] = 1 - focus * (1 - lookedAt);
    });
  }
}

/** The class that the model sees in each start. */
async function seen(problem, engine) {
  const { logits } = await stay(problem, engine);
  const classes = problem.shape.classes;
  return Array.from({ length: logits.length / classes }, (_, index) => {
    const own = Array.from(logits.subarray(index * classes, (index + 1) * classes));
    return own.indexOf(Math.max(...own));
  });
}

/** What the graph says of the start, which it does not move but onto the problem's means. */
function stay(problem, engine) {
  const count = problem.start.length / (3 * problem.shape.size ** 2);
  const views = Array.from({ length: count }, () => ({ part: [0, 0, 0, 0], shift: [0, 0] }));
  return engine.step(stepInputs(problem, problem.start, views, { epsilon: 1, step_size: 0, smoothing: 0 }));
}
