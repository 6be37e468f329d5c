"""The picture editor: masks drawn over a picture, or the picture itself drawn, on their way to the tasks."""

from __future__ import annotations

import math
import random
from functools import partial

import gradio as gr
from PIL import Image, ImageChops, ImageOps

from synth import Classifier, Task, pictures
from synth.parameters import Mask
from synth.randomness import Generators
from synth.web.events import PRIVATE, show_errors

SIDE = 448
"""Side in pixels of pictures in the browser: a multiple of 32, 64 and 224, so that nothing is lost."""
LONGEST = 1600
"""Side in pixels of the largest photograph in the browser."""
COLOURS = ["#151515", "#ffffff", "#8a8d91", "#c0392b", "#f4e36a", "#6aa84f", "#9fd0f0", "#2f6fa8", "#8f5427"]


def enlarge(image) -> Image.Image:
    """The central square of a picture, large enough for a fine brush; small pictures keep crisp pixels.

    Another call leaves its result as it is.
    """
    image = pictures.read(image)
    side = min(image.size)
    larger = side * math.ceil(SIDE / side) if side < 2 * SIDE else SIDE
    return ImageOps.fit(image, (larger, larger), Image.Resampling.NEAREST if side < SIDE else Image.Resampling.BOX)


def prepare(image, whole: bool) -> Image.Image:
    """An upload as it is shown: a photograph in its own shape if the task can work on the ``whole`` of one."""
    image = pictures.read(image)
    if not (whole and is_photograph(image)):
        return enlarge(image)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return image


def is_photograph(image: Image.Image | None) -> bool:
    """Whether a picture is one to work on as a whole: larger than the squares of the page, or of another shape."""
    return image is not None and min(image.size) >= SIDE // 4 and (image.width != image.height or image.width > SIDE)


def shrink(image: Image.Image) -> Image.Image:
    """A picture that ``enlarge`` made of a smaller one, as small as that was; others as they are.

    Tasks that work at several times the checkpoint's own size enlarge it better than by crisp pixels.
    """
    for factor in range(SIDE // pictures.SMALLEST, 1, -1):
        small = image.resize((image.width // factor, image.height // factor), Image.Resampling.NEAREST)
        if (
            image.width % factor == image.height % factor == 0
            and small.resize(image.size, 0).tobytes() == image.tobytes()
        ):
            return small
    return image


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


def task_settings(task: Task, values: dict) -> tuple[dict, str]:
    """The task's settings from the values of its controls, and a note if nobody drew a mask.

    A photograph is worked on as a whole, where the task can and something of it is masked.
    """
    if task.drawn:
        return values | {"picture": parse_editor(values["picture"], drawn=True)[0]}, ""
    kind = task.parameters.get("mask")
    if not isinstance(kind, Mask):
        shrunk = {name: shrink(value) for name, value in values.items() if isinstance(value, Image.Image)}
        return values | shrunk | extent(task, values.get("picture")), ""
    (picture, mask), uploaded = parse_editor(values["picture"]), values["mask"]
    if picture is not None and uploaded is not None:
        uploaded = ImageOps.fit(pictures.read_mask(uploaded).convert("L"), picture.size, Image.Resampling.NEAREST)
        mask = uploaded if mask is None else ImageChops.lighter(mask, uploaded)
    if mask is None:
        return values | {"picture": picture, "mask": mask}, f" No mask was drawn, so {kind.blank} is used."
    return values | {"picture": picture, "mask": mask} | extent(task, picture), ""


def extent(task: Task, picture) -> dict:
    """The setting that has ``task`` work on the whole of a photograph."""
    if "extent" not in task.parameters or not isinstance(picture, Image.Image):
        return {}
    return {"extent": "whole" if is_photograph(picture) else "square"}


def take_brush(editor: gr.ImageEditor) -> str:
    """JavaScript that takes the editor's brush, so that nobody has to choose it."""
    return f"() => synth.takeBrush('{editor.elem_id}')"


def add_editor(task: Task, image: Image.Image | dict) -> gr.ImageEditor:
    """A picture to draw a mask over, or that is drawn itself; small uploads are enlarged and the brush is taken.

    It gets no change or input event: with one, the browser also sends every stroke ahead, and no button waits for that.
    """
    kind, drawn = task.parameters["picture"], task.drawn
    gr.Markdown(
        f"{kind.help} Draw on it." if drawn else f"{kind.help} Draw over it: {task.parameters['mask'].help.lower()}"
    )
    editor = gr.ImageEditor(
        image, type="pil", image_mode="RGBA", format="png", layers=False, transforms=(),
        sources=["upload", "clipboard"], elem_id=f"editor-{task.name}", elem_classes="pad", show_label=False,
        brush=gr.Brush(10, colors=COLOURS) if drawn else gr.Brush(28, colors=["#ffffff"], color_mode="fixed"),
        canvas_size=(SIDE, SIDE), height=SIDE + 80,
    )  # fmt: skip
    enlarged = gr.State()

    def enlarge_upload(payload):
        picture = parse_editor(payload)[0]
        with show_errors():
            image = prepare(picture, "extent" in task.parameters)
        return gr.skip() if image.size == picture.size else image

    # The event is of every picture that is loaded, the page's too. To put one there again would lose what was drawn.
    editor.upload(None, None, None, js=f"() => synth.markLoaded('{editor.elem_id}')", **PRIVATE)
    uploaded = editor.upload(enlarge_upload, editor, enlarged, **PRIVATE)
    uploaded.then(None, None, None, js=take_brush(editor), **PRIVATE)
    enlarged.change(lambda image: image, enlarged, editor, **PRIVATE)
    return editor


MASKS = {
    "Centre": (0.3, 0.3, 0.7, 0.7),
    "Left half": (0, 0, 0.5, 1),
    "Random": None,
    "Nothing": (0, 0, 0, 0),
}
"""Parts of a picture to mask without a mouse, as left, top, right and bottom; anywhere for None."""


def add_masks(editor: gr.ImageEditor) -> None:
    """Buttons that mask a part of the editor's picture."""
    with gr.Row(elem_classes="masks"):
        gr.Markdown("Or mask:")
        for label, box in MASKS.items():
            gr.Button(label, size="sm", min_width=80).click(partial(mask_part, box), editor, editor, **PRIVATE)


def mask_part(box: tuple[float, ...] | None, payload: dict | None) -> dict:
    """What the editor is to show: its picture, and paint on that part of it alone; anywhere for None."""
    picture = parse_editor(payload)[0]
    if picture is None:
        raise gr.Error("picture: expected a picture to mask, got none", print_exception=False)
    if box is None:
        left, top = random.uniform(0, 0.6), random.uniform(0, 0.6)
        box = left, top, left + 0.4, top + 0.4
    mask = Image.new("L", picture.size)
    left, top, right, bottom = (round(side * part) for side, part in zip(picture.size * 2, box, strict=True))
    mask.paste(255, (left, top, right, bottom))
    return painted(picture, mask)


def default_paint(task: Task, model: Classifier, picture: Image.Image) -> Image.Image | dict:
    """A picture as a tab begins with it: where the task takes a mask, with the one of its first seed painted on it."""
    if "mask" not in task.parameters or picture.width != picture.height:
        return picture
    seed = task.defaults(model)["seed"]
    mask = task.default_mask(pictures.to_tensor(picture, model.image_size), Generators(seed))
    assert mask is not None
    return painted(picture, pictures.to_images(mask.expand(-1, 3, -1, -1))[0].convert("L"))


def painted(picture: Image.Image, mask: Image.Image) -> dict:
    """What the editor shows for a picture with white paint on ``mask``, of any size."""
    layer = Image.new("RGBA", picture.size, "white")
    layer.putalpha(mask.resize(picture.size, Image.Resampling.NEAREST))
    composite = picture.convert("RGBA")
    composite.alpha_composite(layer)
    return {"background": picture, "layers": [layer], "composite": composite}
