"""The page: a tab a task, all read from the declarations in TASKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr
from PIL import Image

import synth
from synth import TASKS, RobustClassifier, Task, hub
from synth.examples import FIRST, RELATED
from synth.parameters import Mask, Picture, Unit
from synth.web.controls import controls_at, presets
from synth.web.editor import DRAWN, PRIVATE, READY, editable, editor, examples
from synth.web.endpoints import endpoints
from synth.web.features import gallery
from synth.web.links import from_link, from_picture
from synth.web.results import NOTHING, Results
from synth.web.reuse import result
from synth.web.running import first_checkpoint, load, one_sentence
from synth.web.watch import Run

NEW_SEED = "() => Math.floor(Math.random() * 2 ** 31)"
CSS = """
.gradio-container {max-width: 1200px !important; margin: auto !important}
.picture img {image-rendering: pixelated}
.picture [data-testid=block-label] {position: static}
.seed {align-items: end}
.features .grid-container {grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)) !important}
.plot, .plot * {overflow: visible !important}
.plot {padding-bottom: 30px !important}
@media (max-width: 700px) {
    body {padding-bottom: 70px}
    .run {position: fixed; bottom: 0; left: 0; right: 0; z-index: 50; padding: 10px}
    .run {background: var(--body-background-fill)}
}
"""
LAUNCH = {
    "theme": gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
    "css": CSS,
    "ssr_mode": False,
    "run_history": False,
    "max_file_size": "20mb",
    "state_session_capacity": 200,
    "footer_links": ["api"],
}
DELETED = (60, 1200)
"""Every minute, files of visits that are older than 20 minutes."""


@dataclass(frozen=True)
class Tab:
    """What a tab is made of, for events that concern several tabs."""

    task: Task
    preset: gr.Radio
    controls: dict
    results: Results


def build(draw: Callable[[int], Image.Image] | None = None) -> gr.Blocks:
    """The whole page, with its queue and its API; it shows the first bundled checkpoint.

    ``draw``: gives a picture of the data set, at a side in pixels, if there is a data set at hand.
    """
    with gr.Blocks(title="synth", delete_cache=DELETED) as page:
        gr.Markdown("# Pictures from one robust classifier\n" + synth.__doc__.splitlines()[0])
        checkpoint, other = checkpoints()
        with gr.Accordion("Repeat a picture that was made here", open=False):
            words = "Drop its PNG: its tab opens with all its settings."
            dropped = gr.File(label=words, file_types=[".png"], height=120, elem_classes="repeat")
        with gr.Tabs() as bar:
            tabs = {task.name: tab(task, checkpoint, other, draw) for task in TASKS.values()}
        connect(page, bar, tabs, checkpoint, dropped)
        endpoints()
    return page.queue(max_size=64)


def checkpoints() -> tuple[gr.Dropdown, gr.Dropdown]:
    """The chooser of the checkpoint, and that of one to compare it with."""
    with gr.Row():
        words = {"label": "Checkpoint", "info": "One of these, a folder, or owner/name on the Hugging Face Hub."}
        names, shared = hub.for_synthesis(), {"allow_custom_value": True, "min_width": 240}
        checkpoint = gr.Dropdown(names, value=first_checkpoint(), **words, **shared)
        words = {"label": "Compare with", "info": "Does the same with a second checkpoint, beside the first."}
        other = gr.Dropdown([NOTHING, *names], value=NOTHING, **words, **shared)
    return checkpoint, other


def tab(task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, draw) -> Tab:
    with gr.Tab(task.title, id=task.name) as shown:
        gr.Markdown(inspect.cleandoc(type(task).__doc__).split("\n\n")[0])
        with gr.Row():
            with gr.Column(min_width=320):
                preset, controls = left(task, checkpoint, draw)
            with gr.Column(min_width=320):
                results = Results(task, checkpoint, other, controls)
    if isinstance(controls.get("picture"), gr.ImageEditor):
        shown.select(None, None, None, js=READY % controls["picture"].elem_id, **PRIVATE)
    return Tab(task, preset, controls, results)


def left(task: Task, checkpoint: gr.Dropdown, draw) -> tuple[gr.Radio, dict]:
    """What goes in: the preset chooser, and the controls by parameter."""
    kinds, model, samples = task.parameters, load(checkpoint.value), examples(task, checkpoint.value)
    names, controls, example = list(kinds), {}, FIRST if FIRST in samples else next(iter(samples))
    inputs = names[: names.index("epsilon")]  # what is declared before says what to do; presets fill in the rest
    settings = [name for name in names[len(inputs) :] if name != "seed"]
    choose = "class_name" in kinds and not kinds["class_name"].optional

    def becomes(example: str) -> str:
        return example if task.name in DRAWN else RELATED.get(example, example)

    def place(*names: str) -> None:
        kept = {"class_name": becomes(example)} if choose else {}
        controls.update(zip(names, controls_at(task, names, model, picture=samples[example], **kept), strict=True))

    for name in inputs:
        if isinstance(kinds[name], Mask):
            with gr.Accordion("Upload a mask instead of drawing it", open=False):
                place(name)
        elif isinstance(kinds[name], Picture):
            if task.name in DRAWN or "mask" in kinds:
                controls[name] = editor(task, samples[example])
            else:
                place(name)
                controls[name].upload(cropped, controls[name], controls[name], **PRIVATE)
            shelf = gr.Dataset(
                label="Or start from one of these",
                components=[gr.Image(render=False, format="png")],
                samples=[[sample] for sample in samples.values()],
                type="index",
            )
            if draw is not None and task.name not in DRAWN:
                real = gr.Button("A picture from the data set", size="sm")
                real.click(lambda name: editable(draw(load(name).image_size)), checkpoint, controls[name], **PRIVATE)
        else:
            place(name)
            if isinstance(kinds[name], Unit):
                gallery(checkpoint, controls[name])
    preset = gr.Radio(presets(task, model), value="tuned", label="Preset", info="Fills in the settings that follow.")
    place(*[name for name in settings if not kinds[name].more])
    with gr.Row(elem_classes="seed"):
        place("seed")
        gr.Button("New seed", scale=0, min_width=120).click(None, None, controls["seed"], js=NEW_SEED, **PRIVATE)
    with gr.Accordion("More", open=False):
        place(*[name for name in settings if kinds[name].more])

    def refill(checkpoint, preset):
        with one_sentence():
            return controls_at(task, settings, load(checkpoint), preset)

    preset.input(refill, [checkpoint, preset], [controls[name] for name in settings], **PRIVATE)
    if "picture" in kinds:

        def chosen(index, checkpoint):
            name, image = list(samples.items())[index]
            with one_sentence():
                known = becomes(name) in load(checkpoint).classes
            return [image, becomes(name) if known else gr.skip()] if choose else image

        targets = [controls[name] for name in ("picture", "class_name")[: 1 + choose]]
        shelf.click(chosen, [shelf, checkpoint], targets, **PRIVATE)
    return preset, controls


def cropped(image):
    """An upload as the task will see it."""
    with one_sentence():
        return None if image is None else editable(image)


def connect(page: gr.Blocks, bar: gr.Tabs, tabs: dict[str, Tab], checkpoint: gr.Dropdown, dropped: gr.File) -> None:
    """Events that reach over several tabs: another checkpoint, a result used elsewhere, settings that come back."""
    every = [part for tab in tabs.values() for part in (tab.preset, *tab.controls.values())]
    known = {checkpoint, *(tab.controls["class_name"] for tab in tabs.values() if "class_name" in tab.controls)}

    def changed(values):
        with one_sentence():
            return renewed(tabs, load(values[checkpoint]), values)

    def sent(run: Run, name: str):
        if run.history is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        return {bar: gr.Tabs(selected=name), tabs[name].controls["picture"]: result(run)}

    def back(task: Task, name: str, settings: dict, values: dict):
        model, tab = load(name), tabs[task.name]
        filled = renewed(tabs, model, values) if name != values[checkpoint] else {tab.preset: "tuned"}
        return filled | restored(tab, model, settings) | {bar: gr.Tabs(selected=task.name), checkpoint: name}

    def repeated(values):
        with one_sentence():
            return back(*from_picture(values[dropped]), values) if values[dropped] else {checkpoint: gr.skip()}

    def opened(values, request: gr.Request):
        if "task" not in request.query_params:
            return {checkpoint: gr.skip()}
        with one_sentence():
            return back(*from_link(dict(request.query_params)), values)

    checkpoint.input(changed, known, every, **PRIVATE)
    pictures = [tab.controls["picture"] for tab in tabs.values() if "picture" in tab.controls]
    for tab in tabs.values():
        reuse = tab.results.reuse
        moved = reuse.use.input(sent, [reuse.memory, reuse.use], [bar, *pictures], **PRIVATE)
        moved.then(lambda: None, None, reuse.use, **PRIVATE)
    dropped.upload(repeated, {dropped, *known}, [bar, checkpoint, *every], **PRIVATE)
    page.load(opened, known, [bar, checkpoint, *every], **PRIVATE)


def renewed(tabs: dict[str, Tab], model: RobustClassifier, values: dict) -> dict:
    """Every tab's controls for another checkpoint: its presets, bounds and classes; chosen classes stay if they can."""
    updates = {}
    for tab in tabs.values():
        names = [name for name in tab.controls if name not in ("picture", "mask", "seed")]
        kept = {name: values[tab.controls[name]] for name in names if name == "class_name"}
        updates[tab.preset] = gr.Radio(presets(tab.task, model), value="tuned")
        parts = controls_at(tab.task, names, model, **kept)
        updates |= zip((tab.controls[name] for name in names), parts, strict=True)
    return updates


def restored(tab: Tab, model: RobustClassifier, settings: dict) -> dict:
    """A tab's controls at ``settings``; pictures that these lack stay as they are."""
    names = [name for name in tab.controls if not isinstance(tab.task.parameters[name], (Picture, Mask))]
    parts = controls_at(tab.task, names, model, **{name: settings[name] for name in names if name in settings})
    updates = dict(zip((tab.controls[name] for name in names), parts, strict=True))
    shown = {name: editable(settings[name]) for name in ("picture", "mask") if settings.get(name) is not None}
    return updates | {tab.controls[name]: image for name, image in shown.items()}
