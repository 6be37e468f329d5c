"""Narrower networks that begin with the strongest channels of a wider one: structured pruning by magnitude.

Channels that are added to each other are kept or left out together, as in Fang et al. 2023, "DepGraph: towards any
structural pruning"; their strength is the norm of all weights that write or read them.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from synth.classifier import Classifier

Kind = int | None
"""A number for channels that belong together; None for those that stay, such as classes and colours."""


def narrow(model: Classifier, small: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the backbone of ``model`` in the shapes of ``small``, a network of the same parts and narrower.

    ValueError for shapes that leaving out channels does not lead to.
    """
    kinds, wide = coupled(model), model.state_dict()
    strengths: dict[Kind, Tensor | float] = {}
    for name, axes in kinds.items():
        for axis, kind in enumerate(axes if wide[name].ndim > 1 else ()):
            power = wide[name].double().square().transpose(0, axis).flatten(1).sum(1)
            strengths[kind] = power / power.mean() + (strengths.get(kind, 0) if kind is not None else 0)
    result = {}
    for name, target in small.items():
        tensor = wide[name]
        for axis, kind in enumerate(kinds.get(name, ())):
            count = target.shape[axis]
            if kind is not None and count < tensor.shape[axis]:
                kept = torch.as_tensor(strengths[kind]).topk(count).indices.sort().values
                tensor = tensor.index_select(axis, kept)
        if tensor.shape != target.shape:
            raise ValueError(
                f"initial: expected {name} in a shape from {tuple(target.shape)} on, got {tuple(wide[name].shape)}"
            )
        result[name] = tensor
    return result


def coupled(model: Classifier) -> dict[str, list[Kind]]:
    """{name of a tensor of the backbone: the kind of channels along each of its first two axes}."""
    kinds: dict[str, list[Kind]] = {}
    found: dict[fx.Node, Kind] = {}
    modules, fresh = dict(model.backbone.named_modules()), 0
    for node in _Tracer().trace(model.backbone).nodes:
        given = [found[one] for one in node.all_input_nodes]
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Conv2d | nn.Linear):
            depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels
            if isinstance(module, nn.Conv2d) and module.groups > 1 and not depthwise:
                raise ValueError(f"initial: expected a network without grouped convolutions, got {model.architecture}")
            fresh += 1
            out = given[0] if depthwise else None if module is model.head else fresh
            axes = [out, None if depthwise else given[0]]
        else:
            out = _join(given, found, kinds)
            axes = [out]
        found[node] = out
        if module is not None:
            for name, tensor in module.state_dict().items():
                if tensor.ndim:
                    kinds[f"backbone.{node.target}.{name}"] = axes[: tensor.ndim]
    return kinds


class _Tracer(fx.Tracer):
    """Looks into no module without parts."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not list(module.children())


def _join(given: list[Kind], found: dict[fx.Node, Kind], kinds: dict[str, list[Kind]]) -> Kind:
    """One kind for what an operation brings together, everywhere that one of the others stood."""
    first, *others = given or [None]
    for other in set(others) - {first}:
        for node, kind in found.items():
            found[node] = first if kind == other else kind
        for axes in kinds.values():
            axes[:] = [first if kind == other else kind for kind in axes]
    return first
