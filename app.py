"""The browser app, ``python app.py --port 7860``: tabs, controls and endpoints are all read from TASKS."""

from __future__ import annotations

import argparse
import inspect
import math
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import lru_cache

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
import torch
from PIL import Image, ImageChops, ImageDraw, ImageOps

import synth
from synth import TASKS, Frame, RobustClassifier, Task, hub, pictures
from synth.examples import FIRST, RELATED, sketches
from synth.parameters import Choice, ClassName, Float, Int, Mask, Parameter, Picture, Unit

DRAWN = ("sketch",)  # tasks whose picture is drawn in the browser
RATE = 8  # frames a second that the browser is sent, at most
EDITED = 448  # side in pixels of pictures in the browser: a multiple of 32 and 224, so that nothing is lost
BUSY = threading.Lock()  # held by the run that computes: gradio's queue frees a cancelled run's place too early
QUEUE = {"concurrency_id": "model", "concurrency_limit": 4}
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
COLOURS = ["#151515", "#ffffff", "#8a8d91", "#c0392b", "#f4e36a", "#6aa84f", "#9fd0f0", "#2f6fa8", "#8f5427"]
READY = """() => { const ready = setInterval(() => {  // take the brush, and have the canvas fill its column
    const pad = document.querySelector('#%s'), brush = pad?.querySelector('button[aria-label=Brush]');
    if (!brush) return;
    clearInterval(ready);
    if (!brush.classList.contains('highlight')) brush.click();
    pad.style.width = '99%%'; setTimeout(() => { pad.style.width = '' }, 100)
}, 600) }"""
STARTING = """() => {  // say so at once; on a phone, go to where the result will be
    const results = [...document.querySelectorAll('.result')].filter(part => part.offsetParent);
    if (innerWidth < 700) results[0]?.scrollIntoView({behavior: 'smooth', block: 'center'});
    return 'starting'
}"""
NEW_SEED = "() => Math.floor(Math.random() * 2 ** 31)"
CSS = """
.gradio-container {max-width: 1200px !important; margin: auto !important}
.picture img {image-rendering: pixelated}
.picture [data-testid=block-label] {position: static}
.seed {align-items: end}
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
    "footer_links": ["api"],
}


@lru_cache(maxsize=3)
def load(checkpoint: str) -> RobustClassifier:
    return hub.load(checkpoint, device="cuda" if torch.cuda.is_available() else "cpu")


def first_checkpoint() -> str:
    return min(hub.for_synthesis(), key=lambda name: (name != hub.DEFAULT, name))


@contextmanager
def one_sentence():
    """Show a ValueError with the sentence that Python and the command line give."""
    try:
        yield
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None


# Running


def stream(task: Task, checkpoint: str, settings: dict, note: str = "") -> Iterator[tuple]:
    """(start, picture, status, file): the start at once, RATE a second, the last as a PNG with its settings inside.

    ``start`` is there for single pictures, ``file`` at the end; no pictures while another run computes.
    """
    while not BUSY.acquire(timeout=0.25):
        yield None, None, "waiting for another run to finish", None
    began, shown = time.monotonic(), -math.inf
    try:
        with one_sentence(), tempfile.TemporaryDirectory() as folder:
            try:
                model = load(checkpoint)
            except OSError:  # a name too long for a file, a folder without weights
                raise ValueError(f"checkpoint: expected a whole checkpoint, got {checkpoint[:80]!r}") from None
            # On one thread of its own: gradio's many would each keep the memory that a step needs.
            with closing(task.frames(model, **settings)) as frames, ThreadPoolExecutor(1) as worker:
                for frame in iter(lambda: worker.submit(next, frames, None).result(), None):
                    last, now = frame.step == frame.steps, time.monotonic()
                    if now - shown < 1 / RATE and not last:
                        continue
                    status = f"step {frame.step} of {frame.steps}, {now - began:.1f} s{note}"
                    start = sheet(frame, frame.start) if len(frame.start) == 1 else None
                    if start is None and frame.settings["settings"].get("class_name") is None:
                        status += f"; row by row: {', '.join(model.classes[: len(frame.start)])}"
                    if last:
                        frame.save(path := f"{folder}/{task.name}.png", zoom=zoom(frame))
                        yield start, path, f"done: {status}", path
                    else:
                        yield start, sheet(frame, frame.pictures), status, None
                    shown = time.monotonic()
    finally:
        BUSY.release()


def zoom(frame: Frame) -> int:
    """How wide each pixel is shown: one picture about 256 pixels a side, several about 128."""
    return max(1, round((256 if len(frame.pictures) == 1 else 128) / frame.pictures.shape[-1]))


def sheet(frame: Frame, x: torch.Tensor) -> Image.Image:
    return pictures.sheet(x, zoom=zoom(frame))


# Pictures and masks


def editable(image) -> Image.Image:
    """The central square of a picture, large enough for a fine brush; small pictures keep crisp pixels."""
    image = pictures.read(image)
    side = min(image.size)
    larger = side * math.ceil(EDITED / side) if side < EDITED else EDITED
    return ImageOps.fit(image, (larger, larger), Image.Resampling.NEAREST if side < EDITED else Image.Resampling.BOX)


def parse_editor(payload: dict | None, *, drawn: bool = False) -> tuple[Image.Image | None, Image.Image | None]:
    """(picture, mask) of what gr.ImageEditor sends: the background, and white wherever a layer has paint.

    ``drawn``: the paint belongs to the picture, on a white page if there is no background. None for what is missing.
    """
    payload = payload or {}
    picture, layers = payload.get("background"), [layer for layer in payload.get("layers") or [] if layer is not None]
    if not layers:
        return picture, None
    size = (picture or layers[0]).size
    mask, page = Image.new("L", size), Image.new("RGBA", size, "white")
    page.alpha_composite((picture or page).convert("RGBA"))
    for layer in layers:
        layer = layer.convert("RGBA").resize(size, Image.Resampling.NEAREST)
        mask = ImageChops.lighter(mask, layer.getchannel("A").point(lambda alpha: 255 * (alpha > 0)))
        page.alpha_composite(layer)
    if mask.getbbox() is None:
        return picture, None
    return page if drawn else picture, mask


def gathered(task: Task, values: dict) -> tuple[dict, str]:
    """The task's settings from what the controls hold, and a note on a mask that nobody drew."""
    if task.name in DRAWN:
        return values | {"picture": parse_editor(values["picture"], drawn=True)[0]}, ""
    if "mask" not in values:
        return values, ""
    (picture, mask), uploaded, kind = parse_editor(values["picture"]), values["mask"], task.parameters["mask"]
    if picture is not None and uploaded is not None:
        uploaded = ImageOps.fit(pictures.read_mask(uploaded).convert("L"), picture.size, Image.Resampling.NEAREST)
        mask = uploaded if mask is None else ImageChops.lighter(mask, uploaded)
    note = "" if mask is not None else f"; no mask was drawn, so {kind.blank or 'a disc in the middle'} is used"
    if picture is not None and mask is None and not kind.optional:
        mask, (width, height) = Image.new("L", picture.size), picture.size
        ImageDraw.Draw(mask).ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=255)
    return values | {"picture": picture, "mask": mask}, note


def examples(task: Task, checkpoint: str) -> dict[str, Image.Image]:
    """Pictures to start from, by what they show: the checkpoint's own, or drawings."""
    files = sorted((hub.BUNDLED / checkpoint / "examples").glob("*.png"))
    own = {} if task.name in DRAWN else {file.stem: file for file in files}
    return {name: editable(image) for name, image in (own or sketches()).items()}


# Controls


def control(name: str, kind: Parameter, model: RobustClassifier, value) -> gr.components.Component:
    """The component for a parameter; returned from a handler, it updates the one on the page."""
    label = {"lam": "Lambda", "class_name": "Class"}.get(name, name.replace("_", " ").capitalize())
    words = {"label": f"{label} ({kind.unit})" if kind.unit else label, "info": kind.help}
    if isinstance(kind, ClassName):
        blank = [(kind.blank.capitalize(), "")] if kind.optional else []
        known = value if value in model.classes else "" if blank else model.classes[0]
        return gr.Dropdown([*blank, *((name, name) for name in model.classes)], value=known, **words)
    if isinstance(kind, Choice):
        return gr.Dropdown(list(kind.options), value=value, **words)
    if isinstance(kind, Int) and kind.maximum > 10_000:
        return gr.Number(value, precision=0, **words)
    if isinstance(kind, Float):
        maximum = model.head.in_features - 1 if isinstance(kind, Unit) else kind.maximum
        minimum = math.ceil(kind.minimum / kind.step) * kind.step  # or the slider's stops would not be round numbers
        return gr.Slider(minimum, maximum, value=value, step=kind.step, **words)
    if isinstance(kind, (Picture, Mask)):
        upload = {"image_mode": None, "type": "pil", "format": "png", "sources": ["upload", "clipboard"]}
        return gr.Image(value, label=kind.help, height=360, elem_classes="picture", **upload)
    raise TypeError(f"no component for {type(kind).__name__}")


def editor(task: Task, image: Image.Image) -> gr.ImageEditor:
    """A picture to draw a mask over, or that is drawn itself; small uploads are enlarged and the brush is taken."""
    kind, drawn, name = task.parameters["picture"], task.name in DRAWN, f"editor-{task.name}"
    gr.Markdown(
        f"{kind.help} Draw on it." if drawn else f"{kind.help} Draw over it: {task.parameters['mask'].help.lower()}"
    )
    pad = gr.ImageEditor(
        image, type="pil", image_mode="RGBA", format="png", layers=False, transforms=(),
        sources=["upload", "clipboard"], elem_id=name, show_label=False,
        brush=gr.Brush(10, colors=COLOURS) if drawn else gr.Brush(28, colors=["#ffffff"], color_mode="fixed"),
        canvas_size=(EDITED, EDITED), height=EDITED + 80,
    )  # fmt: skip

    def enlarged(payload):
        with one_sentence():
            return editable(parse_editor(payload)[0])

    pad.upload(enlarged, pad, pad, **PRIVATE).then(None, None, None, js=READY % name, **PRIVATE)
    return pad


def controls_at(task: Task, names: list[str], model: RobustClassifier, preset: str = "tuned", **kept) -> list:
    """Controls for ``names`` at the preset's values, or at those that are ``kept``."""
    values = task.defaults(model, preset) | kept
    return [control(name, task.parameters[name], model, values[name]) for name in names]


def presets(task: Task, model: RobustClassifier) -> list[str]:
    return list({"tuned": 0} | task.presets | model.presets.get(task.name, {}))


# The page


def left(task: Task, checkpoint: gr.Dropdown) -> tuple[gr.Radio, dict]:
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
            shelf = gr.Dataset(
                label="Or start from one of these",
                components=[gr.Image(render=False, format="png")],
                samples=[[sample] for sample in samples.values()],
                type="index",
            )
        else:
            place(name)
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


def right(task: Task, checkpoint: gr.Dropdown, controls: dict) -> None:
    """What comes out, and the button that makes it."""
    with gr.Row(elem_classes="run"):
        run = gr.Button("Run", variant="primary", min_width=100)
        stop = gr.Button("Stop", min_width=100)
    status = gr.Markdown("Ready: press Run.")
    shown = {"format": "png", "interactive": False, "buttons": ["download", "fullscreen"], "elem_classes": "picture"}
    with gr.Row(elem_classes="result"):
        start = gr.Image(label="Start", visible=False, min_width=120, **shown)
        result = gr.Image(label="Result", min_width=120, **shown)
    file = gr.DownloadButton("Save the PNG with its settings inside", interactive=False)
    source = inspect.cleandoc(type(task).__doc__).split("\n\n")[1]
    paper = source.replace("Santurkar et al. 2019", "[Santurkar et al. 2019](https://arxiv.org/abs/1906.09453)")
    with gr.Accordion("How it works", open=False):
        latex = [{"left": "$$", "right": "$$", "display": True}]
        gr.Markdown(f"$${task.equation}$$\n\n{paper}", latex_delimiters=latex)

    def handler(checkpoint, *values):
        try:
            with one_sentence():
                settings, note = gathered(task, dict(zip(controls, values, strict=True)))
            for begun, picture, words, path in stream(task, checkpoint, settings, note):
                if picture is None:
                    yield gr.skip(), gr.skip(), words, gr.skip()
                else:
                    save = gr.DownloadButton(value=path, interactive=path is not None)
                    yield gr.Image(begun, visible=begun is not None), picture, words, save
        except gr.Error as error:
            yield gr.skip(), gr.skip(), error.message, gr.skip()
            raise

    given, outputs = [checkpoint, *controls.values()], [start, result, status, file]
    run.click(None, None, status, js=STARTING, **PRIVATE)  # before the other, or it comes last
    event = run.click(handler, given, outputs, **QUEUE, **PRIVATE)
    stop.click(None, None, None, cancels=[event], **PRIVATE).then(stopped, status, status, **PRIVATE)


def stopped(status: str) -> str:
    return f"stopped at {status}" if status.startswith("step") else "stopped" if status == "starting" else status


def renewed(tabs: list[tuple], model: RobustClassifier, values: dict) -> dict:
    """Every tab's controls for another checkpoint: its presets, bounds and classes; chosen classes stay if they can."""
    updates = {}
    for task, preset, controls in tabs:
        names = [name for name in controls if name not in ("picture", "mask", "seed")]
        kept = {name: values[controls[name]] for name in names if name == "class_name"}
        updates[preset] = gr.Radio(presets(task, model), value="tuned")
        updates |= zip((controls[name] for name in names), controls_at(task, names, model, **kept), strict=True)
    return updates


def endpoints() -> None:
    """The API: each task under its name, with ``checkpoint``, its parameters and ``preset``, all optional there.

    On components that nobody sees and that check nothing, so that our own sentences reach the caller.
    """
    text, number, upload = (component(visible=False) for component in (gr.Textbox, gr.Number, gr.File))
    outputs = [gr.Image(label="picture", format="png", visible=False), gr.Textbox(label="status", visible=False)]
    for task in TASKS.values():
        kinds = [*task.parameters.values(), None]  # the last is for the preset
        given = [upload if isinstance(k, (Picture, Mask)) else number if isinstance(k, Float) else text for k in kinds]
        # Unprocessed: values come as they were sent, and gr.File does not leave an empty file behind for each.
        about = {"api_name": task.name, "api_description": task.__doc__, "preprocess": False}
        gr.Button(visible=False).click(endpoint(task), [text, *given], outputs, **about, **QUEUE)


def endpoint(task: Task):
    """The function behind one endpoint; gradio reads the names of its parameters from its signature."""
    names = [*task.parameters, "preset"]
    files = [name for name, kind in task.parameters.items() if isinstance(kind, (Picture, Mask))]

    def call(checkpoint, *values):
        settings = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        settings |= {name: settings[name]["path"] for name in files if name in settings}
        settings |= {"preset": str(settings["preset"])[:80]} if "preset" in settings else {}
        for _, picture, status, _ in stream(task, str(checkpoint or first_checkpoint()), settings):
            yield picture, status

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature([inspect.Parameter(n, kind, default=None) for n in ("checkpoint", *names)])
    return call


def build() -> gr.Blocks:
    """The whole page, with its queue and its API; it shows the first bundled checkpoint."""
    with gr.Blocks(title="synth", delete_cache=(600, 3600)) as page:
        gr.Markdown("# Pictures from one robust classifier\n" + synth.__doc__.splitlines()[0])
        words = {"label": "Checkpoint", "info": "One of these, a folder, or owner/name on the Hugging Face Hub."}
        checkpoint = gr.Dropdown(hub.for_synthesis(), value=first_checkpoint(), allow_custom_value=True, **words)
        tabs = []
        for task in TASKS.values():
            with gr.Tab(task.title) as tab:
                gr.Markdown(inspect.cleandoc(type(task).__doc__).split("\n\n")[0])
                with gr.Row():
                    with gr.Column(min_width=320):
                        preset, controls = left(task, checkpoint)
                    with gr.Column(min_width=320):
                        right(task, checkpoint, controls)
            tabs.append((task, preset, controls))
            if isinstance(controls.get("picture"), gr.ImageEditor):
                tab.select(None, None, None, js=READY % controls["picture"].elem_id, **PRIVATE)

        def changed(values):
            with one_sentence():
                return renewed(tabs, load(values[checkpoint]), values)

        every = [part for _, preset, controls in tabs for part in (preset, *controls.values())]
        checkpoint.change(changed, {checkpoint, *every}, every, **PRIVATE)
        endpoints()
    return page.queue(max_size=20)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, or this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT, or from 7860 on)")
    options = parser.parse_args()
    build().launch(server_name=options.host, server_port=options.port, **LAUNCH)
