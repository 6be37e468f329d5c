"""Where the models work: here, or on ZeroGPU in a process that is forked for a call and has a GPU for its time."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec

import torch

from synth import access

ZERO = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this is a Space on ZeroGPU; the package ``spaces`` reads the same variable."""
PATIENCE = 300
"""Seconds that one step may take in public mode; the thread of one that takes longer is left behind."""
GIVEN_UP = "run: expected every step within {} seconds, got one that takes longer; choose fewer or smaller pictures"
WORKERS = [ThreadPoolExecutor(1)]
"""The one thread that uses the models, the last one; before it those that hang."""


def identity(function: Callable) -> Callable:
    return function


borrow_gpu: Callable[[Callable], Callable] = import_module("spaces").GPU if find_spec("spaces") else identity
"""Decorates a function or generator that has the GPU on ZeroGPU; elsewhere it is what it was."""


def working_device() -> str:
    """Where a call of a decorated function computes."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def resting_device() -> str:
    """Where everything else computes: on ZeroGPU on the CPU, although PyTorch claims to have a GPU there."""
    return "cpu" if ZERO else working_device()


def run_on_worker(function: Callable, *arguments):
    """The result of ``function``, called on the one thread that uses the models.

    Each of gradio's many threads would keep the memory that a step needs. On ZeroGPU it is called as it is: no thread
    of ours may be there when a process is forked, since the fork would wait for it forever.
    """
    if ZERO:
        return function(*arguments)
    worker = WORKERS[-1]
    task = worker.submit(function, *arguments)
    try:
        return task.result(PATIENCE if access.is_public() else None)
    except TimeoutError:
        if task.done():  # the function's own
            raise
        if worker is WORKERS[-1]:
            WORKERS.append(ThreadPoolExecutor(1))
        raise ValueError(GIVEN_UP.format(PATIENCE)) from None


@contextmanager
def closing_if_idle(steps: Generator) -> Iterator[Generator]:
    """Close the generator at the end, unless a thread that was left behind is still in it."""
    try:
        yield steps
    finally:
        with suppress(ValueError):
            steps.close()
