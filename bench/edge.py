"""A classifier on small devices: ``python -m bench.edge CHECKPOINT --data FOLDER``.

ONNX Runtime on one core with weights in single precision, stored in half precision, and quantised to 8 bits: size,
milliseconds a picture, accuracy. Then what is left of the input gradient, and of the samples, with rounded weights.
Needs ``pip install onnx onnxruntime onnxscript``.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import synth
from synth import hub
from synth.classifier import Classifier
from synth.constraints import L2
from synth.objectives import cross_entropy
from synth.pgd import pgd
from training import machine
from training.data import Pictures, of
from training.judge import Reference, judge_samples, load_judge
from training.sampling import balanced, generate
from training.tables import table

CALIBRATION = 200
"""Training pictures that the 8-bit ranges of activations are set with."""
BITS = (8, 6, 4)
"""Of the weights whose gradients are compared."""


def graphs(model: Classifier, train: Pictures, folder: Path) -> dict[str, Path]:
    """ONNX files of ``model`` by the kind of their numbers."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from training.export.graphs import logits

    single, half, prepared, whole = (folder / f"{name}.onnx" for name in ("single", "half", "prepared", "whole"))
    half.write_bytes(logits(model))
    size = model.image_size
    torch.onnx.export(
        model.folded_copy(),
        (torch.rand(2, 3, size, size),),
        str(single),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("N")},),
        input_names=["pictures"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )
    quant_pre_process(str(single), str(prepared))
    quantization.quantize_static(
        str(prepared),
        str(whole),
        _Calibration(balanced(train, CALIBRATION)),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return {"single precision": single, "stored in half precision": half, "8-bit integers": whole}


class _Calibration:
    """What ONNX Runtime's quantiser reads pictures from, one by one."""

    def __init__(self, data: Pictures):
        self.pictures = iter(data[:][0].numpy())

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self.pictures, None)
        return None if picture is None else {"pictures": picture[None]}


def session(path: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def milliseconds(runner, picture: np.ndarray, repeats: int = 200) -> float:
    """The median time of one picture (1, 3, S, S)."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        runner.run(None, {"pictures": picture})
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def accuracy(runner, x: Tensor, y: Tensor) -> float:
    parts = [runner.run(None, {"pictures": part.numpy()})[0] for part in x.split(50)]
    return float((np.concatenate(parts).argmax(1) == y.numpy()).mean())


def attacked(model: Classifier, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    """``x`` after 20 steps that raise the loss of ``model`` in single precision."""
    engine, settings = model.inference_copy(), {"steps": 20, "step_size": 2.5 * epsilon / 20}
    parts = zip(x.split(50), y.split(50), strict=True)
    return torch.cat([pgd(-cross_entropy(engine, labels), part, L2(epsilon), **settings) for part, labels in parts])


def with_rounded_weights(model: Classifier, bits: int) -> Classifier:
    """A copy whose convolutions and linear layers have weights of ``bits`` bits, one scale for each output channel."""
    twin, most = copy.deepcopy(model.folded_copy()), 2 ** (bits - 1) - 1
    for module in twin.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.data.flatten(1)
            scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-12) / most
            module.weight.data = ((weight / scale).round() * scale).view_as(module.weight)
    return twin


def gradient(model: Classifier, x: Tensor, y: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), y, reduction="sum"), x)[0].flatten(1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--count", type=int, default=1000, help="test pictures (default 1000)")
    parser.add_argument("--samples", type=int, default=500, help="samples of each kind (default 500)")
    parser.add_argument("--output", type=Path, help="folder for a sheet of samples of each kind (default: none)")
    parser.add_argument("--epsilon", type=float, default=0.5, help="radius of the attack (default 0.5)")
    options = parser.parse_args(arguments)
    model = hub.load(options.checkpoint)
    train, test = (of(model, split, options.data) for split in ("train", "test"))
    x, y = balanced(test, options.count)[:]
    moved = attacked(model, x, y, options.epsilon)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in graphs(model, train, Path(folder)).items():
            runner = session(path)
            figures = (accuracy(runner, x, y), accuracy(runner, moved, y))
            time_of_one = milliseconds(runner, x[:1].numpy())
            size = path.stat().st_size / 1e6
            rows.append([kind, f"{size:.1f}", f"{time_of_one:.2f}", *(f"{one:.1%}" for one in figures)])
    head = [
        "numbers",
        "MB",
        "ms a picture, one core",
        "clean",
        f"PGD-20 against single precision, L2 {options.epsilon:g}",
    ]
    print(f"{options.checkpoint}, {len(x)} test pictures\n\n{table(head, rows)}\n")

    judge = load_judge(None, model)
    reference = Reference(judge.inference_copy(), balanced(train, max(options.samples, 100)).pictures)
    before, rows = gradient(model.folded_copy(), x[:100], y[:100]), []
    for title, twin in {
        "single precision": model,
        **{f"{b} bits": with_rounded_weights(model, b) for b in BITS},
    }.items():
        cosine = F.cosine_similarity(gradient(twin.folded_copy(), x[:100], y[:100]), before).mean().item()
        samples = generate(twin, options.samples, accelerator=machine.accelerate(device="cpu"))
        figures = judge_samples(samples.pictures, samples.labels, reference)
        rows.append([title, f"{cosine:.4f}", f"{figures['judge_accuracy']['value']:.1%}", f"{figures['fid']:.3g}"])
        if options.output is None:
            continue
        first = torch.stack([samples.pictures[samples.labels == label][0] for label in range(len(model.classes))])
        synth.pictures.sheet(first.float() / 255, columns=len(first), zoom=2).save(
            f"edge-{title.replace(' ', '-')}.png"
        )
    print(table(["weights", "cosine of the input gradients", "samples seen as their class", "FID"], rows))


if __name__ == "__main__":
    main()
