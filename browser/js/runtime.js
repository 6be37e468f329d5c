/** Loads ONNX Runtime, whose files lie beside the page, and makes sessions of it. */

import { FileError } from "./files.js";

const SCRIPTS = {
  wasm: { module: "ort.wasm.min.mjs", glue: "ort-wasm-simd-threaded.mjs", binary: "ort-wasm-simd-threaded.wasm" },
  webgpu: {
    module: "ort.webgpu.min.mjs",
    glue: "ort-wasm-simd-threaded.asyncify.mjs",
    binary: "ort-wasm-simd-threaded.asyncify.wasm",
  },
};
const MOST_THREADS = 4;
const loaded = {};

/** The path of the large file that `kind`, "wasm" or "webgpu", needs. */
export const binaryPath = (kind) => `runtime/${SCRIPTS[kind].binary}`;

/** How many threads compute: several where the host's headers isolate the page. */
export const threads = () => (globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1);

/** Whether `kind` needs no binary any more. */
export const isLoaded = (kind) => kind in loaded;

/** A session of the model in `model` on `kind`. base: the page's folder; binary: the WASM file, for the first one. */
export async function openSession(kind, model, base, binary) {
  const ort = loaded[kind] ?? (await load(kind, base, binary));
  const errorsAlone = 3;
  const session = await ort.InferenceSession.create(model, { executionProviders: [kind], logSeverityLevel: errorsAlone });
  loaded[kind] = ort;
  delete ort.env.wasm.wasmBinary; // it is compiled by now
  return {
    run(inputs) {
      const feeds = Object.entries(inputs).map(([name, { data, dims }]) => [name, new ort.Tensor("float32", data, dims)]);
      return session.run(Object.fromEntries(feeds));
    },
    release: () => session.release(),
  };
}

async function load(kind, base, binary) {
  const { module, glue, binary: wasm } = SCRIPTS[kind];
  const ort = await import(`${base}runtime/${module}`).catch(() => {
    throw new FileError(`${module} cannot be loaded: the page's folder is incomplete, or the connection is lost.`);
  });
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.wasmPaths = { mjs: `${base}runtime/${glue}`, wasm: `${base}runtime/${wasm}` };
  ort.env.wasm.numThreads = threads();
  return ort;
}
