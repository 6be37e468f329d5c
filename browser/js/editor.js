/** A picture to draw on, with finger or mouse: a mask over it, or strokes of colour. */

import { make } from "./dom.js";
import { centralSquare } from "./upload.js";

const SIDE = 448; // pixels of the drawing: a multiple of 32, 64 and 224
const MASK = "#ff5d3d";
const MOST_UNDONE = 40;

export class Editor {
  /**
   * kind: "mask", "sketch" or "plain". size: of the pictures in pixels. changed: called after each stroke.
   */
  constructor(kind, size, changed = () => {}) {
    Object.assign(this, { kind, size, changed, picture: null, firstMask: null, suggested: null, strokes: [], before: [] });
    Object.assign(this, { radius: kind === "sketch" ? 14 : 32, colour: "#2b6cb0" });
    this.base = make("canvas", { width: SIDE, height: SIDE });
    this.layer = make("canvas", { width: SIDE, height: SIDE, class: kind === "mask" ? "mask" : "", "aria-label": "Draw here" });
    this.element = make("div", { class: `editor ${kind}` }, this.base, ...(kind === "plain" ? [] : [this.layer]));
    this.layer.addEventListener("pointerdown", (event) => this.begin(event));
    this.layer.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.layer.addEventListener(end, () => this.end());
  }

  /** Take a picture, an image or a canvas, without strokes; coarse: shown with so many pixels less a side. */
  show(image, coarse = 1) {
    this.remember();
    this.picture = centralSquare(image, this.size);
    this.strokes = [];
    this.firstMask = this.suggested;
    this.coarsen(coarse);
    this.draw();
  }

  /** Keep what there is for `undo`. */
  remember() {
    if (this.picture) this.before.push((({ picture, strokes, firstMask }) => ({ picture, strokes, firstMask }))(this));
    if (this.before.length > MOST_UNDONE) this.before.shift();
  }

  /** Show the picture as it is when shrunk `factor` times. */
  coarsen(factor) {
    this.coarse = factor;
    if (!this.picture) return;
    const shown = factor > 1 ? centralSquare(this.picture, Math.max(1, Math.floor(this.size / factor))) : this.picture;
    const pen = this.base.getContext("2d");
    pen.imageSmoothingEnabled = factor === 1;
    pen.drawImage(shown, 0, 0, SIDE, SIDE);
  }

  /** Take a white-on-black image as the region until one is drawn. */
  async suggestMask(address) {
    const image = make("img", { src: address });
    await image.decode();
    const rgba = centralSquare(image, this.size).getContext("2d").getImageData(0, 0, this.size, this.size).data;
    this.suggested = Array.from({ length: this.size * this.size }, (_, index) => rgba[4 * index] > 127);
    if (!this.strokes.length) this.firstMask = this.suggested;
    this.draw();
  }

  begin(event) {
    if (event.button > 0) return;
    event.preventDefault();
    this.layer.setPointerCapture(event.pointerId);
    this.stroke = { points: [this.place(event)], radius: this.radius, colour: this.kind === "mask" ? MASK : this.colour };
    this.remember();
    this.strokes = [...this.strokes, this.stroke];
    this.draw();
  }

  move(event) {
    if (!this.stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.stroke.points.push(...(events.length ? events : [event]).map((one) => this.place(one)));
    this.draw();
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.changed();
  }

  place(event) {
    const box = this.layer.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  /** Back to what there was before the last stroke, picture or clearing. */
  undo() {
    if (!this.before.length) return;
    Object.assign(this, this.before.pop());
    this.coarsen(this.coarse);
    this.draw();
    this.changed();
  }

  clear() {
    this.remember();
    Object.assign(this, { strokes: [], firstMask: null });
    this.draw();
    this.changed();
  }

  draw() {
    const pen = this.layer.getContext("2d", { willReadFrequently: true });
    pen.clearRect(0, 0, SIDE, SIDE);
    if (this.kind === "mask" && !this.strokes.length && this.firstMask) this.drawMask(pen);
    pen.lineCap = pen.lineJoin = "round";
    for (const { points, radius, colour } of this.strokes) {
      pen.strokeStyle = colour;
      pen.lineWidth = 2 * radius;
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (const point of points.length > 1 ? points : [points[0]]) pen.lineTo(...point);
      pen.stroke();
    }
  }

  drawMask(pen) {
    const cell = SIDE / this.size;
    pen.fillStyle = MASK;
    this.firstMask.forEach((inside, index) => {
      if (inside) pen.fillRect((index % this.size) * cell, Math.floor(index / this.size) * cell, cell, cell);
    });
  }

  /** size * size zeros and ones: 1 in each pixel that a stroke touches. */
  mask() {
    const alpha = this.layer.getContext("2d").getImageData(0, 0, SIDE, SIDE).data;
    const cell = SIDE / this.size;
    const mask = new Float32Array(this.size * this.size);
    for (let index = 0; index < SIDE * SIDE; index++) {
      if (alpha[4 * index + 3] < 128) continue;
      mask[Math.floor(Math.floor(index / SIDE) / cell) * this.size + Math.floor((index % SIDE) / cell)] = 1;
    }
    return mask;
  }

  /** The RGBA bytes of the picture, at its size, with the strokes of a sketch on it. */
  pixels() {
    let image = this.picture;
    if (this.kind === "sketch" && this.strokes.length) {
      const flat = make("canvas", { width: SIDE, height: SIDE });
      flat.getContext("2d").drawImage(this.base, 0, 0);
      flat.getContext("2d").drawImage(this.layer, 0, 0);
      image = centralSquare(flat, this.size);
    }
    return image.getContext("2d").getImageData(0, 0, this.size, this.size).data;
  }
}
