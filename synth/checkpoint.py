"""A checkpoint is one thing: a folder whose files are listed here, written here with their seal, and read back here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module

from synth import integrity, starts
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.features import FeatureGallery
from synth.integrity import Seal

CONFIG, WEIGHTS, SEAL, START = "config.json", "model.safetensors", "seal.json", "start.safetensors"
DECODER, DECODER_CONFIG = "decoder.safetensors", "decoder.json"
FEATURES, FORMER_FEATURES = ("features.png", "features.json"), ("units.png", "units.json")
EVALUATION, CARD, SAMPLES, EXAMPLES = "evaluation.json", "README.md", "samples.webp", "examples/*.png"
ONNX = "onnx"
"""The folder of its export, for use without PyTorch."""
_PACKAGE = Path(__file__).resolve().parent
BUNDLED = path if (path := _PACKAGE / "checkpoints").is_dir() else _PACKAGE.parent / "checkpoints"
"""The checkpoints that come with the package: inside it where it is installed, beside it in a clone."""
SHARED = BUNDLED / "starts"
"""Their starts, which depend on the data set alone: each lies there once, under the first digits of its checksum."""


@dataclass(frozen=True)
class File:
    """A file of a checkpoint, or a pattern for several; all of them are published."""

    name: str
    required: bool = False
    """Whether nothing can be loaded without it."""
    beside: str = ""
    """A file that is of no use without this one."""
    sealed: bool = False
    """Whether its checksum is in the seal."""
    downloaded: bool = True
    """Whether the package needs it; the Hub's page needs the others."""


FILES = (
    File(CARD, downloaded=False),
    File(CONFIG, required=True),
    File(WEIGHTS, required=True, sealed=True),
    File(SEAL, required=True),
    File(START, sealed=True),
    File(DECODER, sealed=True),
    File(DECODER_CONFIG, beside=DECODER),
    File(EVALUATION),
    *(File(name) for name in FEATURES + FORMER_FEATURES),
    File(EXAMPLES),
    File(SAMPLES, downloaded=False),
    File(f"{ONNX}/**/*", downloaded=False),
)
PUBLISHED = [file.name for file in FILES]
SEALED = [file.name for file in FILES if file.sealed]
DOWNLOADED = [file.name for file in FILES if file.downloaded]


class Damaged(ValueError):
    """A checkpoint's file is not the one that was saved."""


def paths(folder: Path, patterns: Iterable[str] = PUBLISHED) -> dict[str, Path]:
    """The files of the checkpoint in ``folder`` that match ``patterns``, by their names relative to it."""
    files = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
    found = {path.relative_to(folder).as_posix(): path for path in files}
    return found | {START: start_path(folder)} if START in patterns and start_path(folder).exists() else found


def start_path(folder: Path) -> Path:
    """Where the start of the checkpoint in ``folder`` lies, or would lie: in the folder itself, or in SHARED."""
    try:
        checksum = Seal.read(folder / SEAL).sha256.get(START, "")
    except ValueError:
        checksum = ""
    return shared if not (folder / START).exists() and (shared := _shared(checksum)).exists() else folder / START


def _shared(checksum: str) -> Path:
    return SHARED / f"{Path(str(checksum)).name[:16]}.safetensors"


def save(folder: str | Path, model: Classifier) -> None:
    """Write ``model`` with its start and decoders, and seal them.

    Matrices are kept in half precision; biases and statistics, which are small, in single. The export of former
    weights is deleted.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / ONNX, ignore_errors=True)
    weights = {name: _compact(tensor) for name, tensor in model.state_dict().items()}
    weights |= {"mean": model.mean, "std": model.std}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    _write_config(folder, model.config)
    _seal(folder, [WEIGHTS], integrity.known_logits(_load_classifier(folder, str(folder))))
    add(folder, start_tensors=model.start_tensors, decoders=model.decoders)


def add(
    folder: str | Path,
    *,
    start_tensors: dict[str, Tensor] | None = None,
    decoders: dict[str, Decoder] | None = None,
    features: FeatureGallery | None = None,
    real_losses: dict[str, list[float]] | None = None,
    evaluation: dict | None = None,
) -> None:
    """Write parts of the checkpoint in ``folder``, in place of those that are there, and renew its seal."""
    folder, written = Path(folder), []
    if start_tensors:
        starts.save(start_tensors, folder / START)
        written.append(START)
    if decoders:
        _save_decoders(folder, decoders)
        written.append(DECODER)
    if features is not None:
        features.save(*(folder / name for name in FEATURES))
    if real_losses is not None:
        config = json.loads((folder / CONFIG).read_text()) | {"real_losses": real_losses}
        _write_config(folder, config)
    if evaluation is not None:
        (folder / EVALUATION).write_text(json.dumps(evaluation, indent=2) + "\n")
    if written:
        _seal(folder, written, Seal.read(folder / SEAL).logits)


def _write_config(folder: Path, config: dict) -> None:
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def missing(folder: Path) -> str:
    """The name of a file that the checkpoint in ``folder`` lacks, "" if it is complete."""
    names = [file.name for file in FILES if file.required or (file.beside and (folder / file.beside).exists())]
    names += Seal.read(folder / SEAL).sha256 if (folder / SEAL).exists() else []
    return next((name for name in names if not _path(folder, name).exists()), "")


def _path(folder: Path, name: str) -> Path:
    return start_path(folder) if name == START else folder / name


def verify(folder: str | Path, name: str | None = None) -> Seal:
    """The seal of the checkpoint in ``folder``, called ``name`` in errors, once its files agree with it.

    ValueError if a file is missing, Damaged if one differs.
    """
    folder, name = Path(folder), name or str(folder)
    try:
        absent, seal = missing(folder), Seal.read(folder / SEAL)
    except ValueError:
        raise Damaged(f"checkpoint: {name} is damaged: no readable {SEAL}") from None
    if absent:
        raise ValueError(f"checkpoint: {name} is incomplete: no {absent}")
    for file in {WEIGHTS} | seal.sha256.keys():
        if file not in SEALED or seal.sha256.get(file) != integrity.sha256(_path(folder, file)):
            raise Damaged(f"checkpoint: {name} is damaged: {file} differs from its checksum in {SEAL}")
    return seal


def load(folder: str | Path, *, name: str | None = None, device: str = "cpu") -> Classifier:
    """The checkpoint in ``folder``, in eval mode; ``name`` is what errors and pictures call it.

    Only safetensors and JSON are read. Every weight must be there, the files must have the checksums of their seal, and
    the model must answer the known picture as it did when it was saved. ValueError, one sentence, otherwise.
    """
    folder, name = Path(folder), name or str(folder)
    seal = verify(folder, name)
    model = _load_classifier(folder, name)
    if not seal.accepts(model):
        raise ValueError(f"checkpoint: {name} is damaged: its logits for the known picture differ from the sealed ones")
    model.source, model.folder = name, folder
    model.info.setdefault("name", folder.name)
    if (start := start_path(folder)).exists():
        model.start_tensors = starts.load(start)
    model.decoders = {key: decoder.to(device) for key, decoder in _load_decoders(folder).items()}
    return model.to(device)


def load_features(folder: Path) -> FeatureGallery:
    """Pictures of the features of the checkpoint in ``folder``, none if there are no such files."""
    for names in (FEATURES, FORMER_FEATURES):
        sheet, rows = (folder / name for name in names)
        if sheet.exists() and rows.exists():
            return FeatureGallery.load(sheet, rows)
    return FeatureGallery()


def load_evaluation(folder: Path) -> dict:
    """What ``training.evaluate`` measured of the checkpoint in ``folder``, {} if nothing."""
    path = folder / EVALUATION
    return json.loads(path.read_text()) if path.exists() else {}


def examples(folder: Path) -> dict[str, Path]:
    """Pictures that come with the checkpoint in ``folder``, by what they show."""
    return {path.stem: path for path in sorted(folder.glob(EXAMPLES))}


def _load_classifier(folder: Path, name: str) -> Classifier:
    try:
        config = json.loads((folder / CONFIG).read_text())
        shapes = _shapes(Classifier, config)
    except (OSError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"checkpoint: expected a readable {CONFIG} in {name}, got {_line(error)}") from None
    try:
        _compare(shapes, folder / WEIGHTS)
        model = Classifier(**config)
        model.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # missing, damaged or of another network: each has its own type
        raise ValueError(f"checkpoint: expected a whole {WEIGHTS} in {name}, got {_line(error)}") from None
    return model.eval()


def _shapes(kind: type[Module], config: dict) -> dict[str, list[int]]:
    """The shape of every tensor of the module that ``config`` describes, which takes no memory for it."""
    with torch.device("meta"):
        return {name: list(tensor.shape) for name, tensor in kind(**config).state_dict().items()}


def _compare(shapes: dict[str, list[int]], path: Path, prefix: str = "") -> None:
    """ValueError unless just these tensors are in the file, after ``prefix``; they are not read."""
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        there = {name.removeprefix(prefix): file.get_slice(name).get_shape() for name in names}
    for name in sorted(shapes.keys() | there.keys()):
        if shapes.get(name) != there.get(name):
            raise ValueError(f"{prefix}{name}: expected {_shape(shapes.get(name))}, got {_shape(there.get(name))}")


def _shape(shape: list[int] | None) -> str:
    return "no such tensor" if shape is None else "x".join(map(str, shape)) or "a number"


def _save_decoders(folder: Path, decoders: dict[str, Decoder]) -> None:
    weights = {f"{name}/{key}": _compact(one) for name, d in decoders.items() for key, one in d.state_dict().items()}
    save_file(weights, folder / DECODER)
    configs = {name: decoder.config for name, decoder in decoders.items()}
    (folder / DECODER_CONFIG).write_text(json.dumps(configs, indent=1) + "\n")


def _load_decoders(folder: Path) -> dict[str, Decoder]:
    if not (folder / DECODER).exists():
        return {}
    decoders = {}
    try:
        tensors = load_file(folder / DECODER)
        for name, config in json.loads((folder / DECODER_CONFIG).read_text()).items():
            _compare(_shapes(Decoder, config), folder / DECODER, f"{name}/")
            decoders[name] = Decoder(**config).eval()
            own = {key.removeprefix(f"{name}/"): one for key, one in tensors.items() if key.startswith(f"{name}/")}
            decoders[name].load_state_dict(own)
    except Exception as error:  # safetensors has its own exception type
        raise ValueError(f"decoder: expected a whole {DECODER} and {DECODER_CONFIG}, got {_line(error)}") from None
    return decoders


def _seal(folder: Path, written: list[str], logits: list[float]) -> None:
    """Seal the files ``written`` just now; the others keep their checksums, so that no damage is sealed."""
    before = Seal.read(folder / SEAL).sha256 if (folder / SEAL).exists() else {}
    kept = {name: value for name, value in before.items() if name not in written}
    sums = {n: kept.get(n) or integrity.sha256(_path(folder, n)) for n in SEALED if _path(folder, n).exists()}
    Seal(sums, logits).write(folder / SEAL)
    if START in written and folder.resolve().parent == BUNDLED:
        (folder / START).replace(_shared(sums[START]))


def _compact(tensor: Tensor) -> Tensor:
    """As it is saved: matrices in half precision, vectors as they are."""
    tensor = tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
    return tensor.contiguous().clone()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
