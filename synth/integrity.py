"""Whether a checkpoint is the one that was saved: checksums of its files, and its logits for one known picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from synth.classifier import Classifier
from synth.sizes import check_names, check_numbers, check_table, read_json

COUNT = 16
"""Logits that a seal holds, at most."""
TOLERANCE = 0.01
"""Relative to the largest logit: other machines and versions differ by less, a wrong preprocessing by more."""


@dataclass(frozen=True)
class Seal:
    """The SHA-256 of each sealed file by its name, and the first logits for the known picture."""

    sha256: dict[str, str]
    logits: list[float]

    @classmethod
    def read(cls, path: Path) -> Seal:
        """From ``seal.json``; ValueError if it is missing or damaged."""
        try:
            content = read_json(path)
            check_table("sha256", content["sha256"])
            check_names("sha256", content["sha256"].values())
            check_numbers("logits", content["logits"])
            return cls(content["sha256"], content["logits"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ValueError(f"seal: expected a readable {path.name}, got none") from None

    def write(self, path: Path) -> None:
        check_numbers("logits", self.logits)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def accepts(self, model: Classifier) -> bool:
        """Whether ``model`` answers the known picture as the sealed one did."""
        sealed, logits = torch.tensor(self.logits), torch.tensor(known_logits(model))
        if sealed.shape != logits.shape:
            return False
        return bool((sealed - logits).abs().max() <= TOLERANCE * sealed.abs().max().clamp_min(1))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_picture(size: int) -> Tensor:
    """Smooth waves of each colour (1, 3, size, size), the same everywhere."""
    line = torch.arange(size) / size
    waves = [torch.sin(6.3 * (k + 1) * line)[:, None] * torch.cos(6.3 * (k + 2) * line)[None] for k in range(3)]
    return (0.5 + 0.4 * torch.stack(waves))[None]


@torch.no_grad()
def known_logits(model: Classifier) -> list[float]:
    """The first logits of ``model``, in eval mode, for ``known_picture``."""
    logits = model(known_picture(model.image_size).to(model.device))[0, :COUNT]
    return [round(value, 5) for value in logits.tolist()]
