"""The page: a tab a task, all read from the declarations in TASKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr
from PIL import Image

import synth
import synth.web.whole_files
from synth import TASKS, Classifier, Task, hub
from synth.parameters import ClassName, FeatureIndex, Mask, Picture
from synth.web.controls import controls_at, presets
from synth.web.editor import PRIVATE, READY, editable, editor, examples
from synth.web.endpoints import endpoints
from synth.web.evidence import evidence
from synth.web.features import gallery as features
from synth.web.links import from_link, from_picture
from synth.web.results import NOTHING, Results
from synth.web.reuse import result
from synth.web.running import download, first_checkpoint, load, one_sentence
from synth.web.shelves import Shelf, checksum, chooser, place_shelf, shelved, untouched
from synth.web.watch import Run

NEW_SEED = "() => Math.floor(Math.random() * 2 ** 31)"
CSS = """
.gradio-container {max-width: 1200px !important; margin: auto !important}
.tab-container button {padding: 0 9px !important; font-size: 14px}
.picture img {image-rendering: pixelated}
.picture [data-testid=block-label] {position: static}
.seed {align-items: end}
.pad:not([data-loaded]) canvas {opacity: 0.5; pointer-events: none}
.shelf .grid-container {grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)) !important}
.shelf .caption-label {white-space: normal; font-size: 11px; line-height: 1.2; left: 4px; right: 4px; max-width: none}
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
    """What a tab is made of, for events that concern several tabs; its shelves by the parameter that they fill."""

    task: Task
    preset: gr.Radio
    controls: dict
    shelves: dict[str, Shelf]
    results: Results

    @property
    def choices(self) -> dict:
        """The controls of class names, by parameter."""
        return {n: self.controls[n] for n, kind in self.task.parameters.items() if type(kind) is ClassName}


def build(draw: Callable[[int], Image.Image] | None = None) -> gr.Blocks:
    """The whole page, with its queue and its API; it shows the first bundled checkpoint.

    ``draw``: gives a picture of the data set, at a side in pixels, if there is a data set at hand.
    """
    with gr.Blocks(title="synth", delete_cache=DELETED) as page:
        gr.Markdown("# Pictures from one robust classifier\n" + synth.__doc__.splitlines()[0])
        checkpoint, other = checkpoints()
        note = gr.Markdown(visible=False)
        with gr.Accordion("Repeat a picture that was made here", open=False):
            words = "Drop its PNG: its tab opens with all its settings."
            dropped = gr.File(label=words, file_types=[".png"], height=120, elem_classes="repeat")
        with gr.Tabs(overflow_behavior="wrap") as bar:
            tabs = {task.name: tab(task, checkpoint, other, draw) for task in TASKS.values()}
            evidence()
        connect(page, bar, tabs, checkpoint, note, dropped)
        endpoints()
    return page.queue(max_size=64)


def checkpoints() -> tuple[gr.Dropdown, gr.Dropdown]:
    """The chooser of the checkpoint, and that of one to compare it with."""
    with gr.Row():
        words = {"label": "Checkpoint", "info": "One of these, a folder, or owner/name on the Hugging Face Hub."}
        names, shared = hub.selectable(), {"allow_custom_value": True, "min_width": 240}
        checkpoint = gr.Dropdown(names, value=first_checkpoint(), **words, **shared)
        words = {"label": "Compare with", "info": "Does the same with a second checkpoint, beside the first."}
        other = gr.Dropdown([NOTHING, *names], value=NOTHING, **words, **shared)
    return checkpoint, other


def tab(task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, draw) -> Tab:
    with gr.Tab(task.title, id=task.name) as shown:
        gr.Markdown(inspect.cleandoc(type(task).__doc__).split("\n\n")[0])
        with gr.Row():
            with gr.Column(min_width=320):
                preset, controls, shelves = left(task, checkpoint, draw)
            with gr.Column(min_width=320):
                results = Results(task, checkpoint, other, controls)
    if isinstance(controls.get("picture"), gr.ImageEditor):
        shown.select(None, None, None, js=READY % controls["picture"].elem_id, **PRIVATE)
    return Tab(task, preset, controls, shelves, results)


def left(task: Task, checkpoint: gr.Dropdown, draw) -> tuple[gr.Radio, dict, dict[str, Shelf]]:
    """What goes in: the preset chooser, the controls by parameter, and the shelves of examples."""
    kinds, model = task.parameters, load(checkpoint.value)
    names, controls, shelves = list(kinds), {}, {}
    first = names.index(task.first_setting)  # what is declared before says what to do; presets fill in the rest
    inputs, settings = names[:first], [name for name in names[first:] if name != "seed"]
    choose = "class_name" in kinds and not kinds["class_name"].optional

    def drawn(checkpoint: str):
        return editable(draw(load(checkpoint).image_size))

    def place(*names: str, **kept) -> None:
        if choose:
            kept["class_name"] = task.target_class(model, next(iter(examples(task, model))))
        controls.update(zip(names, controls_at(task, names, model, **kept), strict=True))

    def shelve(name: str) -> None:
        samples = examples(task, model, name)
        if name == "picture" and (task.drawn or "mask" in kinds):
            controls[name] = editor(task, next(iter(samples.values())))
        else:
            place(name, **{name: next(iter(samples.values()))})
            controls[name].upload(cropped, controls[name], controls[name], **PRIVATE)
        shelves[name] = place_shelf(task, model, name)
        if draw is not None and not task.drawn and kinds[name].shelf != "styles":
            real = gr.Button("A picture from the data set", size="sm")
            real.click(drawn, checkpoint, controls[name], **PRIVATE)

    for name in inputs:
        if isinstance(kinds[name], Mask):
            with gr.Accordion("Upload a mask instead of drawing it", open=False):
                place(name)
        elif isinstance(kinds[name], Picture):
            shelve(name)
        else:
            place(name)
            if isinstance(kinds[name], FeatureIndex):
                features(checkpoint, controls[name])
    preset = gr.Radio(presets(task, model), value="tuned", label="Preset", info="Fills in the settings that follow.")
    place(*[name for name in settings if not kinds[name].more])
    if "seed" in kinds:
        with gr.Row(elem_classes="seed"):
            place("seed")
            new = gr.Button("New seed", scale=0, min_width=120)
            new.click(None, None, controls["seed"], js=NEW_SEED, **PRIVATE)
    folded = [name for name in settings if kinds[name].more]
    if folded:
        with gr.Accordion("More", open=False):
            place(*folded)

    def refill(checkpoint, preset):
        with one_sentence():
            return controls_at(task, settings, load(checkpoint), preset)

    preset.input(refill, [checkpoint, preset], [controls[name] for name in settings], **PRIVATE)
    for name, shelf in shelves.items():
        goal = choose and name == "picture"
        targets = [shelf.placed, controls[name], *([controls["class_name"]] if goal else [])]
        shelf.gallery.select(chooser(task, name, goal), checkpoint, targets, **PRIVATE)
    return preset, controls, shelves


def cropped(image):
    """An upload as the task will see it."""
    with one_sentence():
        return None if image is None else editable(image)


def connect(
    page: gr.Blocks,
    bar: gr.Tabs,
    tabs: dict[str, Tab],
    checkpoint: gr.Dropdown,
    note: gr.Markdown,
    dropped: gr.File,
) -> None:
    """Events that reach over several tabs: another checkpoint, a result used elsewhere, settings that come back."""
    shelves = [part for tab in tabs.values() for shelf in tab.shelves.values() for part in vars(shelf).values()]
    every = [part for tab in tabs.values() for part in (tab.preset, *tab.controls.values())] + shelves
    chosen = {checkpoint, *(part for tab in tabs.values() for part in tab.choices.values())}
    filled = {tab.controls[name]: shelf.placed for tab in tabs.values() for name, shelf in tab.shelves.items()}
    known = {*chosen, *filled, *filled.values()}

    query = gr.State()

    def changed(values):
        with one_sentence():
            return renewed(tabs, load(values[checkpoint]), values)

    def sent(run: Run, name: str):
        if run.recorder is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        return {bar: gr.Tabs(selected=name), tabs[name].controls["picture"]: result(run)}

    def back(task: Task, name: str, settings: dict, values: dict):
        model, tab = load(name), tabs[task.name]
        filled = renewed(tabs, model, values) if name != values[checkpoint] else {tab.preset: "tuned"}
        return filled | restored(tab, model, settings) | {bar: gr.Tabs(selected=task.name), checkpoint: name}

    def repeated(values):
        with one_sentence():
            return back(*from_picture(values[dropped]), values) if values[dropped] else {checkpoint: gr.skip()}

    def asked(request: gr.Request):
        return dict(request.query_params) if "task" in request.query_params else gr.skip()

    def opened(values):
        with one_sentence():
            return back(*from_link(values[query]), values)

    def fetched(name):
        with one_sentence():
            for words in download(name):
                yield gr.Markdown(words, visible=True)
        yield gr.Markdown(visible=False)

    here = checkpoint.input(fetched, checkpoint, note, **PRIVATE)
    here.success(changed, known, every, **PRIVATE)
    here.failure(lambda: gr.Markdown(visible=False), None, note, **PRIVATE)
    pictures = [tab.controls["picture"] for tab in tabs.values() if "picture" in tab.shelves]
    for tab in tabs.values():
        reuse = tab.results.reuse
        moved = reuse.use.input(sent, [reuse.memory, reuse.use], [bar, *pictures], **PRIVATE)
        moved.then(lambda: None, None, reuse.use, **PRIVATE)
    dropped.upload(repeated, {dropped, *known}, [bar, checkpoint, *every], **PRIVATE)
    page.load(asked, None, query, **PRIVATE)
    query.change(opened, {query, *chosen}, [bar, checkpoint, *every], **PRIVATE)


def renewed(tabs: dict[str, Tab], model: Classifier, values: dict) -> dict:
    """Every tab for another checkpoint: its presets, bounds, classes and examples; what the user chose stays if it can.

    A picture that is still an example becomes an example of the new checkpoint; a user's own stays. Without pictures
    in ``values`` all are examples.
    """
    updates = {}
    for tab in tabs.values():
        names = [name for name in tab.controls if name not in (*tab.shelves, "mask", "seed")]
        kept = {name: values[part] for name, part in tab.choices.items() if values[part] in model.classes}
        for parameter, shelf in tab.shelves.items():
            updates[shelf.gallery] = shelved(tab.task, model, parameter)
            control = tab.controls[parameter]
            if control not in values or untouched(values[control], values[shelf.placed]):
                name, image = next(iter(examples(tab.task, model, parameter).items()))
                updates |= {control: image, shelf.placed: checksum(image)}
                if any(not tab.task.parameters[choice].optional for choice in tab.choices):
                    kept["class_name"] = tab.task.target_class(model, name)
        updates[tab.preset] = gr.Radio(presets(tab.task, model), value="tuned")
        parts = controls_at(tab.task, names, model, **kept)
        updates |= zip((tab.controls[name] for name in names), parts, strict=True)
    return updates


def restored(tab: Tab, model: Classifier, settings: dict) -> dict:
    """A tab's controls at ``settings``; pictures that these lack stay as they are."""
    names = [name for name in tab.controls if not isinstance(tab.task.parameters[name], (Picture, Mask))]
    parts = controls_at(tab.task, names, model, **{name: settings[name] for name in names if name in settings})
    updates = dict(zip((tab.controls[name] for name in names), parts, strict=True))
    pictured = [name for name, kind in tab.task.parameters.items() if isinstance(kind, (Picture, Mask))]
    shown = {name: editable(settings[name]) for name in pictured if settings.get(name) is not None}
    return updates | {tab.controls[name]: image for name, image in shown.items()}
