"""Train a decoder of a frozen checkpoint: ``python -m training.train_decoder CHECKPOINT --data FOLDER``.

The same command continues a run that was killed; ``accelerate launch -m training.train_decoder ...`` uses several
processes. ``OUTPUT/checkpoint`` is the whole checkpoint with its decoder (arXiv 2106.06927).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import shutil
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from synth import autoencoder, hub, seal
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.metrics import psnr
from synth.tasks.anomaly_detection import anomaly_scores
from training import loop
from training.data import Pictures, augment, of
from training.train import split

SCORED = 200
"""Held-out pictures, at most, with whose anomaly scores others are compared."""


@dataclass(frozen=True)
class Plan:
    """How to train one decoder; a weight of 0 leaves a loss out."""

    name: str = ""
    """Of what it is trained on alone, "" for all pictures; the checkpoint may have several decoders."""
    depth: int = 4
    """Stages of the encoder to invert, together with all that come before."""
    width: float = 1.0
    """Multiplier of the channels within the decoder's blocks."""
    pixel: float = 1.0
    """Weight of the mean absolute difference of the pictures."""
    feature: float = 0.03
    """Weight of the mean squared difference of the encoder's maps of both pictures, standardised."""
    stages: float = 0.03
    """Weight of the same for what each block makes and the encoder's map there; lets every depth be decoded."""
    adversarial: float = 0.0
    """Weight of the score by a discriminator that sees the picture and its map."""
    deepest: float = 0.5
    """Part of the steps that decode from the deepest stage; the others share the rest."""
    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 2e-3
    clip: float = 1.0
    ema: float = 0.999
    padding: int = 2
    validation: int = 500
    seed: int = 0

    def __post_init__(self):
        for name in ("pixel", "feature", "stages", "adversarial"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name}: expected a weight of at least 0, got {getattr(self, name)}")
        for name in ("epochs", "batch_size", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.pixel + self.feature + self.adversarial:
            raise ValueError("pixel: expected one of pixel, feature and adversarial above 0, got none")


def train(
    plan: Plan,
    encoder: Classifier,
    data: Pictures,
    output: Path,
    *,
    max_minutes: float = math.inf,
    quiet: bool = False,
) -> Decoder:
    """Train a decoder of ``encoder`` on ``data``, continuing whatever ``output`` holds; returns the averaged one.

    ``training/loop.py`` says what ``output`` gets and when. ValueError for a depth that the encoder lacks.
    """
    began, accelerator = time.monotonic(), loop.accelerate(DistributedDataParallelKwargs(find_unused_parameters=True))
    torch.manual_seed(plan.seed)
    held_out, data = split(data, plan)
    work = DecoderTrainer(plan, encoder, data, held_out, accelerator)
    budget = {"began": began, "max_minutes": max_minutes, "quiet": quiet}
    shape = {"epochs": plan.epochs, "batch_size": plan.batch_size, "seed": plan.seed}
    loop.run(work, data, name=f"{encoder.name} decoder", output=output, accelerator=accelerator, **shape, **budget)
    return work.result.eval()


class DecoderTrainer(loop.Trainer):
    """Learning to decode the maps of a frozen encoder, from a random depth at each step."""

    def __init__(self, plan: Plan, encoder: Classifier, data: Pictures, held_out: Pictures, accelerator: Accelerator):
        self.plan, self.data, self.held_out, self.accelerator = plan, data, held_out, accelerator
        self.source, device = encoder, accelerator.device
        self.encoder = encoder.inference_copy().to(device)
        self.decoder = Decoder(*encoder.stage_shapes(plan.depth), plan.width)
        self.decoder.to(device, memory_format=torch.channels_last)
        self.decoder.info = {"encoder": encoder.name, "plan": dataclasses.asdict(plan), "classes": data.classes}
        with torch.no_grad():
            self.decoder.standardise(self.encoder.maps(data[:512][0].to(device), plan.depth))
        self.average = loop.averaged(self.decoder, plan.ema)
        self.result = self.average.module
        self.modules = {"decoder": self.decoder, "average": self.average}
        optimizer = torch.optim.Adam(self.decoder.blocks.parameters(), lr=0, betas=(0.9, 0.99))
        self.wrapped, self.optimizer = accelerator.prepare(_Chain(self.decoder), optimizer)
        self.optimizers = {"adam": optimizer}
        if plan.adversarial:
            judge = Discriminator(self.decoder.channels[-1]).to(device, memory_format=torch.channels_last)
            against = torch.optim.Adam(judge.parameters(), lr=0, betas=(0.0, 0.9))
            self.modules["discriminator"], self.optimizers["against"] = judge, against
            self.judge, self.against = accelerator.prepare(judge, against)

    def step(self, index: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        plan, accelerator = self.plan, self.accelerator
        for optimizer, rate in zip(self.optimizers.values(), (1, 2), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate * plan.learning_rate * loop.one_cycle(progress)
        depth = self._depth(generator)
        x = augment(self.data[index][0], generator, plan.padding)
        x = x[accelerator.process_index :: accelerator.num_processes].to(accelerator.device)
        with accelerator.autocast():
            maps = [self.decoder.normalise(z, k) for k, z in enumerate(self.maps(x, depth), 1)]
            decoded = self.wrapped(maps[-1], depth)
            losses = {"pixel": (decoded[-1] - x).abs().mean()}
            if plan.feature:
                again = self.decoder.normalise(self.encoder.maps(decoded[-1], depth)[-1], depth)
                losses["feature"] = F.mse_loss(again.float(), maps[-1].float())
            if plan.stages and depth > 1:
                pairs = zip(decoded[1:-1], maps[-2::-1], strict=True)
                losses["stages"] = torch.stack([F.mse_loss(made.float(), z.float()) for made, z in pairs]).mean()
            if plan.adversarial and depth == plan.depth:
                real, made = self.judge(torch.cat([x, decoded[-1].detach()]), maps[-1].repeat(2, 1, 1, 1)).chunk(2)
                accelerator.backward(F.relu(1 - real).mean() + F.relu(1 + made).mean())
                self.against.step()
                self.against.zero_grad()
                losses["adversarial"] = -self.judge(decoded[-1], maps[-1]).mean()
        loss = sum(getattr(plan, name) * value.float() for name, value in losses.items())
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.decoder.parameters(), plan.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if plan.adversarial:
            self.against.zero_grad()  # of the discriminator, through which the decoder's loss went
        self.average.update_parameters(self.decoder)
        return {"loss": loss.item() * len(x), "pixel": losses["pixel"].item() * len(x), "count": len(x)}

    @torch.no_grad()
    def maps(self, x: Tensor, depth: int) -> list[Tensor]:
        """The encoder's, which does not learn."""
        return self.encoder.maps(x, depth)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Peak signal-to-noise ratio in dB from each depth."""
        if not len(self.held_out):
            return {}
        x, found = self.held_out[:][0].to(self.accelerator.device), {}
        self.result.eval()
        maps = self.encoder.maps(x, self.plan.depth)
        for depth, z in enumerate(maps, 1):
            found[f"held_out_psnr_{depth}"] = round(psnr(self.result(z, depth), x).mean().item(), 3)
        return found

    def write(self, folder: Path, done: dict) -> None:
        """The whole checkpoint, with this decoder, which knows how anomaly detection scores held-out pictures."""
        self.result.info |= done
        if len(self.held_out):
            self.result.eval()
            x = self.held_out[:SCORED][0].to(self.accelerator.device)
            relative = bool(self.plan.name) and self.encoder.decoder is not None
            *_, (_, _, found) = anomaly_scores(self.encoder, self.result, x, relative=relative)
            self.result.info["normal_scores"] = [round(value, 6) for value in found.sort().values.tolist()]
        shutil.copytree(hub.folder(self.source.source), folder, dirs_exist_ok=True)
        autoencoder.save(folder, {**self.source.decoders, self.plan.name: self.result})
        seal.write(folder, self.source, self.source.image_size)

    def _depth(self, generator: torch.Generator) -> int:
        plan = self.plan
        if plan.depth == 1 or torch.rand((), generator=generator) < plan.deepest:
            return plan.depth
        return int(torch.randint(1, plan.depth, (), generator=generator))


class _Chain(nn.Module):
    """A decoder's every map, as a forward pass, which is what distributed training wraps."""

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, depth: int) -> list[Tensor]:
        return self.decoder.decode_stages(z, depth)


class Discriminator(nn.Module):
    """How real the places of pictures (N, 3, H, W) look, given the encoder's map (N, C, h, w): (N, 1, H/8, W/8)."""

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        counts = [3, width, 2 * width, 4 * width]
        steps = [(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2)) for a, b in pairwise(counts)]
        self.seen = nn.Sequential(*(part for step in steps for part in step))
        self.told = nn.Conv2d(channels, counts[-1], 1)
        self.last = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(counts[-1], 1, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                parametrizations.spectral_norm(module)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        seen = self.seen(x)
        return self.last(seen + F.interpolate(self.told(z), size=seen.shape[-2:])).float()


def only(data: Pictures, names: list[str]) -> Pictures:
    """The pictures of the classes ``names``, superclasses among them; ValueError for one that the data lacks."""
    names = [one for name in names for one in data.groups.get(name, [name])]
    unknown = [name for name in names if name not in data.classes]
    if unknown:
        raise ValueError(f"only: expected classes of the data, {', '.join(data.classes[:12])}, got {unknown[0]}")
    kept = torch.tensor([data.classes.index(name) for name in names])
    data = data.subset(torch.isin(data.labels, kept).nonzero().squeeze(1))
    return dataclasses.replace(data, classes=names)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.train_decoder", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="bundled name, folder, or owner/name on the Hub")
    parser.add_argument("--data", help="folder or Hub data set instead of the one that it was trained on")
    parser.add_argument("--only", nargs="+", metavar="CLASS", help="train on pictures of these classes alone")
    parser.add_argument("--output", type=Path, help="folder of the run (default runs/CHECKPOINT-decoder)")
    parser.add_argument("--max-minutes", type=float, default=math.inf, help="end cleanly within this wall-clock time")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    settings = parser.add_argument_group("how to train")
    for field in dataclasses.fields(Plan):
        kind = type(field.default)
        settings.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default, metavar="X")
    options = parser.parse_args(arguments)
    try:
        plan = Plan(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Plan)})
        encoder = hub.load(options.checkpoint)
        data = of(encoder, "train", options.data)
        if options.only:
            data = only(data, options.only)
        output = options.output or Path("runs") / f"{encoder.name}-decoder"
        train(plan, encoder, data, output, max_minutes=options.max_minutes, quiet=options.quiet)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
