/** The left half of the page for one task: the picture and what is drawn on it, examples, features and controls. */

import { Controls } from "./controls.js";
import { make } from "./dom.js";
import { Editor } from "./editor.js";
import { featureGrid, shelf } from "./gallery.js";
import { toPlanes } from "./pixels.js";
import { TASKS } from "./tasks.js";
import { openPicture } from "./upload.js";

export class Workspace {
  /** about: of browser.json; folder: its checkpoint's; chosen: values to begin with; say: shows a sentence, or none. */
  constructor(task, about, folder, chosen, { changed, say }) {
    Object.assign(this, { task, about, folder, say, version: 0 });
    /** Another version of the settings, the picture and what is drawn. */
    this.changed = () => (this.version++, changed());
    this.controls = new Controls(task, about, chosen, (name) => this.update(name));
    this.input = make("div", {});
    this.ready = Promise.resolve(); // once what the task begins with has been loaded, or cannot be
    if (TASKS[task].picture) this.addPicture(TASKS[task].picture);
    if (task === "painting" && about.features.length) {
      const choose = (index) => this.controls.take("feature", index);
      const missing = () => say("The pictures of the features are missing, so give a feature by its number.");
      this.input.append(featureGrid(about, folder, this.controls.values.feature, choose, missing));
    }
  }

  addPicture(kind) {
    const { about, folder, task } = this;
    this.editor = new Editor(kind, about.image_size, () => this.changed());
    const noMask = () => this.say("The region to begin with cannot be read: draw one.");
    const mask = about.masks[task] && this.editor.suggestMask(folder + about.masks[task]).catch(noMask);
    let opening = true; // the first example, which comes late for whoever has begun on a blank page
    const strip = shelf(about.tasks[task].examples, this.folder, (example, image) => {
      if (!opening) this.takeExample(example, image);
      else if (!this.editor.picture) this.take(image);
      opening = false;
    });
    this.input.append(this.hint(kind), this.editor.element, kind === "plain" ? make("p") : this.tools(kind), strip, this.own());
    this.ready = Promise.allSettled([mask, strip.firstElementChild?.onclick()]);
  }

  hint(kind) {
    const words = {
      mask: "Draw over the part to change, with a finger or the mouse.",
      sketch: "Draw flat colours over the drawing, or begin on a blank page.",
      plain: "Start from one of the pictures below, or from your own.",
    };
    return make("p", {}, make("small", { textContent: words[kind] }));
  }

  tools(kind) {
    const { editor } = this;
    const button = (text, act) => make("button", { type: "button", textContent: text, onclick: act });
    const radius = make("input", { type: "range", min: 4, max: 64, value: editor.radius, "aria-label": "Brush size" });
    radius.oninput = () => (editor.radius = radius.valueAsNumber);
    const colour = make("input", { type: "color", value: editor.colour, "aria-label": "Colour" });
    colour.oninput = () => (editor.colour = colour.value);
    const blank = () => {
      const paper = make("canvas", { width: 8, height: 8 });
      paper.getContext("2d").fillStyle = "#ffffff";
      paper.getContext("2d").fillRect(0, 0, 8, 8);
      editor.show(paper);
    };
    const clear = kind === "sketch" ? button("Blank", blank) : button("Clear", () => editor.clear());
    return make("div", { class: "row tools" }, ...(kind === "sketch" ? [colour] : []), radius, button("Undo", () => editor.undo()), clear);
  }

  own() {
    const file = make("input", { type: "file", accept: "image/*" });
    file.onchange = async () => {
      const [chosen] = file.files;
      file.value = "";
      if (!chosen) return;
      try {
        this.take(await openPicture(chosen, this.about.image_size), true);
        this.say("");
      } catch (error) {
        this.say(error.message);
      }
    };
    const words = "Your picture stays on this device: nothing is sent anywhere.";
    return make("label", { class: "own row" }, file, make("span", { class: "button", textContent: "Your own picture" }),
      make("small", { textContent: words }));
  }

  takeExample({ class: name }, image) {
    this.take(image, !name);
    if (name) this.controls.set("class_name", name);
  }

  /** Put an image or a canvas into the editor; unknown: whether nobody knows its class, so that the model is asked. */
  take(image, unknown = false) {
    this.editor.show(image, this.controls.values.factor);
    const { class_name: kind } = this.controls.parameters;
    if (unknown && kind?.optional && !kind.every) this.controls.set("class_name", null);
    this.changed();
  }

  update(name) {
    if (name === "factor") this.editor?.coarsen(this.controls.values.factor);
    this.changed();
  }

  /** What the worker needs for a run; an Error with one sentence if there is no picture yet. */
  settings() {
    const { values } = this.controls;
    const { classes, image_size: size } = this.about;
    const settings = { ...values, task: this.task, count: values.count ?? 1 };
    settings.label = values.class_name ? classes.indexOf(values.class_name) : null;
    if (!this.editor) return settings;
    if (!this.editor.picture) throw new Error("Choose a picture first.");
    settings.picture = toPlanes(this.editor.pixels(), size);
    if (TASKS[this.task].picture === "mask") {
      settings.mask = this.editor.mask();
      if (!settings.mask.some(Boolean)) throw new Error("Draw over a part of the picture first.");
    }
    return settings;
  }
}
