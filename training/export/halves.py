"""A small file: weights of an ONNX graph stored once and in half precision, computed with in single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from synth.classifier import Classifier

SMALLEST = 1024
"""Tensors of fewer numbers stay as they are."""


def scales(model: Classifier, folded: Classifier) -> dict[bytes, tuple[np.ndarray, np.ndarray]]:
    """{a convolution's weight in ``folded``: (its weight in ``model``, the factor of each output channel)}.

    A checkpoint keeps weights in half precision; folding batch norm makes others of them, which do not fit into it.
    """
    known = {}
    for before, after in zip(_convolutions(model), _convolutions(folded), strict=True):
        weight, product = (one.weight.detach().cpu().float().numpy() for one in (before, after))
        flat = weight.reshape(len(weight), -1).astype(np.float64)  # so that the product is the same to the last bit
        power = (flat * flat).sum(1).clip(1e-30)
        factor = (flat * product.reshape(flat.shape)).sum(1) / power
        known[product.tobytes()] = weight, factor.reshape(-1, *[1] * (weight.ndim - 1)).astype(np.float32)
    return known


def _convolutions(model: Classifier) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def store_halves(graph: Any, known: dict[bytes, tuple[np.ndarray, np.ndarray]]) -> None:
    """Store the large weights of an ONNX graph in half precision, in place; ``known`` as of ``scales``.

    Each is cast, and multiplied by its factors, where it is used; ONNX Runtime does so once, when it loads the file.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for one in list(graph.initializer):
        if one.data_type != TensorProto.FLOAT or np.prod(one.dims) < SMALLEST:
            continue
        name, (weight, factor) = one.name, known.get(_bytes(one), (numpy_helper.to_array(one), None))
        one.CopyFrom(numpy_helper.from_array(weight.astype(np.float16), f"{name}.half"))
        single = name if factor is None else f"{name}.single"
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [single], to=TensorProto.FLOAT))
        if factor is not None:
            graph.initializer.append(numpy_helper.from_array(factor, f"{name}.factor"))
            nodes.append(helper.make_node("Mul", [single, f"{name}.factor"], [name]))
    nodes += list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def strip(graph: Any) -> None:
    """Remove from an ONNX graph, in place, where in Python each node came from, and the shapes of what is between."""
    del graph.value_info[:]
    for node in graph.node:
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                strip(attribute.g)


def _bytes(tensor: Any) -> bytes:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor).tobytes()
