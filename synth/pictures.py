"""Between files, PIL images and tensors (N, 3, H, W) in [0, 1]; masks; sheets."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

SMALLEST, LARGEST = 4, 4096
MOST_PIXELS = 4_194_304
"""Of a picture that is worked on, or made, as a whole."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
"""Of files; others start a program (EPS), or are for rare uses."""
DAMAGED = (OSError, ValueError, SyntaxError, TypeError, NotImplementedError, Image.DecompressionBombError)


def read(value, name: str = "picture") -> Image.Image:
    """An RGB image of a path, PIL image, array (H, W[, 3 or 4]) or tensor (3, H, W) or (1, 3, H, W), float or uint8.

    Palette, CMYK, grey, 16-bit and transparent pictures are converted (transparency onto white). ValueError, one
    sentence that starts with ``name``, for anything that is not one still picture of a sensible size.
    """
    return _rgb(_still(open_image(value, name), name), name)


def read_all(value, name: str = "picture", read_one: Callable = read) -> list[Image.Image]:
    """Images of a list of pictures, an array (N, H, W, 3) or a tensor (N, 3, H, W), or of one picture alone.

    read_one: ``read`` or ``read_mask``; errors as there, and for an empty list.
    """
    several = isinstance(value, (list, tuple)) or (isinstance(value, (Tensor, np.ndarray)) and value.ndim == 4)
    images = [read_one(one, name) for one in (value if several else [value])]
    if not images:
        raise ValueError(f"{name}: expected a picture, got none")
    return images


def read_mask(value, name: str = "mask") -> Image.Image:
    """A mode "1" image, set where the picture is opaque and light; errors as for ``read``."""
    image = _still(open_image(value, name), name)
    if "A" in image.getbands() or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha.point(lambda level: 255 if level >= 128 else 0).convert("1")
    return _rgb(image, name).convert("L").point(lambda level: 255 if level >= 128 else 0).convert("1")


def to_tensor(images: Image.Image | list[Image.Image], size: int) -> Tensor:
    """The central squares of RGB images, one or several, at ``size`` pixels: (N, 3, size, size) float32 in [0, 1].

    size: 0 for all of the images, which are then equally large, (N, 3, H, W).
    """
    images = images if isinstance(images, list) else [images]
    levels = torch.from_numpy(np.stack([np.asarray(_square(image, size) if size else image) for image in images]))
    return levels.permute(0, 3, 1, 2).float() / 255


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    resample = Image.Resampling.BICUBIC if min(image.size) < size else Image.Resampling.BOX
    return ImageOps.fit(image, (size, size), resample)


def to_mask(image: Image.Image, size: int) -> Tensor:
    """The central square of a mask at ``size`` pixels: (1, 1, size, size), 1 where any covered pixel is set.

    size: 0 for all of the mask as it is, (1, 1, H, W).
    """
    if size == 0:
        return torch.from_numpy(np.array(image.convert("1")))[None, None].float()
    side = min(image.size)
    square = np.array(ImageOps.fit(image.convert("L"), (side, side), Image.Resampling.NEAREST))
    mask = torch.from_numpy(square)[None, None].float() / 255
    return (F.adaptive_max_pool2d(mask, size) > 0.5).float()


def to_images(x: Tensor) -> list[Image.Image]:
    """PIL images of pictures (N, 3, H, W) in [0, 1]."""
    levels = (x.detach().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(level) for level in levels]


GAP = 2
"""White pixels between the pictures of a sheet."""


def columns_for(count: int) -> int:
    """How many pictures a row of a sheet has: about twice as many as there are rows."""
    return min(count, math.ceil(math.sqrt(count * 2)))


def sheet(x: Tensor, *, columns: int | None = None, zoom: int = 1, gap: int = GAP) -> Image.Image:
    """One white-framed RGB image of all pictures (N, 3, H, W), each pixel ``zoom`` pixels wide."""
    images = to_images(x)
    columns = min(columns or columns_for(len(images)), len(images))
    rows = math.ceil(len(images) / columns)
    width, height = (side * zoom for side in images[0].size)
    gap = gap if len(images) > 1 else 0
    page = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for index, image in enumerate(images):
        place = index % columns * (width + gap), index // columns * (height + gap)
        page.paste(image.resize((width, height), Image.Resampling.NEAREST), place)
    return page


def open_image(value, name: str, *, sized: bool = True) -> Image.Image:
    """What ``read`` accepts, as it is; ``sized``: only of 4 to 4096 pixels per side. ValueError as for ``read``."""
    if isinstance(value, Tensor):
        value = value[0] if value.ndim == 4 and len(value) == 1 else value
        if value.ndim != 3 or value.shape[0] not in (1, 3):
            raise ValueError(f"{name}: expected a tensor of shape (3, H, W), got {tuple(value.shape)}")
        if not (value.is_floating_point() or value.dtype in (torch.uint8, torch.bool)):
            raise ValueError(f"{name}: expected a tensor of floats in [0, 1] or of uint8, got {value.dtype}")
        if value.dtype != torch.uint8:
            value = (value.detach().float().clamp(0, 1) * 255).round().byte()
        value = value.cpu().permute(1, 2, 0).numpy()
    if isinstance(value, np.ndarray):
        try:
            value = Image.fromarray(value.squeeze() if value.ndim == 3 and value.shape[-1] == 1 else value)
        except (TypeError, ValueError):
            raise ValueError(
                f"{name}: expected a uint8 array of shape (H, W, 3), got {value.dtype} {value.shape}"
            ) from None
    if isinstance(value, (str, Path)):
        try:
            value = Image.open(value, formats=FORMATS)
        except DAMAGED:
            raise ValueError(f"{name}: expected a readable picture file, got {show_value(value)}") from None
    if not isinstance(value, Image.Image):
        raise ValueError(f"{name}: expected a picture, got {show_value(value)}")
    width, height = value.size
    if sized and not (min(width, height) >= SMALLEST and max(width, height) <= LARGEST):
        raise ValueError(f"{name}: expected {SMALLEST} to {LARGEST} pixels a side, got {width}x{height}")
    return value


def is_small(path: Path, side: int) -> bool:
    """Whether this is a PNG of at most ``side`` pixels a side; only its header is read."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return max(image.size) <= side
    except DAMAGED:
        return False


def _still(image: Image.Image, name: str) -> Image.Image:
    """The one picture of a file, whole and the right way up."""
    try:
        still = not _has_second(image)
        image = ImageOps.exif_transpose(image) if still else image
    except DAMAGED:
        raise ValueError(f"{name}: expected a whole picture file, got a damaged or truncated one") from None
    if not still:
        raise ValueError(f"{name}: expected a still picture, got an animation")
    return image


def _has_second(image: Image.Image) -> bool:
    """Whether a second picture follows; to count all of them can take minutes for a file made to be slow."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        levels = np.clip(np.asarray(image, dtype=np.float64), 0, 65535)
        image = Image.fromarray((levels / 257).round().astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray(np.clip(np.nan_to_num(np.asarray(image)), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        page = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(page, image)
    try:
        return image.convert("RGB")
    except ValueError:
        raise ValueError(f"{name}: expected colours that convert to RGB, got mode {image.mode}") from None


def show_value(value) -> str:
    """A file by its name alone: where an uploaded one lies is the server's business."""
    return repr((Path(value).name or str(value)) if isinstance(value, (str, Path)) else value)[:100]
