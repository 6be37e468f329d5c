"""Train a decoder of a frozen checkpoint: ``python -m training.train_decoder CHECKPOINT --data FOLDER``.

The same command continues a run that was killed; ``accelerate launch -m training.train_decoder ...`` uses several
processes. ``OUTPUT/checkpoint`` is the whole checkpoint with its decoder (arXiv 2106.06927).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn

from synth import checkpoint, hub
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.metrics import psnr
from synth.tasks.anomaly_detection import anomaly_scores, feature_misfit
from training import loop, machine
from training.data import Pictures, augment, hold_out, of
from training.discriminator import Discriminator

SCORED, BATCH = 200, 50
"""Held-out pictures, at most, with whose anomaly scores others are compared, and how many at a time."""


@dataclass(frozen=True)
class DecoderConfig:
    """How to train one decoder; a weight of 0 leaves a loss out."""

    name: str = ""
    """What its pictures show, "" for all pictures; a checkpoint may have several decoders."""
    side: int = 0
    """Side of the training pictures in pixels, 0 for the encoder's own; a smaller one costs less."""
    initial: str = ""
    """Checkpoint whose decoder of this name and shape to begin with, "" for random weights."""
    depth: int = 4
    """Stages of the encoder to invert, together with all that come before."""
    width: float = 1.0
    """Multiplier of the channels within the decoder's blocks."""
    pixel: float = 1.0
    """Weight of the mean absolute difference of the pictures."""
    feature: float = 0.03
    """Weight of the mean squared difference between the encoder's standardised maps of both pictures."""
    stages: float = 0.03
    """Weight of the same difference between each block's output and the encoder's map there; teaches every depth."""
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
        for name, least in {"side": 0, "epochs": 1, "batch_size": 1, "depth": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if not self.pixel + self.feature + self.adversarial:
            raise ValueError("pixel: expected one of pixel, feature and adversarial above 0, got none")


def train(
    config: DecoderConfig,
    encoder: Classifier,
    data: Pictures,
    output: Path,
    *,
    own_size: Pictures | None = None,
    max_minutes: float = math.inf,
    quiet: bool = False,
    change_recipe: bool = False,
) -> Decoder:
    """Train a decoder of ``encoder`` on ``data``, continuing whatever ``output`` holds; returns the averaged one.

    own_size: the same pictures at the encoder's own size, where ``data`` has another.
    ``training.train.train`` says what ``output`` gets and when. ValueError for a depth that the encoder lacks.
    """
    accelerator = machine.accelerate(DistributedDataParallelKwargs(find_unused_parameters=True))
    limits = {"max_minutes": max_minutes, "quiet": quiet, "change_recipe": change_recipe}
    run = loop.Run(f"{encoder.name} decoder", output, accelerator, recipe=dataclasses.asdict(config), **limits)
    torch.manual_seed(config.seed)
    normal, _ = hold_out(own_size or data, config)
    held_out, data = hold_out(data, config)
    trainer = DecoderTrainer(config, encoder, data, accelerator)
    run.resume(trainer.parts)
    for batch in run.batches(data, config):
        run.add(**trainer.step(batch))
        if batch.ends_epoch:
            validation = trainer.validate(held_out) if accelerator.is_main_process else {}
            run.log(batch, validation, trainer.optimizer.param_groups[0]["lr"])
        if run.save_due(batch):
            if accelerator.is_main_process:
                run.save(batch, trainer.parts)
                trainer.write(output / "checkpoint", normal, run.summary(batch))
            accelerator.wait_for_everyone()
        if run.over:
            break
    return trainer.result.eval()


class DecoderTrainer:
    """Learns to decode the maps of a frozen encoder, from a random depth at each step.

    result: the averaged decoder; parts: all that a save must hold.
    """

    def __init__(self, config: DecoderConfig, encoder: Classifier, data: Pictures, accelerator: Accelerator):
        self.config, self.source, self.accelerator = config, encoder, accelerator
        device = accelerator.device
        self.encoder = encoder.inference_copy().to(device)
        channels, scales = encoder.stage_shapes(config.depth)
        side, shrinks = data.pictures.shape[-1], math.prod(scales)
        if side % shrinks:
            raise ValueError(f"side: expected a multiple of {shrinks} pixels, which the stages make one, got {side}")
        decoder = Decoder(channels, scales, config.width)
        if config.initial:
            begin_with(decoder, config)
        self.decoder = decoder.to(device, memory_format=torch.channels_last)
        decoder.info = {"encoder": encoder.name, "plan": dataclasses.asdict(config), "classes": data.classes}
        with torch.no_grad():
            decoder.standardise(self.encoder.maps(data[:512][0].to(device), config.depth))
        self.average = loop.averaged(decoder, config.ema)
        self.result = self.average.module
        optimizer = torch.optim.Adam(decoder.blocks.parameters(), lr=0, betas=(0.9, 0.99))
        self.decode_stages, self.optimizer = accelerator.prepare(_Stages(decoder), optimizer)
        self.parts = {"decoder": decoder, "average": self.average, "adam": optimizer}
        if config.adversarial:
            discriminator = Discriminator(decoder.channels[-1]).to(device, memory_format=torch.channels_last)
            adversary = torch.optim.Adam(discriminator.parameters(), lr=0, betas=(0.0, 0.9))
            self.parts |= {"discriminator": discriminator, "against": adversary}
            self.discriminator, self.adversary = accelerator.prepare(discriminator, adversary)

    def step(self, batch: loop.Batch) -> dict[str, float]:
        """Learn from this process's part of the ``batch``.

        Returns sums of the losses over the part, and its "count".
        """
        config, accelerator = self.config, self.accelerator
        rate = config.learning_rate * loop.one_cycle(batch.progress)
        loop.set_learning_rate(self.optimizer, rate)
        depth = self._random_depth(batch.generator)
        x = augment(batch.pictures, batch.generator, config.padding, batch.part, len(batch)).to(accelerator.device)
        with accelerator.autocast():
            maps = [self.decoder.normalise(z, k) for k, z in enumerate(self.maps(x, depth), 1)]
            decoded = self.decode_stages(maps[-1], depth)
            losses = {"pixel": (decoded[-1] - x).abs().mean()}
            if config.feature:
                again = self.decoder.normalise(self.encoder.maps(decoded[-1], depth)[-1], depth)
                losses["feature"] = F.mse_loss(again.float(), maps[-1].float())
            if config.stages and depth > 1:
                pairs = zip(decoded[1:-1], maps[-2::-1], strict=True)
                losses["stages"] = torch.stack([F.mse_loss(one.float(), z.float()) for one, z in pairs]).mean()
            if config.adversarial and depth == config.depth:
                self._train_discriminator(x, decoded[-1].detach(), maps[-1], 2 * rate)
                losses["adversarial"] = -self.discriminator(decoded[-1], maps[-1]).mean()
        loss = sum(getattr(config, name) * value.float() for name, value in losses.items())
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.decoder.parameters(), config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.decoder)
        return {"loss": loss.item() * len(x), "pixel": losses["pixel"].item() * len(x), "count": len(x)}

    @torch.no_grad()
    def maps(self, x: Tensor, depth: int) -> list[Tensor]:
        """The maps of the encoder, which does not learn."""
        return self.encoder.maps(x, depth)

    @torch.no_grad()
    def validate(self, data: Pictures) -> dict[str, float]:
        """Peak signal-to-noise ratio in dB of the decoded pictures, from each depth."""
        if not len(data):
            return {}
        x = data[:][0].to(self.accelerator.device)
        self.result.eval()
        maps = enumerate(self.encoder.maps(x, self.config.depth), 1)
        return {f"held_out_psnr_{depth}": round(psnr(self.result(z, depth), x).mean().item(), 3) for depth, z in maps}

    def write(self, folder: Path, normal: Pictures, summary: dict) -> None:
        """The whole checkpoint with this decoder, and with the anomaly scores of normal pictures to compare with."""
        self.result.info |= summary
        if len(normal):
            relative = bool(self.config.name) and self.encoder.decoder is not None
            self.result.info |= normal_scores(self.encoder, self.result.eval(), normal, relative)
        shutil.copytree(self.source.folder, folder, dirs_exist_ok=True)
        checkpoint.add(folder, decoders={**self.source.decoders, self.config.name: self.result})

    def _train_discriminator(self, x: Tensor, decoded: Tensor, z: Tensor, learning_rate: float) -> None:
        self.adversary.zero_grad()  # the decoder's last loss left gradients in the discriminator
        loop.set_learning_rate(self.adversary, learning_rate)
        real, fake = self.discriminator(torch.cat([x, decoded]), z.repeat(2, 1, 1, 1)).chunk(2)
        self.accelerator.backward(F.relu(1 - real).mean() + F.relu(1 + fake).mean())
        self.adversary.step()

    def _random_depth(self, generator: torch.Generator) -> int:
        depth = self.config.depth
        if depth == 1 or torch.rand((), generator=generator) < self.config.deepest:
            return depth
        return int(torch.randint(1, depth, (), generator=generator))


def begin_with(decoder: Decoder, config: DecoderConfig) -> None:
    """Give ``decoder`` the weights of the one that ``config.initial`` has; ValueError if there is none that fits."""
    theirs = hub.load(config.initial).decoders
    if config.name not in theirs:
        raise ValueError(f"initial: expected a checkpoint with a decoder {config.name!r}, got one with {list(theirs)}")
    try:
        decoder.load_state_dict(theirs[config.name].state_dict())
    except RuntimeError:
        raise ValueError(f"initial: expected a decoder of the same shape, got another in {config.initial}") from None


def normal_scores(encoder: Classifier, decoder: Decoder, normal: Pictures, relative: bool) -> dict[str, list[float]]:
    """The sorted anomaly scores of the first SCORED of the ``normal`` pictures; if relative, the heat maps' peaks."""
    scores: dict[str, list[float]] = {"normal_scores": []} | ({"normal_peaks": []} if relative else {})
    for begin in range(0, min(len(normal), SCORED), BATCH):
        x = normal[begin : min(begin + BATCH, SCORED)][0].to(encoder.device)
        *_, (_, _, some) = anomaly_scores(encoder, decoder, x, relative=relative)
        scores["normal_scores"] += some.tolist()
        if relative:
            scores["normal_peaks"] += feature_misfit(encoder, decoder, x).flatten(1).amax(1).tolist()
    return {name: sorted(round(one, 6) for one in values) for name, values in scores.items()}


class _Stages(nn.Module):
    """All maps that a decoder passes through, as a forward pass, which is what distributed training wraps."""

    def __init__(self, decoder: Decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, depth: int) -> list[Tensor]:
        return self.decoder.decode_stages(z, depth)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.train_decoder", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="bundled name, folder, or owner/name on the Hub")
    parser.add_argument("--data", help="folder or Hub data set instead of the one that it was trained on")
    parser.add_argument("--only", nargs="+", metavar="CLASS", help="train on pictures of these classes alone")
    parser.add_argument("--output", type=Path, help="folder of the run (default: runs/CHECKPOINT-decoder)")
    parser.add_argument("--max-minutes", type=float, default=math.inf, help="end cleanly within this wall-clock time")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--change-recipe", action="store_true", help="go on with a run of other settings")
    settings = parser.add_argument_group("how to train")
    fields = dataclasses.fields(DecoderConfig)
    for field in fields:
        kind = type(field.default)
        settings.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default, metavar="X")
    options = parser.parse_args(arguments)
    try:
        config = DecoderConfig(**{field.name: getattr(options, field.name) for field in fields})
        encoder = hub.load(options.checkpoint)
        data = of(encoder, "train", options.data, config.side)
        own_size = of(encoder, "train", options.data) if config.side else data
        if options.only:
            data, own_size = data.only(options.only), own_size.only(options.only)
        output = options.output or Path("runs") / f"{encoder.name}-decoder"
        limits = {"max_minutes": options.max_minutes, "quiet": options.quiet, "change_recipe": options.change_recipe}
        train(config, encoder, data, output, own_size=own_size, **limits)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
