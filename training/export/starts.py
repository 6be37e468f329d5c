"""The statistics of a checkpoint's start, one small file a class."""

from __future__ import annotations

from synth.classifier import Classifier


def path(index: int) -> str:
    """The file of the class ``index``, relative to the export."""
    return f"starts/{index}.bin"


def files(model: Classifier) -> dict[str, bytes]:
    """{path: the tensors of one class in half precision, in the order of ``shapes``}."""
    tensors = {name: tensor.cpu().half().numpy() for name, tensor in model.start_tensors.items()}
    count = len(model.classes) if tensors else 0
    return {
        path(index): b"".join(one[index].astype("<f2").tobytes() for one in tensors.values()) for index in range(count)
    }


def shapes(model: Classifier) -> dict[str, list[int]]:
    """The shape of each tensor in such a file."""
    return {name: list(tensor.shape[1:]) for name, tensor in model.start_tensors.items()}
