/** An exported checkpoint, in the worker: its files, and the engine that takes its steps. */

import { Engine } from "./engine.js";
import { stepInputs } from "./loop.js";
import { emptyProblem } from "./problems.js";
import { Random } from "./random.js";
import { binaryPath, isLoaded, openSession } from "./runtime.js";
import { readTensors } from "./tensors.js";

export class Checkpoint {
  /** folder: its path, below the page's. */
  constructor(folder) {
    Object.assign(this, { folder, starts: new Map(), sessions: [], engine: null });
  }

  /** {engine, shape}, once what is missing of the files is here. backend: "wasm" or "webgpu". */
  async open(backend, files, download) {
    this.context = { files, download };
    if (!this.engine) {
      const [text] = await files.get([`${this.folder}browser.json`]);
      this.about = JSON.parse(new TextDecoder().decode(text));
      const [, features] = this.about.step.inputs.feature_weights;
      this.shape = { size: this.about.image_size, classes: this.about.classes.length, features };
      const note = (words) => this.context.files.note(words);
      this.engine = new Engine((kind) => this.session(kind), knownStep(this.shape), note);
    }
    await this.engine.prepare(backend);
    return this;
  }

  /** The model and the runtime's binary are fetched together, so that progress counts both. */
  async session(kind) {
    const { files, download } = this.context;
    const paths = [`${this.folder}step.onnx`, ...(isLoaded(kind) ? [] : [binaryPath(kind)])];
    const [model, binary] = await files.get(paths, download);
    const session = await openSession(kind, model, files.base, binary);
    this.sessions.push(session);
    return session;
  }

  /** The statistics of a class, {name: values}. */
  async startOf(label, files, download) {
    const path = this.about.starts[this.about.classes[label]];
    if (!this.starts.has(label)) {
      const [bytes] = await files.get([this.folder + path], download);
      this.starts.set(label, readTensors(bytes, this.about.start_tensors));
    }
    return this.starts.get(label);
  }

  async release() {
    await Promise.all(this.sessions.map((session) => session.release()));
  }
}

/** The inputs of one step whose outcome is the same everywhere. */
function knownStep(shape) {
  const problem = emptyProblem(shape, 1);
  const random = new Random(0);
  problem.start = problem.start.map(() => random.uniform());
  problem.logitWeights[0] = -1;
  return stepInputs(problem, problem.start, [{ part: [-0.25, 0.1, -1.75, -0.1], shift: [1, -1] }], { epsilon: 8, step_size: 1, smoothing: 1 });
}
