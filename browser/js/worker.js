/** Computes beside the page, so that the page never freezes: it is asked for a run and tells of every step. */

import { Checkpoint } from "./checkpoint.js";
import { FileError, Files } from "./files.js";
import { iterate } from "./loop.js";
import { toBytes } from "./pixels.js";
import { makeProblem } from "./problems.js";
import { Random } from "./random.js";
import { threads } from "./runtime.js";

let queue = Promise.resolve();
let abort = new AbortController();
let warming = { abort: new AbortController(), folder: null };
let latest = 0; // the run whose waiting the page shows
let checkpoint = null;

/**
 * {type: "run", id, base, listed, folder, settings, backend} for a run, which stops the one before; "warm", without
 * settings, to make ready for one, which a run of the same checkpoint waits for; "stop".
 */
self.onmessage = ({ data }) => {
  abort.abort();
  if (data.type === "stop") return;
  if (data.folder !== warming.folder) warming.abort.abort();
  abort = new AbortController();
  const { signal } = abort;
  if (data.type === "run") {
    latest = data.id;
    queue = queue.then(() => answer(data, signal));
  } else {
    warming = { abort: new AbortController(), folder: data.folder };
    const own = warming.abort.signal;
    queue = queue.then(() => open(data, own, teller(() => latest)).catch(() => {}));
  }
};

/** Sends messages of the run whose id `id` returns. */
function teller(id) {
  return (type, more = {}, transfer = []) => self.postMessage({ type, id: id(), ...more }, transfer);
}

async function answer(order, signal) {
  const tell = teller(() => order.id);
  try {
    if (!signal.aborted) await run(order, signal, tell);
    tell("done");
  } catch (error) {
    if (signal.aborted) tell("done");
    else tell("error", { sentence: sentence(error) });
  }
}

/** Open the checkpoint of an order; {engine, shape, startOf}. */
async function open({ base, listed, folder, backend }, signal, tell) {
  const files = new Files(base, listed, (words) => tell("note", { words }));
  const download = { signal, progress: (loaded, total) => tell("progress", { loaded, total }) };
  if (checkpoint?.folder !== folder) {
    await checkpoint?.release();
    checkpoint = new Checkpoint(folder);
  }
  const { engine, shape } = await checkpoint.open(backend, files, download);
  tell("ready", { runs: engine.runs, threads: threads() });
  return { engine, shape, startOf: (label) => checkpoint.startOf(label, files, download) };
}

async function run(order, signal, tell) {
  const { settings } = order;
  const { engine, shape, startOf } = await open(order, signal, tell);
  const randoms = Array.from({ length: settings.count }, (_, index) => new Random(settings.seed + index));
  const problem = await makeProblem(settings, shape, { engine, startOf, randoms });
  let before = performance.now();
  for await (const { step, pictures, logits } of iterate(engine, problem, settings, randoms)) {
    const now = performance.now();
    const pixels = toBytes(pictures, shape.size);
    const seen = logits && top(logits, shape.classes);
    tell("frame", { step, steps: settings.steps, pixels, seen, seconds: (now - before) / 1000 }, [pixels.buffer]);
    if (step === 1) tell("ready", { runs: engine.runs, threads: threads() });
    before = now;
    await otherMessages();
    if (signal.aborted) return;
  }
  tell("ready", { runs: engine.runs, threads: threads() });
}

/** The class that the model sees in each picture, and how sure it is: [{label, probability}]. */
function top(logits, classes) {
  return Array.from({ length: logits.length / classes }, (_, index) => {
    const own = Array.from(logits.subarray(index * classes, (index + 1) * classes));
    const most = Math.max(...own);
    const sum = own.reduce((total, value) => total + Math.exp(value - most), 0);
    return { label: own.indexOf(most), probability: 1 / sum };
  });
}

/** Lets a message come in; unlike a timer it is not slowed down in a hidden tab. */
function otherMessages() {
  return new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), done());
    port2.postMessage(null);
  });
}

function sentence(error) {
  if (error instanceof FileError) return error.message;
  if (error instanceof RangeError || /memory|alloc/i.test(error.message)) {
    return "There is not enough memory for this run; make fewer pictures at once, or close other tabs.";
  }
  return `The computation failed (${String(error.message ?? error).split("\n")[0].slice(0, 200)}); try again.`;
}
