/** Controls for the parameters of a task, made of their declarations: each with its line of help. */

import { make } from "./dom.js";
import { firstPictures, firstPreset, FOLDED, MOST_PICTURES, TASKS } from "./tasks.js";

/** The controls of one task; `values` holds what is chosen, by parameter. */
export class Controls {
  /** about: of browser.json; chosen: values to begin with; changed: called with a name after each change. */
  constructor(task, about, chosen, changed) {
    const { parameters, presets } = about.tasks[task];
    Object.assign(this, { task, about, parameters, presets, changed, inputs: {} });
    this.values = { ...firstPreset(presets), class_name: about.tasks[task].class };
    if (parameters.count) this.values.count = firstPictures(about.image_size);
    for (const [name, value] of Object.entries(chosen)) if (this.allows(name, value)) this.values[name] = value;
    const inGallery = (name) => name === "feature" && about.features.length;
    const shown = TASKS[task].shown.filter((name) => name in parameters && !inGallery(name));
    const folded = FOLDED.filter((name) => name in parameters);
    this.element = make(
      "div",
      {},
      make("div", { class: "fields" }, ...shown.map((name) => this.field(name))),
      make(
        "details",
        {},
        make("summary", { textContent: "Settings" }),
        this.presetField(),
        make("div", { class: "fields" }, ...folded.map((name) => this.field(name))),
      ),
    );
  }

  /** Whether a parameter may have that value. */
  allows(name, value) {
    const { options, minimum, maximum } = this.parameters[name] ?? {};
    if (name === "class_name") return this.about.classes.includes(value);
    if (options) return options.includes(value);
    return Number.isFinite(value) && value >= minimum && value <= (name === "count" ? MOST_PICTURES : maximum);
  }

  presetField() {
    const names = Object.keys(this.presets);
    if (names.length < 2) return null;
    const select = make("select", {}, ...names.map((name) => new Option(words(name), name)));
    select.onchange = () => {
      for (const [name, value] of Object.entries(this.presets[select.value])) {
        if (FOLDED.includes(name)) this.set(name, value);
      }
    };
    return labelled("Preset", "Settings that go well together; changes all below.", select);
  }

  field(name) {
    const parameter = this.parameters[name];
    const title = name === "class_name" ? "Class" : name === "lam" ? "Lambda" : words(name);
    const unit = parameter.unit ? ` Unit: ${parameter.unit}.` : "";
    return labelled(title, parameter.help + unit, this.input(name, parameter), name);
  }

  input(name, parameter) {
    if (name === "class_name") return this.classes(parameter);
    if (parameter.options) return this.choice(name, parameter);
    return this.number(name, parameter);
  }

  choice(name, parameter) {
    const { options } = parameter;
    const select = make("select", {}, ...options.map((option) => new Option(words(String(option)), option)));
    select.onchange = () => this.take(name, options[select.selectedIndex]);
    return this.bind(name, select, (value) => (select.value = value));
  }

  classes(parameter) {
    const { classes, groups } = this.about;
    const option = (label) => new Option(label, label);
    const grouped = Object.entries(groups);
    const alone = classes.filter((label) => !grouped.some(([, members]) => members.includes(label)));
    const select = make(
      "select",
      {},
      ...(parameter.optional && this.task !== "maximisation" ? [new Option(words(parameter.blank), "")] : []),
      ...grouped.map(([group, members]) => make("optgroup", { label: group }, ...members.map(option))),
      ...alone.map(option),
    );
    select.onchange = () => this.take("class_name", select.value || null);
    return this.bind("class_name", select, (value) => (select.value = value ?? ""));
  }

  number(name, { minimum, maximum, step }) {
    const most = name === "count" ? MOST_PICTURES : maximum;
    const input = make("input", { type: "number", inputMode: "decimal", min: minimum, max: most, step: "any" });
    input.onchange = () => {
      const wanted = Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : this.values[name];
      const whole = Number.isInteger(step) ? Math.round(wanted) : wanted;
      this.set(name, Math.min(most, Math.max(minimum, whole)));
    };
    this.bind(name, input, (value) => (input.value = value));
    if (name !== "seed") return input;
    const dice = make("button", { type: "button", textContent: "↻", title: "Another seed", "aria-label": "Another seed" });
    dice.onclick = () => this.set("seed", this.values.seed + (this.values.count ?? 1));
    return make("div", { class: "row" }, input, dice);
  }

  bind(name, input, show) {
    input.name = name;
    this.inputs[name] = show;
    show(this.values[name]);
    return input;
  }

  set(name, value) {
    this.inputs[name]?.(value);
    this.take(name, value);
  }

  take(name, value) {
    this.values[name] = value;
    this.changed(name);
  }
}

function labelled(title, help, input, name = "") {
  return make("label", { class: `field ${name}` }, make("span", { textContent: title }), input, make("small", { textContent: help }));
}

/** "Step size" of "step_size". */
function words(name) {
  const text = name.replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}
