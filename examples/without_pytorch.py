"""Generate and inpaint without PyTorch, in a folder that ``python -m training.export CHECKPOINT`` wrote.

pip install numpy pillow onnxruntime
python without_pytorch.py checkpoints/NAME/onnx --class lion --output lions.png
python without_pytorch.py checkpoints/NAME/onnx --class lion --picture lion.png --mask hole.png --output filled.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


class Exported:
    """What an export holds, for pictures (N, 3, S, S) in [0, 1]; all random numbers come from ``random``."""

    def __init__(self, folder, random, threads=0):
        self.folder, self.random = Path(folder), random
        self.about = json.loads((self.folder / "browser.json").read_text())
        self.size, self.classes = self.about["image_size"], self.about["classes"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(self.folder / "step.onnx", options, ["CPUExecutionProvider"])

    def preset(self, task):
        """The settings to begin with."""
        return next(iter(self.about["tasks"][task]["presets"].values()))

    def generate(self, name, count):
        """New pictures of the class ``name``."""
        values = self.preset("generation")
        start = np.stack([self.draw_start(name, values["start"], values["start_scale"]) for _ in range(count)])
        return self.descend(self.inputs(start, name, values), values)

    def inpaint(self, picture, mask, name):
        """``picture`` (1, 3, S, S) with what is under ``mask`` (1, 1, S, S) made anew, as of the class ``name``."""
        values = self.preset("inpainting")
        start = fill(picture, mask)
        result = self.descend(self.inputs(start, name, values) | {"inside": soften(mask)}, values)
        return start + values["detail"] * (result - start)

    def draw_start(self, name, kind, scale):
        """A random picture (3, S, S) with the statistics of the class ``name``."""
        shapes = self.about["start_tensors"]
        numbers = np.fromfile(self.folder / self.about["starts"][name], "<f2").astype(np.float32)
        parts = np.split(numbers, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
        known = {key: part.reshape(shapes[key]) for key, part in zip(shapes, parts, strict=True)}
        if kind == "mixture":
            part = self.random.choice(len(known["weights"]), p=known["weights"] / known["weights"].sum())
            along = known["centers"][part] + known["factors"][part] @ self.random.standard_normal(len(known["basis"]))
        else:
            along = known["deviation"] * self.random.standard_normal(len(known["basis"]))
        planes = (known["mean"] + scale * along @ known["basis"]).astype(np.float32).reshape(3, -1)
        side = int(planes.shape[1] ** 0.5)
        images = [Image.fromarray(plane.reshape(side, side)) for plane in planes]
        return np.stack([image.resize((self.size, self.size), Image.Resampling.BILINEAR) for image in images]).clip(
            0, 1
        )

    def inputs(self, start, name, values):
        """What a step takes to change ``start`` into pictures of the class ``name``, by a task's ``values``."""
        shapes = self.about["step"]["inputs"]
        sizes = {key: [len(start) if size == "N" else size for size in shape] for key, shape in shapes.items()}
        given = {key: np.zeros(size, np.float32) for key, size in sizes.items()}
        given |= {"pictures": start, "center": start, "inside": given["inside"] + 1, "factor": np.array(1, np.float32)}
        given |= {key: np.full(len(start), values[key], np.float32) for key in ("smoothing", "epsilon", "step_size")}
        if values["objective"] == "logit":
            given["logit_weights"][:, self.classes.index(name)] = -1
        else:
            given["entropy_weights"][:, self.classes.index(name)] = 1
        return given

    def descend(self, given, values):
        """The pictures after all steps."""
        steps, most = values["steps"], values["jitter"]
        for step in range(steps):
            given["part"] = self.draw_part(len(given["part"]), values["crop"])
            given["shift"] = self.random.integers(-most, most + 1, given["shift"].shape).astype(np.float32)
            if values["schedule"] == "cosine":
                falling = 0.5 * (1 + np.cos(np.pi * step / steps)) * values["step_size"]
                given["step_size"] = np.full(len(given["pictures"]), falling, np.float32)
            given["pictures"], *_ = self.session.run(None, given)
        return given["pictures"]

    def draw_part(self, count, most):
        """Random parts of ``count`` pictures, at least 1 - ``most`` as wide, as a step takes them."""
        width = 1 - most * self.random.random((count, 1))
        offsets = (1 - width) * self.random.uniform(-1, 1, (count, 2))
        return np.stack([width.repeat(2, 1) - 1, offsets], 2).astype(np.float32)


def fill(picture, mask):
    """``picture`` with the hole filled smoothly from its rim, at half the size first."""
    known, sides = 1 - mask, picture.shape[2:]
    filled = (picture * known).sum((2, 3), keepdims=True) / known.sum((2, 3), keepdims=True).clip(1)
    if min(sides) > 4:
        rows, columns = (np.arange(0, side, 2) for side in sides)

        def pairs(x):
            return np.add.reduceat(np.add.reduceat(x, rows, 2), columns, 3)

        part = pairs(known)
        small = fill(pairs(picture * known) / part.clip(1e-6), (part == 0).astype(np.float32))
        planes = [Image.fromarray(plane) for plane in small.reshape(-1, *small.shape[2:])]
        filled = np.stack([plane.resize(sides[::-1], Image.Resampling.BILINEAR) for plane in planes])
        filled = filled.reshape(picture.shape)
    filled = np.where(known > 0, picture, filled)
    for _ in range(32):
        wide = np.pad(filled, [(0, 0), (0, 0), (1, 1), (1, 1)], "edge")
        lines = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
        filled = np.where(known > 0, picture, (lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]) / 9)
    return filled.astype(np.float32)


def soften(mask):
    """``mask`` with values that grow from its rim to 1 at a tenth of the width inside."""
    layers, width = [mask], max(1, round(0.1 * mask.shape[-1]))
    while len(layers) < width:
        wide = np.pad(layers[-1], [(0, 0), (0, 0), (1, 1), (1, 1)], "edge")
        layers.append(np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (2, 3)).min((4, 5)))
    return np.mean(layers, 0, dtype=np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--class", dest="name", required=True)
    parser.add_argument("--picture", help="the picture to inpaint; without one, new ones are generated")
    parser.add_argument("--mask", help="white where to fill")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    exported = Exported(options.folder, np.random.default_rng(options.seed))
    if options.picture:
        square = (exported.size, exported.size)
        picture = np.array(Image.open(options.picture).convert("RGB").resize(square), np.float32) / 255
        mask = np.array(Image.open(options.mask).convert("L").resize(square)) > 127
        result = exported.inpaint(picture.transpose(2, 0, 1)[None], mask[None, None].astype(np.float32), options.name)
    else:
        result = exported.generate(options.name, options.count)
    levels = (np.concatenate(list(result), 2).transpose(1, 2, 0) * 255).round().astype(np.uint8)
    Image.fromarray(levels).save(options.output)


if __name__ == "__main__":
    main()
