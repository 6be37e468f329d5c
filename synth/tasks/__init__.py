"""The one list of tasks; a new task is a file here and a line below."""

from synth.tasks.anomaly_detection import AnomalyDetection
from synth.tasks.base import Frame, Task
from synth.tasks.denoising import Denoising
from synth.tasks.generation import Generation
from synth.tasks.inpainting import Inpainting
from synth.tasks.interpolation import Interpolation
from synth.tasks.maximisation import Maximisation
from synth.tasks.painting import Painting
from synth.tasks.reconstruction import Reconstruction
from synth.tasks.sketch import Sketch
from synth.tasks.style_transfer import StyleTransfer
from synth.tasks.super_resolution import SuperResolution
from synth.tasks.synthesis import Problem
from synth.tasks.translation import Translation

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Generation(),
        Inpainting(),
        Translation(),
        SuperResolution(),
        Sketch(),
        Painting(),
        Maximisation(),
        Reconstruction(),
        Interpolation(),
        Denoising(),
        StyleTransfer(),
        AnomalyDetection(),
    )
}

__all__ = ["TASKS", "Frame", "Problem", "Task"]
