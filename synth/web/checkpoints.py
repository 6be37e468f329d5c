"""The checkpoints of the page: its two menus, loading, and downloading from the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

import gradio as gr

from synth import Classifier, hub
from synth.web.gpu import resting_device
from synth.web.visitors import count_load

NOTHING = "nothing"
"""The choice of no second checkpoint."""


@lru_cache(maxsize=3)
def load_to(device: str, checkpoint: str) -> Classifier:
    """As ``load``, on a device of one's own choice."""
    count_load()
    return hub.load(checkpoint, device=device)


def load(checkpoint: str) -> Classifier:
    """The checkpoint, from the few that were used last or from its files; ValueError if there is no such thing."""
    return load_to(resting_device(), checkpoint)


def first_checkpoint() -> str:
    return hub.selectable()[0]


def checkpoint_menus() -> tuple[gr.Dropdown, gr.Dropdown]:
    """The menu of the checkpoint, and that of one to compare it with."""
    names, shared = hub.selectable(), {"allow_custom_value": True, "min_width": 240}
    with gr.Row():
        info = "Choose one of these, or type a folder or owner/name on the Hugging Face Hub."
        checkpoint = gr.Dropdown(names, value=first_checkpoint(), label="Checkpoint", info=info, **shared)
        info = "A second checkpoint gets the same settings; its result is shown beside the first."
        other = gr.Dropdown([NOTHING, *names], value=NOTHING, label="Compare with", info=info, **shared)
    return checkpoint, other


def download(checkpoint: str) -> Iterator[str]:
    """Sentences on how far the download from the Hub is, until the checkpoint is here; none if it is here already."""
    if checkpoint.count("/") == 1 and checkpoint not in hub.listed():
        count_load()
    state = {"sentence": f"Asking the Hub for {checkpoint} ..."}

    def progress(done: int, total: int) -> None:
        state["sentence"] = f"Downloading {checkpoint}: {done / 1e6:.1f} of {total / 1e6:.1f} MB"

    with ThreadPoolExecutor(1) as thread:
        task = thread.submit(hub.folder, checkpoint, progress=progress)
        while not wait([task], timeout=0.3).done:
            yield state["sentence"]
        task.result()
