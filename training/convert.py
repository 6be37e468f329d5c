"""Convert another project's robust checkpoint into one of ours: ``python -m training.convert FILE --output FOLDER``.

FILE is a path, or OWNER/NAME/FILE on the Hub; ``--url`` takes an address instead. It may be a checkpoint of the
robustness library (CIFAR, ImageNet and Restricted ImageNet, like ``madrylab/robust-imagenet-models``) or a plain state
dict of a torchvision network, alone or nested, with or without a normalisation inside, like those of RobustBench, or
one of EfficientNet-Lite. Only tensors are read. ``--like CHECKPOINT`` keeps the classes of that checkpoint alone, so
that a standard classifier which nobody here has trained can judge its pictures.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from torch import Tensor
from torchvision.models._meta import _IMAGENET_CATEGORIES

from synth import checkpoint, hub
from synth.backbones import BACKBONES
from synth.classifier import Classifier
from training import foreign
from training.config import CIFAR10_MEAN, CIFAR10_STD
from training.presets import CIFAR10_PAIRS, CIFAR10_PRESETS, PRESETS_224

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RESTRICTED = ("dog", "cat", "frog", "turtle", "bird", "primate", "fish", "crab", "insect")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LAYOUTS = {
    10: ("uoft-cs/cifar10", CIFAR10, 32, CIFAR10_MEAN, CIFAR10_STD),
    9: ("Restricted ImageNet", RESTRICTED, 224, (0.4717, 0.4499, 0.3837), (0.2600, 0.2516, 0.2575)),
    1000: ("ILSVRC/imagenet-1k", tuple(_IMAGENET_CATEGORIES), 224, IMAGENET_MEAN, IMAGENET_STD),
}
"""By the number of classes: data set, class names, side in pixels, and the normalisation unless the file has one."""
NORMALISATIONS = {"mean": ("normalizer.new_mean", "mean", "mu"), "std": ("normalizer.new_std", "std", "sigma")}
OTHERS = {"resnet56": (IMAGENET_MEAN, IMAGENET_STD)} | dict.fromkeys(
    ("efficientnet_lite0", "efficientnet_lite2"), ((127 / 255,) * 3, (128 / 255,) * 3)
)
"""Mean and deviation that the public weights of these networks were trained with, instead of those of the data set."""
NAMES = {
    "efficientnet-lite0": "efficientnet_lite0",
    "efficientnet-lite2": "efficientnet_lite2",
    "resnet18": "resnet18",
    "wide_resnet50_2": "wide_resnet50_2",
    "wide_resnet50_4": "wide_resnet50_4",
    "resnext50_32x4d": "resnext50_32x4d",
    "resnet50": "resnet50",
    "resnet56": "resnet56",
    "densenet": "densenet161",
    "mnasnet": "mnasnet1_0",
    "mobilenet": "mobilenet_v2",
    "shufflenet": "shufflenet_v2_x1_0",
    "vgg16_bn": "vgg16_bn",
}
"""Architectures by the beginning of the file's name."""


def convert(state: dict[str, Tensor], architecture: str, *, name: str, width: float = 1) -> Classifier:
    """Our model with the weights of ``state``, tensors by name; ValueError if they are not of ``architecture``."""
    state, normalisation = _split_normalisation(state)
    classes = _classes(state)
    if classes not in LAYOUTS:
        raise ValueError(f"file: expected 9, 10 or 1000 classes, got {classes}")
    data, names, size, mean, std = LAYOUTS[classes]
    mean, std = OTHERS.get(architecture, (mean, std))
    radius = re.search(r"l2_eps(\d+(?:\.\d+)?)", name)
    epsilon = float(radius[1]) if radius else 0
    model = Classifier(
        architecture,
        list(names),
        size,
        width,
        normalisation.get("mean", list(mean)),
        normalisation.get("std", list(std)),
        CIFAR10_PRESETS if size == 32 else PRESETS_224,
        pairs=list(CIFAR10_PAIRS.items()) if size == 32 else None,
        info={"name": name, "data": data, "recipe": {"epsilon": epsilon}, "note": "converted"},
    )
    own = model.backbone.state_dict()
    if "_conv_stem.weight" in state and len(state) == len(own):
        state = dict(zip(own, state.values(), strict=True))  # other names, in the same order
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
    tensors = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    wrong = sorted((own.keys() - counters.keys()) ^ tensors.keys())
    wrong = wrong or [key for key in tensors if own[key].shape != tensors[key].shape]
    if wrong:
        raise ValueError(f"architecture: expected the file of a {architecture}, got one that differs in {wrong[0]}")
    model.backbone.load_state_dict(counters | tensors)
    return model.eval()


def like(model: Classifier, other: Classifier) -> Classifier:
    """``model`` with the classes of ``other`` alone, found by their names; ValueError for one that it does not know."""
    known = {_letters(name): index for index, name in reversed(list(enumerate(model.classes)))}
    for name in other.classes:
        if _letters(name) not in known:
            raise ValueError(f"like: expected classes that {model.name} knows, got {name}")
    rows = [known[_letters(name)] for name in other.classes]
    chosen = Classifier(**model.config | {"classes": other.classes, "groups": other.groups, "presets": {}})
    state = model.state_dict()
    for name, tensor in list(state.items())[-2:]:  # the head's
        state[name] = tensor[rows]
    chosen.load_state_dict(state)
    return chosen.eval()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _split_normalisation(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """The network's tensors under torchvision's names, and the mean and deviation that the file normalises with."""
    state = {key.removeprefix("module."): value for key, value in state.items()}
    normalisation = {}
    for part, names in NORMALISATIONS.items():
        for name in names:
            if name in state and state[name].numel() == 3:
                normalisation[part] = state.pop(name).flatten().tolist()
    state = {key: value for key, value in state.items() if not key.startswith(("attacker.", "normalizer."))}
    while state and all(key.startswith("model.") for key in state):
        state = {key.removeprefix("model."): value for key, value in state.items()}
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"(layer\d\.\d+)\.shortcut\.", r"\1.downsample.", key)
        renamed[re.sub(r"^linear\.", "fc.", key)] = value
    return renamed, normalisation


def _classes(state: dict[str, Tensor]) -> int:
    matrices = [value for value in state.values() if value.ndim == 2]
    if not matrices:
        raise ValueError("file: expected the weights of a classifier, got none of a linear layer")
    return len(matrices[-1])


def _architecture(source: str) -> str:
    name = Path(source).name
    for prefix, architecture in NAMES.items():
        if name.startswith(prefix):
            return architecture
    expected = "--architecture, since the name of the file begins with none"
    raise ValueError(f"architecture: expected {expected}, got {name[:80]}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.convert", description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", help="a path, or OWNER/NAME/FILE on the Hub")
    source.add_argument("--url", help="an address, http or https, to fetch the file from")
    parser.add_argument("--architecture", choices=BACKBONES, help="the network (default: from the file's name)")
    parser.add_argument("--width", type=float, default=1, help="multiplier of the channels (default 1)")
    parser.add_argument("--name", help="name of the checkpoint (default: that of the file)")
    parser.add_argument("--like", metavar="CHECKPOINT", help="keep only the classes of this checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        source = options.url or options.file
        architecture = options.architecture or _architecture(source)
        name = options.name or Path(source).stem
        with tempfile.TemporaryDirectory() as folder:
            path = foreign.fetch_url(options.url, Path(folder)) if options.url else foreign.fetch(options.file)
            model = convert(foreign.read(path), architecture, name=name, width=options.width)
        model = like(model, hub.load(options.like)) if options.like else model
        checkpoint.save(options.output, model)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    print(f"{options.output}: {architecture}, {len(model.classes)} classes, {model.image_size} pixels")


if __name__ == "__main__":
    main()
