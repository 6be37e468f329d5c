"""The tasks by name: adding one is adding a file here."""

from synth.registry import discover
from synth.tasks.base import Frame, Task
from synth.tasks.synthesis import Problem

TASKS: dict[str, Task] = discover("synth.tasks", Task)

__all__ = ["TASKS", "Frame", "Problem", "Task"]
