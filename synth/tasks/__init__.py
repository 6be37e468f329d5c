"""The tasks by name: adding one is adding a file here."""

from synth.registry import discover
from synth.tasks.base import Frame, Task
from synth.tasks.synthesis import Problem

TASKS: dict[str, Task] = discover("synth.tasks", Task)


def find_task(name: object) -> Task:
    """The task called ``name``; ValueError if there is none."""
    if name not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {str(name)[:80]!r}")
    return TASKS[name]


__all__ = ["TASKS", "Frame", "Problem", "Task", "find_task"]
