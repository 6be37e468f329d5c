"""Where the models work: here, or on ZeroGPU in a process that is forked for a call and has a GPU for its time."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec

import torch

ZERO = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this is a Space on ZeroGPU; the package ``spaces`` reads the same variable."""
WORKER = ThreadPoolExecutor(1)


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
    return function(*arguments) if ZERO else WORKER.submit(function, *arguments).result()
