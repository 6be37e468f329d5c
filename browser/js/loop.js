/** The loop: projected gradient steps on a few pictures at once, which the exported graph takes one by one. */

/**
 * The state after each step: {step, pictures, logits}; step 0 is the start.
 *
 * engine: has step(inputs). problem: as of problems.js. settings: steps, step_size, schedule, epsilon, crop, jitter, smoothing.
 * randoms: one Random a picture. Where the settings have `detail`, the pictures are shown that part of the way.
 */
export async function* iterate(engine, problem, settings, randoms) {
  let pictures = problem.start;
  yield { step: 0, pictures, logits: null };
  for (let step = 0; step < settings.steps; step++) {
    const falls = settings.schedule === "cosine" ? 0.5 * (1 + Math.cos((Math.PI * step) / settings.steps)) : 1;
    const views = randoms.map((random) => ({ part: drawPart(random, settings.crop), shift: drawShift(random, settings.jitter) }));
    const inputs = stepInputs(problem, pictures, views, { ...settings, step_size: settings.step_size * falls });
    const outputs = await engine.step(inputs);
    pictures = outputs.next;
    yield { step: step + 1, pictures: between(problem.start, pictures, settings.detail ?? 1), logits: outputs.logits };
  }
}

/** `part` of the way from one to the other. */
function between(one, other, part) {
  return part === 1 ? other : other.map((value, index) => one[index] + part * (value - one[index]));
}

/** The part that the network sees of a picture, at least 1 - `most` as wide: the graph's "part". */
function drawPart(random, most) {
  if (!most) return [0, 0, 0, 0];
  const width = 1 - most * random.uniform();
  const [down, right] = [random.uniform(), random.uniform()].map((place) => (1 - width) * (2 * place - 1));
  return [width - 1, down, width - 1, right];
}

/** How far the network sees a picture shifted: whole pixels down and to the right, at most `most` each way. */
function drawShift(random, most) {
  if (!most) return [0, 0];
  const draw = () => Math.floor(random.uniform() * (2 * most + 1)) - most;
  return [draw(), draw()];
}

/** The inputs of the graph, as training/export describes them: {name: {data, dims}}. views: {part, shift} a picture. */
export function stepInputs(problem, pictures, views, { epsilon, step_size, smoothing }) {
  const { size, classes, features } = problem.shape;
  const count = views.length;
  const image = [count, 3, size, size];
  const region = [count, 1, size, size];
  const each = (value) => ({ data: new Float32Array(count).fill(value), dims: [count] });
  return {
    pictures: { data: pictures, dims: image },
    center: { data: problem.start, dims: image },
    logit_weights: { data: problem.logitWeights, dims: [count, classes] },
    entropy_weights: { data: problem.entropyWeights, dims: [count, classes] },
    feature_weights: { data: problem.featureWeights, dims: [count, features] },
    change_weights: { data: problem.changeWeights, dims: region },
    inside: { data: problem.inside, dims: region },
    part: { data: Float32Array.from(views.flatMap((view) => view.part)), dims: [count, 2, 2] },
    shift: { data: Float32Array.from(views.flatMap((view) => view.shift)), dims: [count, 2] },
    smoothing: each(smoothing),
    epsilon: each(epsilon),
    step_size: each(step_size),
    low: { data: problem.low ?? problem.start, dims: image },
    factor: { data: Float32Array.of(problem.factor), dims: [] },
  };
}
