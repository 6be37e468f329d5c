"""Targets from a teacher instead of the labels: what another classifier thinks of each training picture."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from synth import hub
from training.data import Pictures
from training.judge import outputs


def targets(teacher: str, data: Pictures, folder: Path, accelerator: Accelerator) -> Tensor:
    """Probabilities (N, K) of the classes of ``data`` that the checkpoint ``teacher`` gives to each whole picture.

    ``folder`` keeps them for a run that goes on. ValueError for a teacher of other classes.
    """
    file = folder / "teacher.safetensors"
    if accelerator.is_main_process and not file.exists():
        model = hub.load(teacher)
        if model.classes != data.classes:
            raise ValueError(f"teacher: expected a checkpoint of the classes of the data, got {teacher}")
        model = model.inference_copy().to(accelerator.device)
        with accelerator.autocast():
            logits = outputs(model, data.pictures)[1]
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"probabilities": logits.float().softmax(1).cpu().contiguous()}, file)
    accelerator.wait_for_everyone()
    probabilities = load_file(file)["probabilities"]
    if probabilities.shape != (len(data), len(data.classes)):
        raise ValueError(f"teacher: expected the probabilities of {len(data)} pictures in {file}, got others")
    return probabilities
