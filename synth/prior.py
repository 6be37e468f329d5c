"""The classifier as a prior for the inverse problems of deepinv, which needs ``pip install deepinv``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synth.classifier import Classifier
from synth.objectives import cross_entropy


def class_prior(model: Classifier, labels: Tensor) -> nn.Module:
    """A ``deepinv.optim.Prior``: g(x), (N,), is the cross-entropy of pictures (N, 3, H, W) in [0, 1] to ``labels``.

    labels: (N,), or (1,) for the same class in all pictures. It has a gradient, so deepinv's gradient descent (``GD``)
    takes it; its proximity operator is deepinv's own, by inner descent. ValueError if deepinv is not installed.
    """
    try:
        from deepinv.optim import Prior  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        raise ValueError("prior: expected deepinv to be installed (pip install deepinv), it is not") from None
    engine = model.engine()

    class ClassPrior(Prior):
        def __init__(self):
            super().__init__()
            self.explicit_prior = True

        def fn(self, x: Tensor, *_, **__) -> Tensor:
            return cross_entropy(engine, labels.expand(len(x)))(x)

        def grad(self, x: Tensor, *_, **__) -> Tensor:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.fn(x).sum(), x)[0]

    return ClassPrior()
