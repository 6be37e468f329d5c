"""The page: one tab per task, all read from the declarations in TASKS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
from PIL import Image

import synth
import synth.web.whole_files
from synth.web.checkpoints import first_checkpoint, load, menu, ordinary_box, other_menu
from synth.web.display import stored_files
from synth.web.endpoints import add_endpoints
from synth.web.events import mark_only
from synth.web.evidence import add_evidence
from synth.web.gate import keep_listeners
from synth.web.navigation import Head, Navigation
from synth.web.stored import cards, index
from synth.web.tab import Tab
from synth.web.views import shared_file
from synth.web.words import TITLE, tabs

FOLDER = Path(__file__).parent
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
THEME = gr.themes.Soft(**FONTS).set(
    background_fill_primary="*neutral_50",  # as in Soft; set would forget it
    body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
    block_title_text_color="*primary_700", block_title_text_color_dark="*primary_100",
    block_label_text_color="*primary_700", block_label_text_color_dark="*primary_100",
    checkbox_border_color="*neutral_500", checkbox_border_color_dark="*neutral_400",
    button_primary_background_fill="*primary_600", button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover="*primary_700", button_primary_background_fill_hover_dark="*primary_700",
)  # fmt: skip
"""With darker words than Soft's, so that all of them have a contrast of 4.5 to 1."""
LAUNCH = {
    "theme": THEME,
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
    with gr.Blocks(title=TITLE, delete_cache=DELETE_CACHE) as page:
        nothing = gr.State()
        skip = "<a class='skip' href='#run' onclick='return synth.skip()'>Skip to Run</a>"
        gr.HTML(skip, elem_classes="skipper", padding=False)
        head = add_head()
        with gr.Tabs(overflow_behavior="wrap", elem_classes="bar") as bar:
            every = {
                task.name: Tab(task, head.checkpoint, head.other, dataset_picture)
                for group in tabs().values()
                for task in group
            }
            add_evidence()
        with gr.Accordion("Compare two checkpoints, or repeat a picture from its PNG", open=False):
            head.other.render()
            head.dropped.render()
        for one in index().values():
            if one.title or one.checkpoint == head.checkpoint.value:
                stored_files(one.run())
        Navigation(page, bar, every, head)
        add_endpoints()
    page.queue(max_size=64, default_concurrency_limit=4)
    keep_listeners(page)
    mark_only(page, nothing)
    return page


def add_head() -> Head:
    """All that lies above the tabs, and what is shown below them."""
    name = first_checkpoint()
    load(name)  # which the cards must find on this machine
    with gr.Row(elem_classes="title"):
        with gr.Column(scale=5, min_width=300):
            how = "Click a card to see how."
            gr.Markdown(f"# {TITLE}\n{(synth.__doc__ or '').splitlines()[0]} {how}")
        with gr.Column(scale=4, min_width=300, elem_classes="which"):
            checkpoint, box = menu(name), ordinary_box(name)
        tour = gr.Button("Take the tour", scale=0, min_width=150, visible=bool(cards()))
    images = [(shared_file(one.card()), one.title) for one in cards()]
    look = {"allow_preview": False, "interactive": False, "buttons": [], "show_label": False, "height": "auto"}
    gallery = gr.Gallery(images, label="Examples", elem_classes="cards", visible=bool(images), **look)
    note = gr.HTML("", elem_classes="note")
    label = "Drop a saved PNG here, and its tab opens with all its settings."
    dropped = gr.File(label=label, file_types=[".png"], height=120, elem_classes="repeat", render=False)
    return Head(gallery, tour, note, checkpoint, box, other_menu(name).unrender(), dropped)
