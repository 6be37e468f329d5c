"""Work that several processes share, with the same results on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from tqdm import tqdm

Part = TypeVar("Part")
Result = TypeVar("Result")


def spread(
    work: Callable[[Part], Result],
    parts: list[Part],
    *,
    accelerator: Accelerator,
    title: str,
    full_precision: bool = False,
) -> tuple[list[Result], float]:
    """The results of ``work(part)`` for all ``parts`` in order, and the seconds that all processes together worked.

    The processes share the parts, and every process gets all results. Results should hold tensors on the CPU, since
    they travel between processes. The work runs in the accelerator's precision unless ``full_precision`` is set.
    """
    start, results = time.monotonic(), []
    precision = nullcontext() if full_precision else accelerator.autocast()
    with accelerator.split_between_processes(parts) as own_parts, precision:
        for part in tqdm(own_parts, desc=title, mininterval=2, disable=not accelerator.is_local_main_process):
            results.append(work(part))
    seconds = sum(gather_object([time.monotonic() - start]))
    return gather_object(results), seconds


def share(count: int, process: int, processes: int) -> slice:
    """What one of ``processes`` takes of ``count`` pictures: neighbours, in pairs that stay together."""
    start, stop = (2 * (count * one // (2 * processes)) for one in (process, process + 1))
    return slice(start, count if process + 1 == processes else stop)


def once(compute: Callable[[], Result], accelerator: Accelerator) -> Result:
    """The result of ``compute()``, which only the main process calls, on every process."""
    return broadcast_object_list([compute() if accelerator.is_main_process else None])[0]
