"""Write a checkpoint for ONNX Runtime beside its weights: ``python -m training.export CHECKPOINT``.

``onnx/model.onnx`` maps "pictures" (N, 3, S, S) in [0, 1] to "logits" (N, classes), clamp and normalisation inside, in
single precision; its metadata holds the names of the classes. ``training.publish`` sends it along.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synth import hub
from synth.classifier import Classifier

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
FOLDER = "onnx"
TOLERANCE = 1e-3
"""The largest difference of a logit from PyTorch's."""


def logits(model: Classifier) -> Any:
    """The ONNX model of ``model``, once ONNX Runtime gives the same logits for three pictures; ValueError if not."""
    import onnxruntime

    pictures = torch.rand(3, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))
    batch = {0: torch.export.Dim("N")}
    names: dict[str, Any] = {"input_names": ["pictures"], "output_names": ["logits"]}
    program = torch.onnx.export(
        model, (pictures[:2],), dynamo=True, dynamic_shapes=(batch,), external_data=False, verbose=False, **names
    )
    graph = program.model_proto
    about = {"name": model.name, "image_size": model.image_size, "classes": model.classes}
    for key, value in about.items():
        graph.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        apart = np.abs(session.run(None, {"pictures": pictures.numpy()})[0] - model(pictures).numpy()).max()
    if not apart <= TOLERANCE:
        raise ValueError(f"checkpoint: expected ONNX logits within {TOLERANCE} of PyTorch's, got {apart:.2g} apart")
    return graph


EXPORTS: dict[str, Callable[[Classifier], Any]] = {"model.onnx": logits}
"""What makes each file, checked, from a classifier in eval mode on the CPU."""


def export(model: Classifier, folder: str | Path) -> list[Path]:
    """Write every file of ``EXPORTS`` into ``folder``/onnx; ValueError without the packages that this takes."""
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ValueError(f"packages: expected {', '.join(PACKAGES)} for an export, got no {' and no '.join(absent)}")
    paths = []
    for name, make in EXPORTS.items():
        content = make(model).SerializeToString()
        paths.append(Path(folder) / FOLDER / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_bytes(content)
    return paths


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


if __name__ == "__main__":
    main()
