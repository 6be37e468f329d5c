"""The checkpoints of the page: their menus, loading, and downloading from the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

import gradio as gr

from synth import Classifier, hub
from synth.checkpoint import CONFIG
from synth.web.gpu import resting_device
from synth.web.visitors import count_load

FIRST = "imagenet20-resnet18-slim-l2-dual"
"""The bundled checkpoint of the largest pictures, which the page opens with; commands use ``hub.DEFAULT``."""
NOTHING = ""
"""The choice of no second checkpoint."""
CONTENTS = {
    "uoft-cs/cifar10": "animals and vehicles",
    "zh-plus/tiny-imagenet": "animals and things",
    "imagenette-woof": "dogs and things",
}
"""What the classes of a data set are."""


@lru_cache(maxsize=3)
def load_to(device: str, checkpoint: str) -> Classifier:
    """As ``load``, on a device of one's own choice."""
    count_load()
    return hub.load(checkpoint, device=device)


def load(checkpoint: str) -> Classifier:
    """The checkpoint, from the few that were used last or from its files; ValueError if there is no such thing."""
    return load_to(resting_device(), checkpoint)


def first_checkpoint() -> str:
    """The checkpoint that the page opens with: FIRST if it is there."""
    return FIRST if FIRST in hub.selectable() else hub.default()


def config(checkpoint: str) -> dict:
    """What the checkpoint's configuration says, {} if it is not on this machine."""
    try:
        return json.loads((hub.BUNDLED / checkpoint / CONFIG).read_text())
    except (OSError, ValueError):
        return {}


def title(checkpoint: str) -> str:
    """The checkpoint in words, such as "58 animals and things, 64 pixels: resnet18-slim-l2"."""
    known = config(checkpoint)
    if not known:
        return checkpoint
    contents = CONTENTS.get(known["info"].get("data", ""), "classes")
    network = checkpoint.partition("-")[2] if contents in CONTENTS.values() else checkpoint
    return f"{len(known['classes'])} {contents}, {known['image_size']} pixels: {network or checkpoint}"


def comparable(checkpoint: str) -> list[str]:
    """Names of the other checkpoints here that know the same classes."""
    classes = config(checkpoint).get("classes")
    return [name for name in hub.selectable() if classes and name != checkpoint and config(name)["classes"] == classes]


def ordinary(checkpoint: str) -> str:
    """The name of the one among them that was trained as usual, without attacks; NOTHING if there is none."""
    names = [name for name in comparable(checkpoint) if name.endswith("-standard")]
    return names[0] if names and not checkpoint.endswith("-standard") else NOTHING


def menu(checkpoint: str) -> gr.Dropdown:
    """The menu of checkpoints."""
    choices = [(title(name), name) for name in hub.selectable()]
    label = "Model (or owner/name on the Hub)"
    look = {"label": label, "container": False, "scale": 3, "min_width": 300}
    return gr.Dropdown(choices, value=checkpoint, allow_custom_value=True, **look)


def other_menu(checkpoint: str, value: str = NOTHING) -> gr.Dropdown:
    """The menu of those to compare it with."""
    info = "A second checkpoint of the same classes takes the same steps beside it."
    names = comparable(checkpoint)
    choices = [("Nothing", NOTHING), *((title(name), name) for name in names)]
    value = value if value in names else NOTHING
    return gr.Dropdown(choices, value=value, label="Compare with", info=info, visible=bool(names))


def ordinary_box(checkpoint: str, value: str = NOTHING) -> gr.Checkbox:
    """The box that compares it with its ordinary twin, where it has one."""
    twin = ordinary(checkpoint)
    label = "Compare with an ordinary classifier"
    return gr.Checkbox(twin != NOTHING and value == twin, label=label, visible=twin != NOTHING, min_width=220)


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
