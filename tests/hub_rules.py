"""What the Hub refuses: whose token may write where, what an account must pay for, and metadata that does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from huggingface_hub import RepoCard, SpaceHardware

HARDWARE = [hardware.value for hardware in SpaceHardware]
COLOURS = ["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]
SDKS = ["gradio", "docker", "static"]
LICENSES = ["mit", "apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "openrail", "other", "unknown"]
TASKS = ["image-classification", "unconditional-image-generation", "image-to-image", "image-feature-extraction"]
REPOSITORY = r"[\w.-]+/[\w.-]+"


@dataclass(frozen=True)
class Account:
    """Whose token it is; role: "read" or "write"; paid: whether the account pays for hardware."""

    name: str
    role: str = "write"
    paid: bool = False


ACCOUNTS = {
    "hf_owner": Account("owner"),
    "hf_reader": Account("owner", role="read"),
    "hf_patron": Account("patron", paid=True),
}
"""The tokens that the server knows."""


def may_write(account: Account, name: str) -> bool:
    """Whether the account may change the repository ``name`` (owner/name)."""
    return account.role == "write" and name.split("/")[0] == account.name


def hardware_error(account: Account, sdk: str, hardware: str) -> tuple[int, str] | None:
    """The status and message for a Space that the account may not have on this hardware; None if it may."""
    if hardware not in HARDWARE:
        return 400, f'"hardware" must be one of [{", ".join(HARDWARE)}]'
    if account.paid or sdk == "static" or hardware == "zero-a10g":
        return None
    return 402, f"A {sdk} Space on {hardware} needs a paid account; ZeroGPU and static Spaces are free."


def _text(value) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _repositories(value) -> bool:
    names = value if isinstance(value, list) else [value]
    return all(isinstance(name, str) and re.fullmatch(REPOSITORY, name) for name in names)


def _one_of(values: list[str]):
    return lambda value: value in values


def _address(value) -> bool:
    return isinstance(value, str) and re.match(r"https?://\S+$", value) is not None


def _results(value) -> bool:
    """Whether a model-index is whole."""
    try:
        parts = [(model["name"], result) for model in value for result in model["results"]]
        return bool(parts) and all(
            _text(name)
            and _text(result["task"]["type"])
            and _text(result["dataset"]["name"])
            and _text(result["dataset"]["type"])
            and all(_text(metric["type"]) and isinstance(metric["value"], int | float) for metric in result["metrics"])
            for name, result in parts
        )
    except (KeyError, TypeError):
        return False


CUSTOM_HEADERS = {f"cross-origin-{name}-policy" for name in ("embedder", "opener", "resource")}
SPACE = {
    "title": _text,
    "emoji": lambda value: isinstance(value, str) and 0 < len(value) <= 4 and not value.isascii(),
    "colorFrom": _one_of(COLOURS),
    "colorTo": _one_of(COLOURS),
    "sdk": _one_of(SDKS),
    "sdk_version": lambda value: re.fullmatch(r"\d+\.\d+(\.\d+)?", str(value)) is not None,
    "python_version": lambda value: re.fullmatch(r"3\.\d+", str(value)) is not None,
    "app_file": _text,
    "license": _one_of(LICENSES),
    "short_description": lambda value: _text(value) and len(value) <= 60,
    "models": lambda value: isinstance(value, list) and _repositories(value),
    "datasets": lambda value: isinstance(value, list) and _repositories(value),
    "tags": _texts,
    "thumbnail": _address,
    "suggested_hardware": _one_of(HARDWARE),
    "startup_duration_timeout": lambda value: re.fullmatch(r"\d+(s|m|h)", str(value)) is not None,
    "preload_from_hub": _texts,
    "pinned": lambda value: isinstance(value, bool),
    "custom_headers": lambda value: isinstance(value, dict) and set(value) <= CUSTOM_HEADERS,
}
MODEL = {
    "license": _one_of(LICENSES),
    "library_name": _text,
    "pipeline_tag": _one_of(TASKS),
    "datasets": lambda value: isinstance(value, list) and _repositories(value),
    "tags": _texts,
    "base_model": _repositories,
    "base_model_relation": _one_of(["finetune", "adapter", "quantized", "merge"]),
    "model_name": _text,
    "model-index": _results,
}
REQUIRED = {"space": ("title", "emoji", "colorFrom", "colorTo", "sdk"), "model": ()}


def metadata_errors(kind: str, text: str) -> list[str]:
    """What is wrong with the front matter of the README ``text`` of a "model" or a "space"."""
    try:
        fields = RepoCard(text, ignore_metadata_errors=True).data.to_dict()
    except Exception as error:  # the YAML parser has types of its own
        return [f"the metadata is no YAML: {' '.join(str(error).split())}"]
    rules = SPACE if kind == "space" else MODEL
    errors = [f'"{name}" is required' for name in REQUIRED[kind] if name not in fields]
    errors += [f'"{name}" is not allowed' for name in fields if name not in rules]
    errors += [
        f'"{name}" is not valid: {str(value)[:80]!r}' for name, value in fields.items() if name in rules
        if not rules[name](value)
    ]  # fmt: skip
    return errors
