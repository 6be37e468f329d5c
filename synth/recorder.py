"""What happened in a run: pictures to scrub through, series to plot, and files to keep."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from synth import pictures
from synth.classifier import Classifier
from synth.constraints import norms
from synth.record import Record
from synth.tasks.base import Frame

MOST = 60
"""Steps that a recorder keeps."""
BYTES = 2**27
"""Bytes of pictures that a recorder keeps, though never fewer than two steps."""
BATCH = 64
FIRST, LAST = 600, 1800
"""Milliseconds that an animation rests on its first and its last step."""
COLOURS, SAMPLED = 254, 2**17
"""Colours of an animation's palette, and the number of pixels that it is computed from."""


@dataclass
class Moment:
    """A kept step, the ``order``-th that was added: levels (N, 3, H, W) uint8, loss and distance (N,), on the CPU.

    probabilities: (N, classes), NaN where they are not known yet.
    """

    order: int
    step: int
    levels: Tensor
    loss: Tensor
    distance: Tensor
    probabilities: Tensor


class Recorder:
    """The frames of one run, thinned out evenly as it grows; the first and the newest are always there.

    for frame in task.frames(model, ...):
        recorder.add(frame)

    model: of the run. Its class probabilities are worked out when they are first asked for, not during the run.
    most: how many steps to keep, at least 2; fewer where pictures are so many that they would exceed BYTES.
    """

    def __init__(self, model: Classifier, most: int = MOST):
        if most < 2:
            raise ValueError(f"most: expected at least 2, got {most}")
        self.model, self.most = model, most
        self.record = Record("", "", {})
        self._moments: list[Moment] = []
        self._seen, self._stride = 0, 1

    def add(self, frame: Frame) -> None:
        """Keep a frame, the later one of the run; ValueError if it is not later than those before."""
        moments = self._moments
        if moments and frame.step <= moments[-1].step:
            raise ValueError(f"frame: expected a step after {moments[-1].step}, got {frame.step}")
        if not moments:
            largest = frame.pictures.numel() * int(frame.settings.get("size", 1)) ** 2
            self.record, self.most = frame.record, max(2, min(self.most, BYTES // largest))
        elif moments[-1].order % self._stride:
            moments.pop()  # it was there as the newest only
        distance = norms(frame.pictures - frame.start).flatten().cpu()
        levels = (frame.pictures.detach().clamp(0, 1) * 255).round().byte().cpu()
        unknown = torch.full((len(levels), len(self.model.classes)), torch.nan) if self.model is not None else None
        moments.append(Moment(self._seen, frame.step, levels, frame.loss.detach().float().cpu(), distance, unknown))
        self._seen += 1
        if len(moments) > self.most:
            self._stride *= 2
            self._moments = [one for one in moments if one.order % self._stride == 0 or one is moments[-1]]

    def __len__(self) -> int:
        """How many steps are kept."""
        return len(self._moments)

    @property
    def size(self) -> int:
        """Bytes of the pictures that are kept."""
        return sum(moment.levels.nbytes for moment in self._moments)

    @property
    def steps(self) -> list[int]:
        """The kept steps' numbers."""
        return [moment.step for moment in self._moments]

    @property
    def epsilon(self) -> float | None:
        """How far the run lets a picture go, to compare with ``distance``; None where nothing limits it."""
        return self.record.settings.get("epsilon")

    @property
    def target(self) -> str | None:
        """The class that the run was asked for, if it was."""
        return self.record.settings.get("class_name")

    def pictures(self, index: int) -> Tensor:
        """Those of the ``index``-th kept step, rounded to 8 bits: (N, 3, H, W) in [0, 1]."""
        if not 0 <= index < len(self):
            raise ValueError(f"index: expected 0 to {len(self) - 1}, got {index}")
        return self._moments[index].levels / 255

    def sheet(self, index: int, *, zoom: int = 1) -> Image.Image:
        """All pictures of the ``index``-th kept step in one image.

        zoom: width of a pixel of the newest step; where a run began smaller, pictures are shown as large as those.
        """
        x = self.pictures(index)
        return pictures.sheet(x, zoom=max(1, zoom * self._side // x.shape[-1]))

    @property
    def _side(self) -> int:
        return self._moments[-1].levels.shape[-1]

    @property
    def loss(self) -> Tensor:
        """(kept, N): of the pictures before the step, from which it decode_stages; for step 0 of the start."""
        return torch.stack([moment.loss for moment in self._moments])

    @property
    def distance(self) -> Tensor:
        """(kept, N): L2 distance from the start, pixel units."""
        return torch.stack([moment.distance for moment in self._moments])

    @property
    def probabilities(self) -> Tensor:
        """(kept, N, classes): what the model sees in the kept pictures; slow when first asked for."""
        return self._probabilities(list(range(len(self._moments[0].levels))))

    def _probabilities(self, wanted: list[int]) -> Tensor:
        """Those of some pictures, (kept, wanted, classes), worked out where they are not known yet."""
        unknown = [moment for moment in self._moments if moment.probabilities[wanted].isnan().any()]
        engine = self.model.inference_copy() if unknown else self.model
        for _, group in groupby(unknown, lambda moment: moment.levels.shape):
            alike = list(group)
            levels = torch.cat([moment.levels[wanted] for moment in alike])
            with torch.no_grad():
                seen = torch.cat([engine(part.to(engine.mean) / 255).softmax(1) for part in levels.split(BATCH)])
            for moment, values in zip(alike, seen.float().cpu().split(len(wanted)), strict=True):
                moment.probabilities[wanted] = values
        return torch.stack([moment.probabilities[wanted] for moment in self._moments])

    def top(self, count: int = 5, picture: int | None = None) -> list[str]:
        """The ``count`` classes worth plotting, of one picture or of all: the target, then by highest probability."""
        probabilities = self.probabilities if picture is None else self._probabilities([picture])
        names = [self.model.classes[index] for index in probabilities.amax((0, 1)).argsort(descending=True).tolist()]
        return sorted(names, key=lambda name: name != self.target)[:count]

    def rows(self, name: str, picture: int | None = None) -> list[dict]:
        """ "loss" or "distance" in long form, of one picture or of all: [{"step", "picture", name}], from picture 0."""
        values = {"loss": self.loss, "distance": self.distance}[name].tolist()
        return [
            {"step": step, "picture": index, name: value}
            for step, row in zip(self.steps, values, strict=True)
            for index, value in enumerate(row)
            if picture in (None, index)
        ]

    def class_rows(self, count: int = 5, picture: int | None = None) -> list[dict]:
        """Probabilities of the ``top`` classes in long form: [{"step", "picture", "class", "probability"}]."""
        columns = [(name, self.model.classes.index(name)) for name in self.top(count, picture)]
        wanted = range(len(self._moments[0].levels)) if picture is None else [picture]
        return [
            {"step": step, "picture": index, "class": name, "probability": seen[column]}
            for step, row in zip(self.steps, self._probabilities(list(wanted)).tolist(), strict=True)
            for index, seen in zip(wanted, row, strict=True)
            for name, column in columns
        ]

    def save_gif(self, path: str | Path, *, zoom: int | None = None, seconds: float = 3) -> None:
        """An animated GIF that repeats, with the run's settings as its comment, as ``Record.read`` reads them.

        It rests on the first step and longer on the last, and takes ``seconds`` in between. All steps share one palette
        of 254 colours: a palette for each would be nearer, but flickers and takes twice the space. Equal neighbours
        become one longer step.

        zoom: width of a pixel (default: at least 128 a side, 64 where there are more than 16 pictures).
        ValueError if nothing was added, or for a zoom or seconds that do not fit; OSError as for any file.
        """
        if not self._moments:
            raise ValueError("recorder: expected at least one frame, got none")
        if zoom is not None and not 1 <= zoom <= 64:
            raise ValueError(f"zoom: expected 1 to 64, got {zoom}")
        if not 0.1 <= seconds <= 60:
            raise ValueError(f"seconds: expected 0.1 to 60, got {seconds}")
        count = len(self._moments[0].levels)
        zoom = zoom or -(-(128 if count <= 16 else 64) // self._side)
        palette = self._palette()
        steps = [
            self.sheet(index, zoom=zoom).quantize(palette=palette, dither=Image.Dither.NONE)
            for index in range(len(self))
        ]
        each = max(20, round(1000 * seconds / len(steps)))  # browsers slow down what is faster
        durations = [FIRST, *[each] * (len(steps) - 2), LAST] if len(steps) > 1 else [LAST]
        steps[0].save(
            path,
            "GIF",
            save_all=True,
            append_images=steps[1:],
            duration=durations,
            loop=0,
            comment=self.record.to_json(),
        )

    def _palette(self) -> Image.Image:
        """254 colours of all pictures and the white of sheets; the one that is left lets Pillow skip what stays."""
        each, chosen = SAMPLED // len(self._moments), []
        for moment in self._moments:
            pixels = moment.levels.permute(0, 2, 3, 1).reshape(-1, 3)
            chosen.append(pixels[torch.linspace(0, len(pixels) - 1, min(len(pixels), each)).long()])
        line = Image.fromarray(torch.cat(chosen)[None].numpy())
        colours = line.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
        palette = Image.new("P", (1, 1))
        palette.putpalette([*(colours.getpalette() or [])[: 3 * COLOURS], 255, 255, 255])
        return palette


def save_zip(frame: Frame, path: str | Path) -> None:
    """Every picture of ``frame`` as a PNG of its own size, the sheet, and the settings, which the PNGs hold too.

    Names: TASK-01.png and so on, sheet.png, settings.json. OSError as for any file.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for index, image in enumerate(frame.images, 1):
            buffer = io.BytesIO()
            frame.record.save(image, buffer)
            archive.writestr(f"{frame.record.task}-{index:02d}.png", buffer.getvalue())
        frame.save(buffer := io.BytesIO())
        archive.writestr("sheet.png", buffer.getvalue())
        archive.writestr("settings.json", frame.record.to_json(indent=2))
