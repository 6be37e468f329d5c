/** Puts the page together: checkpoints, tasks, the button that runs one, and what a run brings. */

import { find, make, megabytes } from "./dom.js";
import { Files } from "./files.js";
import { readLink, writeLink } from "./link.js";
import { Results } from "./results.js";
import { Runner } from "./runner.js";
import { binaryPath } from "./runtime.js";
import { firstPreset, TASKS } from "./tasks.js";
import { firstPairs, Workspace } from "./workspace.js";

const base = new URL(".", document.baseURI.split("#")[0]).href;
const link = readLink();
const state = { site: null, files: null, checkpoint: null, about: null, task: null, workspaces: {}, results: null };
const runner = new Runner({
  progress: ({ loaded, total }) => showProgress(loaded / total, `Downloading ${megabytes(loaded)} of ${megabytes(total)} …`),
  ready: ({ runs, threads }) => showBackend(runs, threads),
  frame: showFrame,
  note: ({ words }) => say(words),
  done: () => finish("done"),
  error: ({ sentence }) => (say(sentence), finish("stopped")),
});

async function open() {
  if (typeof WebAssembly !== "object") {
    return fail("This browser has no WebAssembly, which the page computes with; every current browser has it.");
  }
  try {
    state.site = await (await fetch("site.json")).json();
  } catch {
    return fail("The page's list of files, site.json, cannot be read; load the page again, or make its folder anew.");
  }
  state.files = new Files(base, state.site.files, say);
  state.files.tidy();
  const { checkpoints } = state.site;
  const size = ({ folder }) => megabytes(state.site.files[`${folder}step.onnx`].bytes);
  const words = (one) => `${one.name} (${size(one)})`;
  find("checkpoint").replaceChildren(...checkpoints.map((one) => new Option(words(one), one.name)));
  find("checkpoint").onchange = () => openCheckpoint(find("checkpoint").value);
  find("checkpoint-field").hidden = checkpoints.length < 2;
  find("run").onclick = run;
  find("stop").onclick = stop;
  offerGpu();
  await openCheckpoint(checkpoints.some(({ name }) => name === link.checkpoint) ? link.checkpoint : checkpoints[0].name, link.task);
}

async function openCheckpoint(name, task = state.task) {
  stop();
  find("checkpoint").value = name;
  const checkpoint = state.site.checkpoints.find((one) => one.name === name);
  try {
    const [text] = await state.files.get([`${checkpoint.folder}browser.json`]);
    state.about = JSON.parse(new TextDecoder().decode(text));
  } catch (error) {
    return fail(error.message);
  }
  Object.assign(state, { checkpoint, workspaces: {}, results: null });
  find("checkpoint-help").textContent = `Which classifier makes the pictures: this one knows ${checkpoint.classes} classes, at ${checkpoint.image_size} pixels.`;
  const tasks = Object.keys(TASKS).filter((one) => one in state.about.tasks);
  tasks.sort((one, other) => state.about.tasks[one].order - state.about.tasks[other].order);
  const buttons = tasks.map((one) => {
    const button = make("button", { role: "tab", id: `task-${one}`, type: "button", textContent: state.about.tasks[one].title });
    button.onclick = () => openTask(one);
    return button;
  });
  find("tasks").replaceChildren(...buttons);
  showExamples();
  openTask(tasks.includes(task) ? task : tasks[0]);
  find("run").disabled = false;
  say("");
  if (!(await missing())) runner.warm(order());
}

function openTask(task) {
  if (task !== state.task) stop();
  state.task = task;
  const chosen = task === link.task ? link : {};
  const events = { changed, say };
  const { about, checkpoint, workspaces } = state;
  workspaces[task] ??= new Workspace(task, about, checkpoint.folder, chosen, events);
  for (const button of find("tasks").children) {
    button.setAttribute("aria-selected", String(button.id === `task-${task}`));
  }
  find(`task-${task}`).scrollIntoView({ block: "nearest", inline: "center" });
  find("about").textContent = about.tasks[task].sentence;
  find("input").replaceChildren(workspaces[task].input);
  find("settings").replaceChildren(workspaces[task].controls.element);
  changed();
}

/** Say what the next run will download. */
async function changed() {
  if (!state.workspaces[state.task]) return;
  const bytes = await missing();
  find("cost").textContent = bytes ? `Downloads ${megabytes(bytes)} once.` : "";
}

/** How many bytes the next run will download. */
function missing() {
  const { folder } = state.checkpoint;
  const chosen = state.workspaces[state.task].controls.values.class_name;
  const start = state.task === "generation" && state.about.starts[chosen];
  return state.files.missing([`${folder}step.onnx`, binaryPath("wasm"), ...(start ? [folder + start] : [])]);
}

/** What the worker needs to know of the checkpoint. */
function order() {
  return { base, listed: state.site.files, folder: state.checkpoint.folder, backend: find("gpu").value };
}

async function run() {
  const workspace = state.workspaces[state.task];
  say("");
  find("run").disabled = true; // a second click meanwhile would begin a second run
  await workspace.ready;
  find("run").disabled = false;
  if (workspace !== state.workspaces[state.task]) return;
  let settings;
  try {
    settings = workspace.settings();
  } catch (error) {
    return say(error.message);
  }
  const { controls } = workspace;
  const { name } = state.checkpoint;
  const declared = Object.keys(controls.parameters);
  const values = Object.fromEntries(declared.map((key) => [key, controls.values[key]]));
  writeLink({ task: state.task, checkpoint: name }, values, firstPreset(controls.presets));
  state.results = null;
  find("after").hidden = true;
  find("stop").hidden = false;
  find("run").hidden = true;
  showProgress(0, "Getting ready …");
  if (isNarrow()) find("result").scrollIntoView({ behavior: "smooth", block: "start" });
  runner.run({ ...order(), settings });
}

function stop() {
  if (!runner.running) return;
  runner.stop();
  finish("stopped");
}

function showFrame({ step, steps, pixels, seen, seconds }) {
  const { classes, image_size: size } = state.about;
  if (step === 0) state.began = performance.now();
  state.results ??= new Results(find("pictures"), size, classes);
  state.results.add(pixels, seen);
  state.step = step;
  showProgress(step / steps, `Step ${step} of ${steps}${step ? `, ${seconds.toFixed(2)} s each` : ""}`);
}

function finish(how) {
  find("stop").hidden = true;
  find("run").hidden = false;
  find("progress").hidden = true;
  changed();
  if (!state.results) {
    find("status").textContent = how === "done" ? "" : "Stopped.";
    return;
  }
  const seconds = ((performance.now() - state.began) / 1000).toFixed(1);
  find("status").textContent = how === "done"
    ? `Done: ${state.step} steps in ${seconds} s.`
    : `Stopped at step ${state.step}; the picture so far stays.`;
  showTools();
}

/** What can be done with a result: look back at its steps, save it, go on with it. */
function showTools() {
  const { results } = state;
  const last = results.steps.length - 1;
  const back = make("input", { type: "range", min: 0, max: last, value: last, "aria-label": "Step to look at" });
  back.oninput = () => results.draw(back.valueAsNumber);
  const save = make("button", { type: "button", textContent: "Save PNG", id: "save" });
  save.onclick = async () => {
    const address = URL.createObjectURL(await results.png());
    make("a", { href: address, download: `${state.task}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  };
  const others = Object.keys(state.about.tasks).filter((task) => TASKS[task]?.picture);
  const titles = others.map((task) => new Option(state.about.tasks[task].title, task));
  const use = make("select", { "aria-label": "Go on with this picture in" }, new Option("Go on with it in …", ""), ...titles);
  use.onchange = () => {
    if (!use.value) return;
    const canvas = results.canvases[results.chosen];
    openTask(use.value);
    state.workspaces[state.task].take(canvas);
    find("make").scrollIntoView({ behavior: "smooth", block: "start" });
    use.value = "";
  };
  const scrub = make("label", { class: "field" }, make("span", { textContent: "Look back" }), back,
    make("small", { textContent: "Every step of this run, from its start." }));
  find("after").replaceChildren(scrub, make("div", { class: "row" }, save, use));
  find("after").hidden = false;
}

/** Before the first run: pictures that this checkpoint made. */
function showExamples() {
  const examples = firstPairs(state.about).slice(0, 4);
  const figures = examples.map(({ class: name, path }) => {
    const image = make("img", { src: state.checkpoint.folder + path, alt: name });
    return make("figure", {}, image, make("figcaption", { textContent: name }));
  });
  find("pictures").className = "several";
  find("pictures").replaceChildren(...figures);
  find("after").hidden = true;
  find("status").textContent = "Pictures that this checkpoint made. Press Run for your own.";
}

function showProgress(share, words) {
  find("progress").hidden = false;
  find("progress").value = share;
  find("status").textContent = words;
  if (isNarrow()) find("cost").textContent = words; // beside the button, since the pictures may fill the screen
}

const isNarrow = () => innerWidth < 860; // as in style.css

function showBackend(runs, threads) {
  const cores = threads > 1 ? `${threads} threads` : "one thread";
  find("backend").textContent = runs === "webgpu" ? "WebGPU runs: the graphics card." : `WebAssembly runs, with ${cores}.`;
}

async function offerGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const binary = state.site.files[binaryPath("webgpu")];
  find("gpu-field").hidden = !adapter || !binary;
  if (binary) find("gpu-size").textContent = megabytes(binary.bytes);
}

function say(words) {
  find("note").textContent = words;
  find("note").hidden = !words;
}

function fail(words) {
  say(words);
  find("status").textContent = "";
}

open();
