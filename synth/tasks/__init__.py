"""The one list of tasks; a new task is a file here and a line below."""

from synth.tasks.base import Frame, Problem, Task
from synth.tasks.generation import Generation
from synth.tasks.inpainting import Inpainting
from synth.tasks.maximisation import Maximisation
from synth.tasks.painting import Painting
from synth.tasks.sketch import Sketch
from synth.tasks.super_resolution import SuperResolution
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
    )
}

__all__ = ["TASKS", "Frame", "Problem", "Task"]
