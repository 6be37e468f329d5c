"""The page: one tab per task, all read from the declarations in TASKS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from PIL import Image

import synth
import synth.web.whole_files
from synth import TASKS
from synth.web.checkpoints import checkpoint_menus
from synth.web.endpoints import add_endpoints
from synth.web.evidence import add_evidence
from synth.web.navigation import Navigation
from synth.web.tab import Tab

FOLDER = Path(__file__).parent
LAUNCH = {
    "theme": gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    "css_paths": FOLDER / "page.css",
    "head": f"<script>{(FOLDER / 'page.js').read_text()}</script>",
    "ssr_mode": False,
    "run_history": False,
    "max_file_size": "20mb",
    "state_session_capacity": 200,
    "footer_links": ["api"],
}
DELETE_CACHE = (60, 1200)
"""Every minute, files of visits that are older than 20 minutes."""


def build(dataset_picture: Callable[[int], Image.Image] | None = None) -> gr.Blocks:
    """The whole page, with its queue and its API; it shows the first bundled checkpoint.

    ``dataset_picture``: returns a picture of the data set, at a side in pixels, if there is a data set at hand.
    """
    with gr.Blocks(title="synth", delete_cache=DELETE_CACHE) as page:
        gr.Markdown("# Pictures from one robust classifier\n" + synth.__doc__.splitlines()[0])
        checkpoint, other = checkpoint_menus()
        note = gr.Markdown(visible=False)
        with gr.Accordion("Repeat a picture from its PNG", open=False):
            label = "Drop a saved PNG here, and its tab opens with all its settings."
            dropped = gr.File(label=label, file_types=[".png"], height=120, elem_classes="repeat")
        with gr.Tabs(overflow_behavior="wrap") as bar:
            tabs = {task.name: Tab(task, checkpoint, other, dataset_picture) for task in TASKS.values()}
            add_evidence()
        Navigation(page, bar, tabs, checkpoint, note, dropped)
        add_endpoints()
    return page.queue(max_size=64, default_concurrency_limit=4)
