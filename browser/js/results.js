/** Shows a run as it happens, one canvas a picture, keeps its steps, and saves what is shown as a PNG. */

import { make } from "./dom.js";

const GAP = 2; // white pixels between the pictures of a saved sheet
const LEAST = 128; // pixels a side of a saved picture; smaller ones are enlarged, pixel by pixel
const MOST_KEPT = 64e6; // bytes of steps that are kept for looking back

export class Results {
  /** element: where the pictures go; size: of each; classes: their names; version: of the settings that made them. */
  constructor(element, size, classes, version) {
    Object.assign(this, { element, size, classes, version, steps: [], canvases: [], chosen: 0 });
  }

  /** Add the state after a step and draw it. pixels: RGBA bytes of all pictures; seen: what the model sees in each. */
  add(pixels, seen) {
    const count = pixels.length / (4 * this.size * this.size);
    if (!this.steps.length) this.lay(count);
    this.steps.push({ pixels, seen });
    if (this.steps.length * pixels.length > MOST_KEPT) this.steps.splice(1, 1);
    this.draw(this.steps.length - 1);
  }

  lay(count) {
    this.chosen = 0;
    this.canvases = Array.from({ length: count }, () => make("canvas", { width: this.size, height: this.size }));
    this.captions = this.canvases.map(() => make("figcaption"));
    this.figures = this.canvases.map((canvas, index) => {
      const button = make("button", { type: "button", "aria-label": `Picture ${index + 1}`, "aria-pressed": "false" }, canvas);
      button.onclick = () => this.pick(index);
      return make("figure", {}, button, this.captions[index]);
    });
    this.show();
  }

  /** Put the pictures on the page, in place of others. */
  show() {
    const count = this.figures.length;
    this.element.className = count > 4 ? "several many" : count > 1 ? "several" : "";
    this.element.replaceChildren(...this.figures);
  }

  pick(index) {
    this.chosen = index;
    this.canvases.forEach((canvas, place) => canvas.parentElement.setAttribute("aria-pressed", String(place === index)));
  }

  draw(at) {
    const { pixels, seen } = this.steps[at];
    const bytes = 4 * this.size * this.size;
    this.shown = at;
    this.canvases.forEach((canvas, index) => {
      const own = new ImageData(pixels.slice(index * bytes, (index + 1) * bytes), this.size, this.size);
      canvas.getContext("2d", { willReadFrequently: true }).putImageData(own, 0, 0);
      const percent = seen ? Math.round(100 * seen[index].probability) : 0;
      this.captions[index].textContent = seen ? `${this.classes[seen[index].label]} ${percent}%` : "";
    });
  }

  /** A file of what is shown: all pictures on one white sheet. */
  async png() {
    const count = this.canvases.length;
    const columns = count > 4 ? 4 : Math.min(count, 2);
    const zoom = Math.max(1, Math.ceil(LEAST / this.size));
    const [side, gap] = [this.size * zoom, count > 1 ? GAP : 0];
    const sheet = make("canvas", {
      width: columns * (side + gap) - gap,
      height: Math.ceil(count / columns) * (side + gap) - gap,
    });
    const pen = sheet.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, sheet.width, sheet.height);
    this.canvases.forEach((canvas, index) => {
      pen.drawImage(canvas, (index % columns) * (side + gap), Math.floor(index / columns) * (side + gap), side, side);
    });
    return new Promise((done) => sheet.toBlob(done, "image/png"));
  }
}
