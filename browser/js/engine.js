/** Takes steps with ONNX Runtime: on WASM, or on WebGPU where its pixels agree with WASM's on a known step. */

const AGREE = 1e-3; // largest difference of a pixel between the two

/** One checkpoint's step, on one of the two. */
export class Engine {
  /** open: a function of "wasm" or "webgpu" that returns a session with run(feeds); knownStep: inputs to compare with. */
  constructor(open, knownStep, note = () => {}) {
    Object.assign(this, { open, knownStep, note, sessions: {}, runs: null });
  }

  /** Make ready to run on `wanted`, "wasm" or "webgpu"; `runs` then says what it is. */
  async prepare(wanted) {
    this.sessions.wasm ??= await this.open("wasm");
    if (wanted === "wasm" || this.sessions.webgpu === null) {
      this.runs = "wasm";
      return;
    }
    if (!this.sessions.webgpu) {
      try {
        const gpu = await this.open("webgpu");
        const apart = difference(await run(gpu, this.knownStep), await run(this.sessions.wasm, this.knownStep));
        this.sessions.webgpu = apart <= AGREE ? gpu : null;
        if (!this.sessions.webgpu) this.note(`WebGPU's pixels differ from WASM's by ${apart.toPrecision(2)}, so WASM runs.`);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        this.sessions.webgpu = null;
        this.note("WebGPU could not be started, so WASM runs.");
      }
    }
    this.runs = this.sessions.webgpu ? "webgpu" : "wasm";
  }

  /** {next, logits, lengths, loss} of the inputs, {name: {data, dims}}; where WebGPU is lost, WASM goes on. */
  async step(inputs) {
    if (this.runs === "webgpu") {
      try {
        return await run(this.sessions.webgpu, inputs);
      } catch {
        this.sessions.webgpu = null;
        this.runs = "wasm";
        this.note("WebGPU was lost, so WASM goes on from the same picture.");
      }
    }
    return run(this.sessions.wasm, inputs);
  }
}

async function run(session, inputs) {
  const outputs = await session.run(inputs);
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
}

function difference(one, other) {
  let most = 0;
  one.next.forEach((value, index) => {
    const apart = Math.abs(value - other.next[index]);
    most = apart <= most ? most : Number.isNaN(apart) ? Infinity : apart;
  });
  return most;
}
