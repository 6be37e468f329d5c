/** The right half of the page around the pictures: results made earlier, and what can be done with a new one. */

import { find, make } from "./dom.js";

/** Before the first run of a task: what was made earlier, or pictures to begin with. about: of the task. */
export function showMade({ made, examples }, folder) {
  const shown = made.length ? made : examples.slice(0, 4).map(({ name, path }) => ({ caption: name, path }));
  const figures = shown.map(({ caption, path }) => {
    const figure = make("figure");
    const image = make("img", { src: folder + path, alt: caption, onerror: () => figure.remove() });
    figure.append(image, make("figcaption", { textContent: caption }));
    return figure;
  });
  find("pictures").className = figures.length > 1 ? "several" : "";
  find("pictures").replaceChildren(...figures);
  find("progress").hidden = find("after").hidden = true;
  find("status").textContent = made.length ? "Made earlier by this model. Press Run for your own." : "Press Run.";
}

/** Look back at the steps of `result`, save it, go on with it. task: that made it; titles: of the tasks to go on in. */
export function addTools(result, task, titles, goOn) {
  const last = result.steps.length - 1;
  const back = make("input", { type: "range", min: 0, max: last, value: result.shown, "aria-label": "Step to look at" });
  back.oninput = () => result.draw(back.valueAsNumber);
  const scrub = make("label", { class: "field" }, make("span", { textContent: "Look back" }), back,
    make("small", { textContent: "Every step of this run, from its start." }));
  const save = make("button", { type: "button", textContent: "Save PNG", id: "save", onclick: () => download(result, task) });
  const options = Object.entries(titles).map(([name, title]) => new Option(title, name));
  const use = make("select", { "aria-label": "Go on with this picture in" }, new Option("Go on with it in …", ""), ...options);
  use.onchange = () => {
    if (use.value) goOn(use.value);
    use.value = "";
  };
  find("after").replaceChildren(scrub, make("div", { class: "row" }, save, use));
  find("after").hidden = false;
}

async function download(result, task) {
  const address = URL.createObjectURL(await result.png());
  make("a", { href: address, download: `${task}.png` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
