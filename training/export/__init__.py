"""Write a checkpoint for ONNX Runtime beside its weights: ``python -m training.export CHECKPOINT``.

The folder ``onnx/`` is all that generation, inpainting, translation, super-resolution, sketch, painting and
maximisation take, without PyTorch and without this package. Whoever uses it brings the loop and the random numbers.

model.onnx    "pictures" (N, 3, S, S) in [0, 1] -> "logits" (N, K); its metadata hold the names of the classes.
step.onnx     One step of projected gradient descent, for any of the tasks:

    pictures (N, 3, S, S)     where the step begins
    center (N, 3, S, S)       what the ball is centred on: the start
    logit_weights (N, K)      -1 at the class, for the objective "logit"
    entropy_weights (N, K)    1 at the class, for the objective "cross-entropy"
    feature_weights (N, F)    minus ``strength`` at the feature, for painting
    change_weights (N, 1, S, S)  ``lam`` where the mask is 0, for ``outside`` "penalty"
    inside (N, 1, S, S)       how far each pixel may move: the mask, for ``outside`` "exact"; what the model looks at,
                              for ``focus``; else 1 everywhere
    part (N, 2, 2)            a and b, for rows and columns: line u of this step's view, from -1 to 1, is line
                              (1 + a) u + b of the picture, by linear interpolation: ``crop``
    shift (N, 2)              by how many whole pixels, down and right, this step's view of it is shifted: ``jitter``
    smoothing, epsilon, step_size (N)
    low (N, 3, S, S), factor ()  the small picture, each of its pixels repeated, and how many times, for ``consistency``
                              "hard", with which only a step's detail is taken; factor 1: not asked for
    -> next (N, 3, S, S); logits (N, K) of the view; lengths (N, 1, h, w), root mean squares of the features at each
       place of its deepest map; loss (N) of ``pictures``

With ``focus``, inside is 1 - focus * (1 - seen), where ``synth.tasks.translation.loud`` makes seen of the lengths of
the start: over the longest, enlarged to S by bicubic interpolation, less QUIET, over LOUD - QUIET, clamped to 0 and 1.

Everything is in single precision, any N goes, and weights that a task has no use for are 0. The loss is minimised: it
is the weighted sum of the logits, of the cross-entropies -log softmax, of the features (their gradient passes the last
ReLU as if it were not there) and of the mean squared change from ``center``. The view is mirrored at the rim. A step
of size 0 without part, shift and smoothing classifies; with center = pictures, a large epsilon, ``low`` and ``factor``
it gives the start that has the means of the small picture.

starts/INDEX.bin  The statistics of one class's start: the tensors of "start_tensors", one after another, as
    little-endian half-precision numbers. With z normal, all clamped to [0, 1], and enlarged to S by bilinear
    interpolation (half-pixel centres) where sqrt(D / 3) is smaller:
    gaussian  mean + scale * (deviation * z) @ basis
    mixture   mean + scale * (centers[part] + factors[part] @ z) @ basis, a part drawn by ``weights``
    pca       as gaussian, with zeros after the first components that explain 95% of ``variance``
    mean      mean
    noise     0.5 + scale * 0.25 * z, z a whole picture

browser.json  What a page or program needs to know; ``training.export.description`` says what. "files" has the size and
    the SHA-256 of each other file.

Weights lie in each graph once and in half precision, as in a checkpoint; ONNX Runtime computes in single.
Not exported: sizes 2 and 4, momentum, noise, soft consistency, the stop at real pictures' scores, steps at half the
size or through a decoder; presets that need them are left out. Where a checkpoint has no other for a task, its tuned
one takes the steps at half the size at the whole size.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
from pathlib import Path

from synth import checkpoint, hub
from synth.classifier import Classifier

PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def export(model: Classifier, folder: str | Path) -> list[Path]:
    """Write the export of ``model`` into ``folder``/onnx; ValueError without the packages that this takes.

    Each graph is checked against PyTorch first.
    """
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ValueError(f"packages: expected {', '.join(PACKAGES)} for an export, got no {' and no '.join(absent)}")
    from training.export import description, graphs, starts

    contents = {"model.onnx": graphs.logits(model), "step.onnx": graphs.step(model)}
    contents |= starts.files(model) | description.files(model)
    known = {name: {"bytes": len(one), "sha256": hashlib.sha256(one).hexdigest()} for name, one in contents.items()}
    about = description.describe(model) | {"files": known}
    contents["browser.json"] = json.dumps(about, indent=1, ensure_ascii=False).encode() + b"\n"
    for name, content in contents.items():
        path = Path(folder) / checkpoint.ONNX / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [Path(folder) / checkpoint.ONNX / name for name in contents]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name, a folder, or OWNER/NAME on the Hub")
    parser.add_argument("--output", help="a folder (default: the checkpoint's own)")
    options = parser.parse_args(arguments)
    try:
        model = hub.load(options.checkpoint)
        for path in export(model, options.output or model.folder):
            print(f"{path.stat().st_size:>12,} {path}")
    except ValueError as error:
        parser.exit(2, f"{error}\n")
