"""Class-conditional generation."""

from dataclasses import replace

import torch

from synth.constraints import L2
from synth.multiscale import coarse_parameter, size_parameter
from synth.parameters import Choice, ClassName, Float, Int
from synth.pgd import iterate
from synth.starts import STARTS
from synth.tasks.inversion import depth_parameter
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, optimisation, steps_at_each_size


class Generation(Synthesis):
    """New pictures of a class: from a random blur, step by step, until the classifier is sure of it.

    Section 3.1 of Santurkar et al. 2019; with a decoder, the first steps may go through features instead of pixels.
    """

    name = "generation"
    title = "Generate"
    order = 1
    equation = r"x = \arg\min_{\|x' - x_0\|_2 \le \varepsilon} \mathcal{L}(x', y), \quad x_0 \sim \mathcal{G}_y"
    parameters = {
        "class_name": ClassName(help="What to make.", optional=True, blank="every class in turn", every=True),
        "count": Int(default=8, minimum=1, maximum=64, help="How many pictures."),
        "size": size_parameter(),
        **optimisation(epsilon=8, steps=40, step_size=0.25),
        **class_objective(),
        "start": Choice(
            default="gaussian",
            options=tuple(STARTS),
            more=True,
            help="What the random seeds are drawn from.",
        ),
        "start_scale": Float(
            default=1,
            minimum=0,
            maximum=2,
            more=True,
            help="How far seeds vary from their class's mean.",
        ),
        "stop": Choice(
            default="after all steps",
            options=("after all steps", "like real pictures"),
            more=True,
            help="When a picture is done: after all steps, or once it scores as real pictures of its class do.",
        ),
        "coarse_steps": coarse_parameter(),
        "latent_steps": Int(
            default=0,
            minimum=0,
            maximum=500,
            more=True,
            help="Steps through the decoder's features before those on pixels; needs a decoder.",
        ),
        "latent_step_size": Float(
            default=3,
            minimum=0.01,
            maximum=100,
            step=0.1,
            more=True,
            help="Length of each of those steps, in standardised features.",
        ),
        "latent_depth": depth_parameter(3, more=True),
    }
    presets = {
        "paper": {
            "epsilon": 30, "steps": 60, "step_size": 0.5, "objective": "cross-entropy", "jitter": 0,
            "start": "gaussian", "start_scale": 1,
        }
    }  # fmt: skip

    def problem(self, model, p, generators):
        classes = torch.arange(len(model.classes)) if p.class_name is None else torch.as_tensor(p.class_name).view(-1)
        labels = classes.cpu()[torch.arange(p.count) % len(classes)]
        pictures = model.sample_start(p.start, labels, scale=p.start_scale, generator=generators)
        labels = labels.to(model.device)
        until = None
        if p.stop == "like real pictures":
            until = torch.tensor(model.real_losses[p.objective], device=model.device)[labels]
        return Problem(class_loss(model, labels, p, generators), pictures, L2(p.epsilon), until)

    def check(self, model, *, preset="tuned", **settings):
        values = super().check(model, preset=preset, **settings)
        if values["latent_steps"] and model.decoder is None:
            raise ValueError(
                f"latent_steps: expected 0, since {model.name} has no decoder, got {values['latent_steps']}"
            )
        if values["stop"] == "like real pictures" and values["objective"] not in model.real_losses:
            raise ValueError(f"stop: expected after all steps, since {model.name} lacks the scores of real pictures")
        return values

    def run(self, model, p, generators, frame):
        problem = self.problem(model, p, generators)
        start, loss, depth = problem.start, problem.loss, p.latent_depth
        if not p.latent_steps:
            yield from self.descend(problem, p, generators, frame)
            return
        decoder, total = model.decoder, p.latent_steps + p.coarse_steps + sum(steps_at_each_size(p).values())
        with torch.no_grad():
            z = decoder.normalise(model.maps(start, depth)[-1], depth)
            losses = loss(start)
        yield frame(0, total, start, losses, start)
        climb = iterate(
            lambda z: loss(decoder.decode_stages(z, depth)[-1]),
            z,
            L2(boxed=False),
            steps=p.latent_steps,
            step_size=p.latent_step_size,
        )
        for state in climb:
            with torch.no_grad():
                x = decoder.decode_stages(state.pictures, depth)[-1]
            yield frame(state.step, total, x, state.loss, start)
        yield from self.descend(replace(problem, start=x), p, generators, frame, start=start, before=p.latent_steps)
