"""The one model type: normalisation, a torchvision backbone sized for 32 to 224 pixels, a representation."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from synth import starts
from synth.autoencoder import Decoder
from synth.backbones import backbone
from synth.inference import fold_batch_norm, freeze
from synth.randomness import Randomness
from synth.sizes import CLASSES, SIDE, check_names, check_numbers, check_table, check_whole, check_width


class Classifier(nn.Module):
    """A classifier of pictures in [0, 1]; ``synth.checkpoint`` saves and loads it.

    architecture: one of ``synth.backbones.BACKBONES``.
    classes: names, in the order of the logits.
    image_size: the side, in pixels, that it was trained at; it also decides the stem.
    width: multiplier of the channel counts.
    mean, std: normalisation of each channel, applied inside.
    presets: {task: {preset name: {parameter: value}}} for synthesis with this checkpoint.
    groups: {superclass: [classes]}, where the classes have superclasses.
    pairs: (class, another that it turns into well); the first is the one to show first.
    real_losses: {objective: the median loss of real pictures of each class}, where they were measured.
    info: anything else worth keeping beside the weights (name, training recipe, data set).

    ValueError for sizes that no picture or network has.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str = "resnet18",
        classes: list[str] | None = None,
        image_size: int = 32,
        width: float = 1,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        presets: dict | None = None,
        groups: dict[str, list[str]] | None = None,
        pairs: list[tuple[str, str]] | None = None,
        real_losses: dict[str, list[float]] | None = None,
        info: dict | None = None,
    ):
        super().__init__()
        check_whole("image_size", image_size, SIDE, least=8)
        check_width(width)
        self.architecture, self.image_size, self.width = architecture, image_size, width
        self.classes = list(classes or [str(index) for index in range(10)])
        check_whole("classes", len(self.classes), CLASSES)
        self.presets, self.info = presets or {}, info or {}
        self.groups, self.pairs = groups or {}, dict(pairs or [])
        self.real_losses = real_losses or {}
        check_names("architecture", [architecture])
        check_names("classes", self.classes)
        check_names("pairs", [*self.pairs, *self.pairs.values()])
        check_table("groups", self.groups)
        check_names("groups", chain.from_iterable(self.groups.values()))
        check_table("presets", self.presets, 3)
        check_table("info", self.info)
        check_names("info", [self.name])
        check_table("real_losses", self.real_losses)
        mean, std = mean or [0.5] * 3, std or [0.25] * 3
        for name, values in (("mean", mean), ("std", std)):
            check_numbers(name, values, 3)
        if min(std) <= 0:
            raise ValueError(f"std: expected numbers above 0, got {std}")
        for name, losses in self.real_losses.items():
            check_numbers("real_losses", losses)
            if len(losses) != len(self.classes):
                raise ValueError(
                    f"real_losses: expected one for each class, {len(self.classes)}, got {len(losses)} {name}"
                )
        self.source = self.info.get("name", "unnamed")
        """The name that it was loaded by; pictures carry it, so that they can be repeated."""
        self.folder: Path | None = None
        """Where its files lie, if it was loaded."""
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.start_tensors: dict[str, Tensor] = {}
        """Statistics for ``sample_start`` by name, if the checkpoint has any."""
        self.decoders: dict[str, Decoder] = {}
        """Inverses of ``maps``, if the checkpoint has any: "" for all pictures, others by the name of those that each
        was trained on alone."""
        self._engine: tuple[list, Classifier] | None = None
        self._is_engine = False
        self._network = backbone(architecture)
        self.backbone = self._network.build(len(self.classes), image_size, width)

    @property
    def config(self) -> dict:
        """The arguments that make such a classifier, as JSON can hold them."""
        names = ("architecture", "classes", "image_size", "width", "presets", "groups", "info")
        numbers = {
            name: [round(value, 7) for value in getattr(self, name).flatten().tolist()] for name in ("mean", "std")
        }
        optional = {"real_losses": self.real_losses} if self.real_losses else {}
        return {name: getattr(self, name) for name in names} | numbers | {"pairs": list(self.pairs.items())} | optional

    @property
    def head(self) -> nn.Linear:
        """The last linear layer, from the representation to the logits."""
        last = self._network.classifier(self.backbone)
        last = last[-1] if isinstance(last, nn.Sequential) else last
        assert isinstance(last, nn.Linear)
        return last

    @property
    def name(self) -> str:
        return self.info.get("name", "unnamed")

    def group(self, name: str) -> str:
        """The superclass of the class ``name``, "" if it has none."""
        return next((group for group, classes in self.groups.items() if name in classes), "")

    @property
    def group_numbers(self) -> Tensor:
        """The superclass of each class as a number, (classes,)."""
        groups = [self.group(name) for name in self.classes]
        return torch.tensor([groups.index(group) for group in groups], device=self.device)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def feature_map(self, x: Tensor, *, identity_gradient: bool = False) -> Tensor:
        """The last feature map before pooling: (N, 3, H, W) in [0, 1] -> (N, features, h, w)."""
        return deque(self._maps(x, identity_gradient), maxlen=1).pop()  # keeps none of the earlier maps

    def _normalise(self, x: Tensor) -> Tensor:
        return (x.clamp(0, 1) - self.mean) / self.std

    def _maps(self, x: Tensor, identity_gradient: bool = False) -> Iterator[Tensor]:
        return self._network.maps(self.backbone, self._normalise(x), identity_gradient)

    @property
    def decoder(self) -> Decoder | None:
        """The inverse of ``maps`` for all pictures, if the checkpoint has one."""
        return self.decoders.get("")

    def maps(self, x: Tensor, depth: int) -> list[Tensor]:
        """Feature maps after each of the first ``depth`` stages: (N, 3, H, W) in [0, 1] -> (N, channels, h, w) each."""
        return list(islice(self._maps(x), depth))

    def stage_shapes(self, depth: int) -> tuple[list[int], list[int]]:
        """Channels of the map after each of the first ``depth`` stages, and by how much each stage shrinks its input.

        ValueError if there are fewer stages.
        """
        with torch.no_grad():
            x = torch.zeros(1, 3, self.image_size, self.image_size, device=self.device)
            shapes = [x.shape, *(z.shape for z in self.maps(x, 99))]
        if not 1 <= depth < len(shapes):
            raise ValueError(f"depth: expected 1 to {len(shapes) - 1}, the stages of {self.name}, got {depth}")
        pairs = list(pairwise(shapes[: depth + 1]))
        return [after[1] for _, after in pairs], [before[3] // after[3] for before, after in pairs]

    def representation(self, x: Tensor, *, identity_gradient: bool = False) -> Tensor:
        """R(x), the input of the last linear layer: (N, 3, H, W) in [0, 1] -> (N, features)."""
        return self.feature_map(x, identity_gradient=identity_gradient).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (N, 3, H, W) in [0, 1] -> (N, classes); torchvision's own forward, so hooks on any module fire."""
        return self.backbone(self._normalise(x))

    def folded_copy(self) -> Classifier:
        """A copy in eval mode without hooks or gradients of weights, batch norm folded into the convolutions."""
        twin = copy.deepcopy(self, self._shared()).eval().requires_grad_(False)
        for wrapper in ("forward", "_original_forward"):
            twin.__dict__.pop(wrapper, None)  # Accelerate's; they refer back, so that nothing would free the copy soon
        fold_batch_norm(twin.backbone)
        return twin

    def inference_copy(self) -> Classifier:
        """A ``folded_copy`` with the faster parts of ``synth.inference``, channels last; outputs as before."""
        twin = self.folded_copy()
        twin.backbone = freeze(twin.backbone).eval()
        twin.decoders = {name: decoder.inference_copy().to(self.device) for name, decoder in self.decoders.items()}
        twin._is_engine = True
        return twin.to(memory_format=torch.channels_last)

    def engine(self) -> Classifier:
        """The inference copy that runs share, and that nobody may change; an inference copy is its own.

        It is prepared again after the weights, the device, the decoders or the statistics for starts changed.
        """
        if self._is_engine:
            return self
        modules = [self, *self.decoders.values()]
        tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
        state: list = [(tensor.data_ptr(), tensor._version, tensor.device, tensor.dtype) for tensor in tensors]
        state += [id(self.start_tensors), tuple(self.decoders)]
        if self._engine is None or self._engine[0] != state:
            self._engine = state, self.inference_copy()
        return self._engine[1]

    def _shared(self) -> dict:
        """A memo for copies of the network alone, which share the statistics and have no decoders and no hooks.

        Hooks keep what they saw, which need not be possible to copy.
        """
        hooks = [one for part in self.modules() for one in (part._forward_hooks, part._forward_pre_hooks)]
        memo: dict = {id(one): type(one)() for one in hooks}
        return memo | {id(self.start_tensors): self.start_tensors, id(self.decoders): {}, id(self._engine): None}

    @property
    def starts(self) -> list[str]:
        """Names of the starts that ``sample_start`` can draw from."""
        return starts.available(self.start_tensors)

    def sample_start(self, name: str, labels: Tensor, *, scale: float = 1, generator: Randomness = None) -> Tensor:
        """Random starts (N, 3, S, S) for ``labels`` (N,); ValueError if the checkpoint lacks their statistics."""
        if name not in self.starts:
            possible = " or ".join(self.starts)
            raise ValueError(f"start: expected {possible}, since {self.name} lacks statistics of others, got {name!r}")
        start = starts.STARTS[name]
        pictures = start.sample(self.start_tensors, labels, self.image_size, scale=scale, generator=generator)
        return pictures.to(self.device)
