"""The Python of a model card, and what its papers are called: every snippet runs as it stands, and a test runs it."""

from __future__ import annotations

from dataclasses import dataclass

from synth.backbones import SMALL


@dataclass(frozen=True)
class Paper:
    """key, title, authors and so on as BibTeX wants them; ``short`` is its name in a sentence."""

    arxiv: str
    short: str
    key: str
    title: str
    authors: str
    year: int

    @property
    def link(self) -> str:
        return f"[{self.short}](https://arxiv.org/abs/{self.arxiv})"

    @property
    def bibtex(self) -> str:
        fields = {"title": self.title, "author": self.authors, "year": self.year, "eprint": self.arxiv}
        fields |= {"archivePrefix": "arXiv", "url": f"https://arxiv.org/abs/{self.arxiv}"}
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@misc{{{self.key},\n{lines}\n}}"


SYNTHESIS = Paper(
    "1906.09453",
    "Santurkar et al. 2019",
    "santurkar2019image",
    "Image Synthesis with a Single (Robust) Classifier",
    "Santurkar, Shibani and Tsipras, Dimitris and Tran, Brandon and Ilyas, Andrew and Engstrom, Logan and "
    "Madry, Aleksander",
    2019,
)
AUTOENCODER = Paper(
    "2106.06927",
    "Rojas-Gomez et al. 2021",
    "rojasgomez2021inverting",
    "Inverting Adversarially Robust Networks for Image Synthesis",
    "Rojas-Gomez, Renan A. and Yeh, Raymond A. and Do, Minh N. and Nguyen, Anh",
    2021,
)
SECOND_STAGE = Paper(
    "2510.13872",
    "Yin et al. 2025",
    "yin2025joint",
    "Joint Discriminative-Generative Modeling via Dual Adversarial Training",
    "Yin, Xuwang and Zhang, Claire and Steele, Julie and Shavit, Nir and Wang, Tony T.",
    2025,
)

GENERATE = """import synth

model = synth.load("{name}")
synth.generation(model, class_name="{example}", count=8, seed=0).save("{example}.png")"""

DECODE = """import synth

model = synth.load("{name}")
synth.reconstruction(model, picture="picture.png").save("decoded.png")"""

CLASSIFY = """import synth
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

model = synth.load("{name}")
picture = Image.open("picture.png").convert("RGB").resize(({size}, {size}))
with torch.no_grad():
    probabilities = model(to_tensor(picture)[None]).softmax(1)[0]
print(model.classes[int(probabilities.argmax())], float(probabilities.max()))"""

PLAIN = """import json
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
{imports}
from torchvision.transforms.functional import to_tensor

with open("config.json") as file:
    classes = json.load(file)["classes"]
weights = {{name: tensor.float() for name, tensor in load_file("model.safetensors").items()}}
mean, std = weights.pop("mean"), weights.pop("std")
weights = {{name.removeprefix("backbone."): tensor for name, tensor in weights.items()}}

{build}
net.load_state_dict(weights)  # strict: every name and every shape fits
net.eval()

picture = Image.open("picture.png").convert("RGB").resize(({size}, {size}))
with torch.no_grad():
    logits = net((to_tensor(picture)[None] - mean) / std)
print(classes[int(logits.argmax())])"""

RESIZE = """for name, tensor in weights.items():  # {width:g} times as wide
    part, _, key = name.rpartition(".")
    setattr(net.get_submodule(part), key, nn.Parameter(tensor) if key in ("weight", "bias") else tensor)"""

SMALL_RESNET = """stem = weights["conv1.weight"]  # for small pictures: 3x3, without max-pooling
net.conv1 = nn.Conv2d(3, len(stem), 3, stride={stride}, padding=1, bias=False)
net.maxpool = nn.Identity()"""

SMALL_MOBILENET = """strided = [part for part in net.modules() if isinstance(part, nn.Conv2d) and part.stride == (2, 2)]
for part in strided[:{count}]:  # for small pictures
    part.stride = (1, 1)"""


def plain(architecture: str, image_size: int, width: float) -> str:
    """A snippet that makes such a network from torchvision's, loads the weights beside it, and classifies a picture."""
    small, fine = image_size < SMALL, image_size <= 48
    names, make, steps = architecture, f"{architecture}(num_classes=len(classes))", []
    if architecture == "wide_resnet50_4":
        names, make = "ResNet, resnet", "ResNet(resnet.Bottleneck, [3, 4, 6, 3], len(classes), width_per_group=256)"
    if architecture == "mobilenet_v2":
        make = f"mobilenet_v2(num_classes=len(classes), width_mult={width:g})"
        steps += [SMALL_MOBILENET.format(count=2 if fine else 1)] if small else []
    elif "res" in architecture:
        steps += [SMALL_RESNET.format(stride=1 if fine else 2)] if small else []
        steps += [RESIZE.format(width=width)] if width != 1 else []
    build = "\n".join([f"net = {make}", *steps])
    return PLAIN.format(imports=f"from torchvision.models import {names}", build=build, size=image_size)
