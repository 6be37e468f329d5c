"""What a training or a measurement runs on: its processes, its precision, its memory, and all that in words."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

import torch
from accelerate import Accelerator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def keep_memory() -> None:
    """Keep what this process frees, with glibc: asking again costs almost a third of a step at 224 pixels."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            library.mallopt(option, 2**31 - 1)


def precision(device: str = DEVICE) -> str:
    """What Accelerate calls it: "bf16" where the machine computes in it natively, else "no"."""
    native = torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "no"


def accelerate(*handlers, device: str = DEVICE) -> Accelerator:
    """An accelerator of all processes, in the machine's precision; they keep their memory."""
    keep_memory()
    return Accelerator(mixed_precision=precision(device), cpu=device == "cpu", kwargs_handlers=list(handlers))


def arithmetic(accelerator: Accelerator) -> str:
    """The precision by its usual name."""
    return "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision


def machine(accelerator: Accelerator) -> str:
    """What a training ran on, in words."""
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return f"{kind}, {accelerator.num_processes} process(es), precision {arithmetic(accelerator)}"
