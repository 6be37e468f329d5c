"""Pictures and masks on their way between gradio's widgets and the tasks."""

from __future__ import annotations

import math

import gradio as gr
from PIL import Image, ImageChops, ImageOps

from synth import Classifier, Task, hub, pictures
from synth.drawings import sketches, styles
from synth.web.running import one_sentence

EDITED = 448
"""Side in pixels of pictures in the browser: a multiple of 32, 64 and 224, so that nothing is lost."""
COLOURS = ["#151515", "#ffffff", "#8a8d91", "#c0392b", "#f4e36a", "#6aa84f", "#9fd0f0", "#2f6fa8", "#8f5427"]
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
"""For events of the page that are no endpoints."""
READY = """() => { const ready = setInterval(() => {  // take the brush, and have the canvas fill its column
    const pad = document.querySelector('#%s'), brush = pad?.querySelector('button[aria-label=Brush]');
    if (!brush) return;
    clearInterval(ready);
    if (!brush.classList.contains('highlight')) brush.click();
    pad.style.width = '99%%'; setTimeout(() => { pad.style.width = '' }, 100)
}, 600) }"""
LOADED = "() => { document.querySelector('#%s').dataset.loaded = '' }"
"""Until then the browser would show what is drawn, but not send it; the page lets nobody draw."""


def editable(image) -> Image.Image:
    """The central square of a picture, large enough for a fine brush; small pictures keep crisp pixels.

    What it gives is given back as it is.
    """
    image = pictures.read(image)
    side = min(image.size)
    larger = side * math.ceil(EDITED / side) if side < 2 * EDITED else EDITED
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
    if task.drawn:
        return values | {"picture": parse_editor(values["picture"], drawn=True)[0]}, ""
    if "mask" not in values:
        return values, ""
    (picture, mask), uploaded, kind = parse_editor(values["picture"]), values["mask"], task.parameters["mask"]
    if picture is not None and uploaded is not None:
        uploaded = ImageOps.fit(pictures.read_mask(uploaded).convert("L"), picture.size, Image.Resampling.NEAREST)
        mask = uploaded if mask is None else ImageChops.lighter(mask, uploaded)
    note = "" if mask is not None else f"; no mask was drawn, so {kind.blank} is used"
    return values | {"picture": picture, "mask": mask}, note


def examples(task: Task, model: Classifier, name: str = "picture") -> dict[str, Image.Image]:
    """Pictures for the parameter ``name``, by what they show: the checkpoint's own, the first of ``pairs`` first.

    Drawings where there are none or for tasks that want them; styles, or the last picture first, where declared.
    """
    shelf = task.parameters[name].shelf
    if shelf == "styles":
        return {style: editable(image) for style, image in styles().items()}
    drawn = sketches(model.classes)
    if task.drawn:
        return {name: editable(image) for name, image in drawn.items()}
    files = {path.stem: path for path in sorted((hub.folder(model.source) / "examples").glob("*.png"))}
    known = [name for name in model.pairs if name in files] or list(files)
    found = {name: editable(files[name]) for name in known} or {name: editable(one) for name, one in drawn.items()}
    return dict(reversed(found.items())) if shelf == "others" else found


def editor(task: Task, image: Image.Image) -> gr.ImageEditor:
    """A picture to draw a mask over, or that is drawn itself; small uploads are enlarged and the brush is taken.

    It gets no change or input event: with one, the browser also sends every stroke ahead, and no button waits for that.
    """
    kind, drawn, name = task.parameters["picture"], task.drawn, f"editor-{task.name}"
    gr.Markdown(
        f"{kind.help} Draw on it." if drawn else f"{kind.help} Draw over it: {task.parameters['mask'].help.lower()}"
    )
    pad = gr.ImageEditor(
        image, type="pil", image_mode="RGBA", format="png", layers=False, transforms=(),
        sources=["upload", "clipboard"], elem_id=name, elem_classes="pad", show_label=False,
        brush=gr.Brush(10, colors=COLOURS) if drawn else gr.Brush(28, colors=["#ffffff"], color_mode="fixed"),
        canvas_size=(EDITED, EDITED), height=EDITED + 80,
    )  # fmt: skip

    larger = gr.State()

    def enlarged(payload):
        picture = parse_editor(payload)[0]
        with one_sentence():
            image = editable(picture)
        return gr.skip() if image.size == picture.size else image

    # The event is of every picture that is loaded, the page's too. To put one there again would lose what was drawn.
    pad.upload(None, None, None, js=LOADED % name, **PRIVATE)
    pad.upload(enlarged, pad, larger, **PRIVATE).then(None, None, None, js=READY % name, **PRIVATE)
    larger.change(lambda image: image, larger, pad, **PRIVATE)
    return pad
