"""A checkpoint is one thing: a folder whose files are listed here, written here with their seal, and read back here."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from synth import integrity, pictures, starts
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.features import FeatureGallery
from synth.integrity import Seal
from synth.sizes import DECODERS, PICTURES, SIDE, check_table, check_whole, read_json
from synth.tensor_files import Damaged, Shapes, compare, read_tensors, shapes_of

CONFIG, WEIGHTS, SEAL, START = "config.json", "model.safetensors", "seal.json", "start.safetensors"
DECODER, DECODER_CONFIG = "decoder.safetensors", "decoder.json"
FEATURES = ("features.webp", "features.json")
FORMER_FEATURES = (("features.png", "features.json"), ("units.png", "units.json"))
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
    *(File(name) for name in dict.fromkeys(chain(FEATURES, *FORMER_FEATURES))),
    File(EXAMPLES),
    File(SAMPLES, downloaded=False),
    File(f"{ONNX}/**/*", downloaded=False),
)
PUBLISHED = [file.name for file in FILES]
SEALED = [file.name for file in FILES if file.sealed]
DOWNLOADED = [file.name for file in FILES if file.downloaded]


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
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as staged:  # a full disk leaves what is there
        path = Path(staged)
        save_file(weights, path / WEIGHTS, metadata={"format": "pt"})
        _write_config(path, model.config)
        logits = integrity.known_logits(_load_classifier(path, str(folder)))
        for name in (WEIGHTS, CONFIG):
            (path / name).replace(folder / name)
    _seal(folder, [WEIGHTS], logits)
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
        for old in chain(*FORMER_FEATURES):
            (folder / old).unlink(missing_ok=True)
        features.save(*(folder / name for name in FEATURES))
    if real_losses is not None:
        _write_config(folder, read_json(folder / CONFIG) | {"real_losses": real_losses})
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
    seal = _complete(folder, name)
    for file, checksum in seal.sha256.items():
        if checksum != integrity.sha256(_path(folder, file)):
            raise _damaged(name, file)
    return seal


def _complete(folder: Path, name: str) -> Seal:
    """The seal of the checkpoint in ``folder``, whose files are all there; nothing else of them is checked."""
    try:
        seal = Seal.read(folder / SEAL)
        absent = missing(folder)
    except ValueError:
        raise Damaged(f"checkpoint: {name} is damaged: no readable {SEAL}") from None
    for file in seal.sha256.keys() - SEALED or {file for file in SEALED if _path(folder, file).exists()}:
        if file not in seal.sha256 or file not in SEALED:
            raise _damaged(name, file)
    if absent:
        raise ValueError(f"checkpoint: {name} is incomplete: no {absent}")
    return seal


def _damaged(name: str, file: str) -> Damaged:
    return Damaged(f"checkpoint: {name} is damaged: {file[:80]} differs from its checksum in {SEAL}")


@contextmanager
def _plain_errors(name: str, file: str, expected: str) -> Iterator[None]:
    """Whatever goes wrong while ``file`` of the checkpoint ``name`` is read, in one sentence: each has its own type."""
    try:
        yield
    except Damaged:
        raise _damaged(name, file) from None
    except Exception as error:
        raise ValueError(f"{expected}, got {' '.join(str(error).split())[:160]}") from None


def load(folder: str | Path, *, name: str | None = None, device: str = "cpu") -> Classifier:
    """The checkpoint in ``folder``, in eval mode; ``name`` is what errors and pictures call it.

    Only safetensors and JSON are read. Every weight must be there, the bytes that are loaded must have the checksums of
    the seal, and the model must answer the known picture as it did when it was saved. Sizes are checked before they
    take memory. ValueError, one sentence, otherwise.
    """
    folder, name = Path(folder), name or str(folder)
    seal = _complete(folder, name)
    model = _load_classifier(folder, name, seal.sha256.get(WEIGHTS))
    if not seal.accepts(model):
        raise ValueError(f"checkpoint: {name} is damaged: its logits for the known picture differ from the sealed ones")
    model.source, model.folder = name, folder
    model.info.setdefault("name", folder.name)
    if START in seal.sha256:
        try:
            model.start_tensors = starts.load(start_path(folder), seal.sha256[START], len(model.classes))
        except Damaged:
            raise _damaged(name, START) from None
    if DECODER in seal.sha256:
        with _plain_errors(name, DECODER, f"decoder: expected a whole {DECODER} and {DECODER_CONFIG}"):
            decoders = _load_decoders(folder, seal.sha256[DECODER], model)
            model.decoders = {key: decoder.to(device) for key, decoder in decoders.items()}
    return model.to(device)


def feature_files(folder: Path) -> tuple[Path, Path] | None:
    """The sheet and the descriptions of the feature gallery in ``folder``, None if there is none."""
    pairs = ((folder / sheet, folder / rows) for sheet, rows in (FEATURES, *FORMER_FEATURES))
    return next((pair for pair in pairs if all(map(Path.exists, pair))), None)


def load_features(folder: Path) -> FeatureGallery:
    """Pictures of the features of the checkpoint in ``folder``, none if there are no such files."""
    files = feature_files(folder)
    return FeatureGallery.load(*files) if files else FeatureGallery()


def load_evaluation(folder: Path) -> dict:
    """What ``training.evaluate`` measured of the checkpoint in ``folder``, {} if nothing."""
    return read_json(path) if (path := folder / EVALUATION).exists() else {}


def examples(folder: Path) -> dict[str, Path]:
    """Pictures that come with the checkpoint in ``folder``, by what they show, but for those that are too large."""
    paths = islice((path for path in sorted(folder.glob(EXAMPLES)) if pictures.is_small(path, SIDE)), PICTURES)
    return {path.stem: path for path in paths}


def _load_classifier(folder: Path, name: str, checksum: str | None = None) -> Classifier:
    with _plain_errors(name, CONFIG, f"checkpoint: expected a readable {CONFIG} in {name}"):
        config = read_json(folder / CONFIG)
        shapes = shapes_of(Classifier, config)
    with _plain_errors(name, WEIGHTS, f"checkpoint: expected a whole {WEIGHTS} in {name}"):
        tensors = read_tensors(folder / WEIGHTS, checksum, lambda there: compare(shapes, there))
        model = Classifier(**config)
        model.load_state_dict(tensors)
    return model.eval()


def _save_decoders(folder: Path, decoders: dict[str, Decoder]) -> None:
    weights = {f"{name}/{key}": _compact(one) for name, d in decoders.items() for key, one in d.state_dict().items()}
    save_file(weights, folder / DECODER)
    configs = {name: decoder.config for name, decoder in decoders.items()}
    (folder / DECODER_CONFIG).write_text(json.dumps(configs, indent=1) + "\n")


def _load_decoders(folder: Path, checksum: str, model: Classifier) -> dict[str, Decoder]:
    configs = read_json(folder / DECODER_CONFIG)
    check_table("decoders", configs, 2)
    check_whole("decoders", len(configs), DECODERS)
    shapes: Shapes = {}
    for name, config in configs.items():
        shapes |= {f"{name}/{key}": shape for key, shape in shapes_of(Decoder, config).items()}
    tensors = read_tensors(folder / DECODER, checksum, lambda there: compare(shapes, there))
    decoders = {name: Decoder(**config).eval() for name, config in configs.items()}
    for name, decoder in decoders.items():
        stages = model.stage_shapes(decoder.depth)
        if (decoder.channels, decoder.scales) != stages:
            raise ValueError(f"channels and scales that differ from those of the classifier, {stages}")
        own = {key.removeprefix(f"{name}/"): one for key, one in tensors.items() if key.startswith(f"{name}/")}
        decoder.load_state_dict(own)
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
