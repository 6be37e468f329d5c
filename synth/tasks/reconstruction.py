"""Pictures from a classifier's features."""

import torch

from synth import hub, metrics
from synth.constraints import L2
from synth.objectives import feature_distance, jittered, smoothed
from synth.parameters import Choice, Float, Int, Picture, Twin, seed_parameter
from synth.pgd import cosine, iterate
from synth.randomness import draw
from synth.tasks.inversion import Inversion, depth_parameter, feature_error, inversion_size

DECODED = "rebuilt by a decoder"
SHOWN = ("all", "decoder", "every depth")
"""Every way to rebuild, the decoder's alone, or the decoder's from each of the stages up to the deepest."""


class Reconstruction(Inversion):
    """See what the model keeps of a picture: rebuild it from its features, by a decoder or step by step.

    Rojas-Gomez et al. 2021; step by step as in Engstrom et al. 2019.
    """

    name = "reconstruction"
    title = "Reconstruct"
    order = 8
    varies = False
    equation = r"\hat x = G(f(x)), \qquad x_\text{opt} = \arg\min_{x'} \|f(x') - f(x)\|_2 / \|f(x)\|_2"
    parameters = {
        "picture": Picture(help="The picture to take apart and rebuild."),
        "beside": Twin(help="Another checkpoint that rebuilds the picture, too, to compare."),
        "depth": depth_parameter(4),
        "size": inversion_size(),
        "show": Choice(
            default=SHOWN[0],
            options=SHOWN,
            help="What steps rebuild, too; or, if none is chosen beside it, the decoder's alone, or from every depth.",
        ),
        "steps": Int(default=100, minimum=1, maximum=1000, help="How many steps rebuild the second one."),
        "step_size": Float(
            default=1, minimum=0.001, maximum=10, step=0.01, unit="L2", more=True, help="Length of its first step."
        ),
        "jitter": Int(
            default=1, minimum=0, maximum=8, more=True, unit="pixels", help="Random shift of what the model sees then."
        ),
        "seed": seed_parameter(),
    }
    presets = {"paper": {"depth": 4, "steps": 500, "step_size": 0.5}}

    def check(self, model, *, preset="tuned", **settings):
        values = super().check(model, preset=preset, **settings)
        if values["beside"]:
            other(model, values["beside"])
        return values

    def run(self, model, p, generators, frame):
        x, depth = p.picture, p.depth
        z = model.maps(x, depth)[-1]
        rows, names = [model.decoder(z, depth)], [DECODED]
        if p.show != SHOWN[0] and p.beside in ("", "none"):
            yield from decoded(model, x, range(1, depth + 1) if p.show == SHOWN[2] else [depth], frame)
            return
        twin = other(model, p.beside)
        if twin is not None:
            deep = min(depth, twin.decoder.depth)
            rows.append(twin.decoder(twin.maps(x, deep)[-1], deep))
            names.append(f"from the features of {twin.name}" if p.beside else "from an ordinary model's features")
        elif depth < (deepest := model.decoder.depth):
            rows.append(model.decoder(model.maps(x, deepest)[-1], deepest))
            names.append("from its deepest features")
        losses = [feature_error(model, row, z, depth) for row in rows]
        captions = tuple(name for name in (*names, "rebuilt step by step") for _ in x)
        loss, start = feature_distance(model, z, depth), (0.5 + 0.02 * draw(x, generators)).clamp(0, 1)

        def at(step, picture, value):
            pictures = torch.cat([*rows, picture])
            return frame(step, p.steps, pictures, torch.cat([*losses, value]), begun, captions=captions)

        begun = torch.cat([*rows, start])
        with torch.no_grad():
            value = loss(start)
        yield at(0, start, value)
        size = cosine(p.step_size * x.shape[-1] / model.image_size)
        view = jittered(smoothed(loss, 1), p.jitter, generators)
        for state in iterate(view, start, L2(), steps=p.steps, step_size=size):
            yield at(state.step, state.pictures, state.loss)

    def compare(self, frame, original):
        """A row for each way to reconstruct, by its caption."""
        truth = frame.settings["picture"]
        rows = zip(frame.captions[:: len(truth)] or [DECODED], frame.pictures.split(len(truth)), strict=True)
        return metrics.table(dict(rows), truth)


def decoded(model, x, depths, frame):
    """Frames of pictures ``x``, and of what the decoder makes of their features after each number of stages."""
    maps = model.maps(x, max(depths))
    captions = tuple(f"after {depth} stage{'s' * (depth > 1)}" for depth in depths for _ in x)

    def at(step, rows):
        losses = [feature_error(model, row, maps[depth - 1], depth) for row, depth in zip(rows, depths, strict=True)]
        start, words = torch.cat([x] * len(depths)), captions if len(depths) > 1 else ()
        return frame(step, 1, torch.cat(rows), torch.cat(losses), start, captions=words)

    yield at(0, [x] * len(depths))
    yield at(1, [model.decoder(maps[depth - 1], depth) for depth in depths])


def other(model, name: str):
    """The checkpoint ``name`` ready to decode, or the standard one beside ``model``; None for none."""
    standard = model.name.split("-l2")[0] + "-standard"
    if name == "none" or (not name and (standard == model.name or standard not in hub.bundled())):
        return None
    try:
        twin = hub.load(name or standard, device=model.device)
    except ValueError as error:
        raise ValueError(f"beside: {str(error).partition(': ')[2]}") from None
    if twin.decoder is None:
        if not name:
            return None
        raise ValueError(f"beside: expected a checkpoint with a decoder, got {name}")
    return twin.inference_copy()
