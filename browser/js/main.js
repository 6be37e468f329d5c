/** Puts the page together: checkpoints, tasks, the button that runs one, and what a run brings. */

import { find, make, megabytes } from "./dom.js";
import { Files } from "./files.js";
import { readLink, writeLink } from "./link.js";
import { Results } from "./results.js";
import { Runner } from "./runner.js";
import { binaryPath, threads } from "./runtime.js";
import { firstPreset, TASKS } from "./tasks.js";
import { addTools, showMade } from "./tools.js";
import { Workspace } from "./workspace.js";

const base = new URL(".", document.baseURI.split("#")[0]).href;
/**
 * open: the checkpoint in use, {place, about, workspaces, results}, the latter two by task; opened: all by name;
 * link: what the address asks of the first task; gesture: whether anybody uses the page yet; begun: the result of a run
 * without a frame yet.
 */
const state = { site: null, files: null, link: {}, open: null, opened: {}, task: null, gesture: false, begun: null };
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
  find("checkpoint").replaceChildren(...checkpoints.map(({ title, name }) => new Option(title, name)));
  find("checkpoint").onchange = () => openCheckpoint(find("checkpoint").value);
  find("checkpoint-field").hidden = checkpoints.length < 2;
  find("run").onclick = run;
  find("stop").onclick = stop;
  find("tasks").onkeydown = stepAmongTasks;
  for (const gesture of ["pointerdown", "keydown"]) find("make").addEventListener(gesture, warm);
  window.onhashchange = follow;
  showBackend("wasm", threads());
  offerGpu();
  await follow();
}

/** Open what the page's address names. */
async function follow() {
  state.link = readLink();
  const { checkpoints } = state.site;
  const known = checkpoints.some(({ name }) => name === state.link.checkpoint);
  const name = known ? state.link.checkpoint : (state.open?.place.name ?? checkpoints[0].name);
  delete state.opened[name]; // so that the tasks begin with the settings of the address
  await openCheckpoint(name, state.link.task);
}

async function openCheckpoint(name, task = state.task) {
  const place = state.site.checkpoints.find((one) => one.name === name);
  try {
    state.opened[name] ??= { place, about: await describe(place), workspaces: {}, results: {} };
  } catch (error) {
    find("checkpoint").value = state.open?.place.name ?? name;
    return fail(error.message, () => openCheckpoint(name, task));
  }
  stop(); // now, since a run may have begun while the description came
  find("checkpoint").value = name;
  state.open = state.opened[name];
  const { about } = state.open;
  const size = megabytes(state.site.files[`${place.folder}step.onnx`].bytes);
  find("checkpoint-help").textContent = `Which classifier makes the pictures: ${size}.`;
  const tasks = Object.keys(TASKS).filter((one) => one in about.tasks);
  tasks.sort((one, other) => about.tasks[one].order - about.tasks[other].order);
  const buttons = tasks.map((one) => {
    const button = make("button", { role: "tab", id: `task-${one}`, type: "button", textContent: about.tasks[one].title });
    button.onclick = () => openTask(one);
    return button;
  });
  find("tasks").replaceChildren(...buttons);
  say("");
  openTask(tasks.includes(task) ? task : tasks[0]);
  find("run").disabled = false;
  if (state.gesture || !(await missing())) runner.warm(order());
}

async function describe({ folder }) {
  const [text] = await state.files.get([`${folder}browser.json`]);
  return JSON.parse(new TextDecoder().decode(text));
}

function openTask(task) {
  if (task !== state.task) stop();
  state.task = task;
  const { place, about, workspaces, results } = state.open;
  if (!workspaces[task]) {
    const asked = task === (state.link.task ?? task) ? state.link : {};
    state.link = {};
    workspaces[task] = new Workspace(task, about, place.folder, asked, { changed, say });
  }
  writeAddress();
  for (const button of find("tasks").children) {
    const chosen = button.id === `task-${task}`;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    if (chosen) find("tasks").scrollTo({ left: button.offsetLeft - find("tasks").clientWidth / 2 + button.clientWidth / 2 });
  }
  find("about").textContent = about.tasks[task].sentence;
  find("input").replaceChildren(workspaces[task].input);
  find("settings").replaceChildren(workspaces[task].controls.element);
  if (results[task]) showResults();
  else showMade(about.tasks[task], place.folder);
  changed();
}

/** Make the page's address a link to the open task with its settings. */
function writeAddress() {
  const { controls } = state.open.workspaces[state.task];
  const values = Object.fromEntries(Object.keys(controls.parameters).map((key) => [key, controls.values[key]]));
  writeLink({ task: state.task, checkpoint: state.open.place.name }, values, firstPreset(controls.presets));
}

/** The arrow keys step from task to task. */
function stepAmongTasks({ key }) {
  const [buttons, step] = [[...find("tasks").children], { ArrowRight: 1, ArrowLeft: -1 }[key]];
  if (!step) return;
  const next = buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length);
  next.focus();
  next.click();
}

/** Download and open the classifier once somebody begins to use the page, unless they save data. */
function warm() {
  if (state.gesture || !state.open || navigator.connection?.saveData) return;
  state.gesture = true;
  runner.warm(order());
}

/** Fade a result that is no longer that of the settings, and say what the next run will download. */
async function changed() {
  const { workspaces, results } = state.open;
  const workspace = workspaces[state.task];
  if (!workspace) return;
  const result = results[state.task];
  find("pictures").classList.toggle("outdated", Boolean(result && !runner.running && result.version !== workspace.version));
  const bytes = await missing();
  find("cost").textContent = bytes ? `Downloads ${megabytes(bytes)} once.` : "";
}

/** How many bytes the next run will download. */
function missing() {
  const { place, about, workspaces } = state.open;
  const chosen = workspaces[state.task].controls.values.class_name;
  const start = state.task === "generation" && about.starts[chosen];
  return state.files.missing([`${place.folder}step.onnx`, binaryPath("wasm"), ...(start ? [place.folder + start] : [])]);
}

/** What the worker needs to know of the checkpoint. */
function order() {
  return { base, listed: state.site.files, folder: state.open.place.folder, backend: find("gpu").value };
}

async function run() {
  const { open, task } = state;
  const workspace = open.workspaces[task];
  state.gesture = true;
  say("");
  find("run").disabled = true; // a second click meanwhile would begin a second run
  await workspace.ready;
  find("run").disabled = false;
  if (workspace !== state.open.workspaces[state.task]) return;
  let settings;
  try {
    settings = workspace.settings();
  } catch (error) {
    return say(error.message);
  }
  writeAddress();
  const { classes, image_size: size } = open.about;
  state.begun = new Results(find("pictures"), size, classes, workspace.version);
  find("pictures").classList.add("outdated");
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
  const { results } = state.open;
  const result = (results[state.task] = state.begun ?? results[state.task]);
  if (state.begun) result.began = performance.now();
  state.begun = null;
  result.add(pixels, seen);
  result.step = step;
  showProgress(step / steps, `Step ${step} of ${steps}${step ? `, ${seconds.toFixed(2)} s each` : ""}`);
}

function finish(how) {
  find("stop").hidden = true;
  find("run").hidden = false;
  find("progress").hidden = true;
  const { results } = state.open;
  const result = results[state.task];
  if (result && !state.begun) {
    const seconds = ((performance.now() - result.began) / 1000).toFixed(1);
    result.words = how === "done"
      ? `Done: ${result.step} steps in ${seconds} s.`
      : `Stopped at step ${result.step}; the picture so far stays.`;
  }
  state.begun = null;
  if (result) showResults();
  else find("status").textContent = "Stopped.";
  changed();
}

/** The result of the open task, and what can be done with it. */
function showResults() {
  const result = state.open.results[state.task];
  result.show();
  find("progress").hidden = true;
  find("status").textContent = result.words;
  const { tasks } = state.open.about;
  const titles = Object.fromEntries(Object.keys(tasks).filter((one) => TASKS[one]?.picture).map((one) => [one, tasks[one].title]));
  addTools(result, state.task, titles, (other) => {
    openTask(other);
    state.open.workspaces[other].take(result.canvases[result.chosen], true);
    find("make").scrollIntoView({ behavior: "smooth", block: "start" });
  });
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

function say(words, again) {
  const button = again && make("button", { type: "button", textContent: "Try again", onclick: again });
  find("note").replaceChildren(words, ...(button ? [" ", button] : []));
  find("note").hidden = !words;
}

/** Say what keeps the page from going on; again: what a click tries again, if that may help. */
function fail(words, again) {
  say(words, again);
  if (!state.open) find("status").textContent = "";
}

open();
