/** What each task shows: which picture it needs, and which of its parameters the page offers. */

/** picture: "plain", "mask" to draw a region over, "sketch" to draw in colours, or none; shown: parameters in sight. */
export const TASKS = {
  generation: { picture: null, shown: ["class_name", "count", "seed"] },
  inpainting: { picture: "mask", shown: ["class_name", "detail", "seed"] },
  sketch: { picture: "sketch", shown: ["class_name", "seed"] },
  translation: { picture: "plain", shown: ["class_name", "focus", "seed"] },
  painting: { picture: "mask", shown: ["feature", "seed"] },
  super_resolution: { picture: "plain", shown: ["class_name", "factor", "detail", "seed"] },
  maximisation: { picture: "plain", shown: ["class_name", "seed"] },
};

/** Parameters that are folded away, where a task has them; others, such as momentum, keep their default, 0. */
export const FOLDED = [
  "epsilon", "steps", "step_size", "objective", "schedule", "crop", "jitter", "smoothing", "start", "start_scale",
  "texture", "softness", "fill", "outside", "lam", "strength", "upsampling", "consistency",
];

export const MOST_PICTURES = 8;
/** How many pictures of `size` pixels to begin with: what a phone has the memory for, and the patience of its owner. */
export const firstPictures = (size) => (size >= 128 && innerWidth < 860 ? 2 : 4);

/** The settings to begin with. */
export const firstPreset = (presets) => Object.values(presets)[0];
