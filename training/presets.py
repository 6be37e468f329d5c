"""Settings of the tasks, and pairs of classes for translation, that published checkpoints carry."""

from __future__ import annotations

_FALLING = {"schedule": "cosine"}
CIFAR10_PRESETS = {
    "generation": {
        "tuned": {"start": "mixture", "epsilon": 4, "steps": 8, "step_size": 0.625},
        "small steps": {"start": "mixture", "epsilon": 4, "steps": 20, "step_size": 0.25},
        "closest to real": {"start": "mixture", "epsilon": 4, "steps": 20, "step_size": 0.15},
    },
    "inpainting": {
        "tuned": {"detail": 0.6, "epsilon": 2.5, "steps": 20, "step_size": 0.4, "resemblance": 16, **_FALLING},
        "remove things": {"epsilon": 4, "steps": 20, "step_size": 0.6, "resemblance": 1000, **_FALLING},
        "class alone": {"epsilon": 1.5, "steps": 20, "step_size": 0.12},
        "bolder": {"epsilon": 4, "steps": 40, "step_size": 0.15},
    },
    "translation": {"tuned": {"epsilon": 6, "steps": 60, "step_size": 0.15}},
    "super_resolution": {"tuned": {"detail": 0.3, "epsilon": 3, "steps": 20, "step_size": 0.5}},
    "sketch": {"tuned": {"epsilon": 6, "steps": 60, "step_size": 0.15}},
    "painting": {"tuned": {"epsilon": 4, "steps": 40, "step_size": 0.12}},
    "maximisation": {"tuned": {"epsilon": 12, "steps": 80, "step_size": 0.25}},
}
"""Chosen by looking at the slim robust checkpoint's sheets and by ``training.sweep``; the paper's are with tasks."""
DUAL_PRESETS = CIFAR10_PRESETS | {
    "generation": {
        "tuned": {"start": "gaussian", "epsilon": 8, "steps": 8, "step_size": 0.625},
        "small steps": {"start": "gaussian", "epsilon": 8, "steps": 20, "step_size": 0.25},
    },
    "painting": {"tuned": {"feature": 186, "epsilon": 4, "steps": 40, "step_size": 0.12}},
}
"""As above, for the slim checkpoint of the second stage, whose feature 186 is a frog's skin."""
CIFAR10_PAIRS = {
    "horse": "deer",
    "airplane": "bird",
    "automobile": "truck",
    "bird": "airplane",
    "cat": "dog",
    "deer": "horse",
    "dog": "cat",
    "frog": "bird",
    "ship": "airplane",
    "truck": "automobile",
}
"""Classes of like shape, for translations that work at once; every task does well on the first."""
TINY64_PAIRS = {
    "lion": "cougar",
    "cougar": "lion",
    "monarch": "sulphur butterfly",
    "lemon": "orange",
    "orange": "lemon",
    "tabby": "golden retriever",
    "golden retriever": "tabby",
    "sulphur butterfly": "monarch",
    "alp": "seashore",
    "seashore": "alp",
    "ox": "bison",
    "bison": "ox",
    "school bus": "police van",
    "police van": "school bus",
}
_SMOOTH = {"jitter": 4, "smoothing": 1}
TINY64_PRESETS = {
    "generation": {
        "tuned": {"start": "mixture", "epsilon": 20, "steps": 20, "step_size": 1.2, **_SMOOTH},
        "small steps": {"start": "mixture", "epsilon": 20, "steps": 40, "step_size": 0.6, **_SMOOTH},
        "fast": {"start": "mixture", "epsilon": 30, "steps": 6, "step_size": 5, "jitter": 0},
        "softer": {"start": "mixture", "epsilon": 15, "steps": 30, "step_size": 0.5, **_SMOOTH},
        "bolder": {"start": "mixture", "epsilon": 25, "steps": 50, "step_size": 0.7, **_SMOOTH},
    },
    "inpainting": {
        "tuned": {
            "detail": 0.65,
            "epsilon": 6,
            "steps": 20,
            "step_size": 1,
            "resemblance": 50,
            "jitter": 4,
            "smoothing": 0.5,
            **_FALLING,
        },
        "remove things": {
            "epsilon": 8,
            "steps": 20,
            "step_size": 1.3,
            "resemblance": 1000,
            "jitter": 4,
            "smoothing": 0.5,
            **_FALLING,
        },
        "class alone": {"epsilon": 3, "steps": 30, "step_size": 0.15, **_SMOOTH},
    },
    "translation": {"tuned": {"epsilon": 16, "steps": 60, "step_size": 0.4, **_SMOOTH}},
    "super_resolution": {"tuned": {"detail": 0.35, "epsilon": 6, "steps": 20, "step_size": 1, **_SMOOTH}},
    "sketch": {"tuned": {"epsilon": 20, "steps": 60, "step_size": 0.5, "texture": 0.02, **_SMOOTH}},
    "painting": {"tuned": {"feature": 193, "epsilon": 14, "steps": 60, "step_size": 0.4, **_SMOOTH}},
    "maximisation": {"tuned": {"epsilon": 24, "steps": 80, "step_size": 0.5, **_SMOOTH}},
}
"""Chosen by looking at the 64-pixel checkpoint's sheets, whose stem has stride 2; smoothed."""
_CALM = {"jitter": 8, "smoothing": 1, **_FALLING}
_STEADY = {"crop": 0.5, **_CALM}
_FILLED = {"epsilon": 25, "coarse_steps": 15, "steps": 20, "step_size": 4.2, **_CALM, "smoothing": 0.5}
IMAGENET20_PRESETS = {
    "generation": {
        "tuned": {"start": "mixture", "epsilon": 60, "coarse_steps": 40, "steps": 20, "step_size": 2, **_STEADY},
        "fast": {"start": "mixture", "epsilon": 60, "coarse_steps": 12, "steps": 8, "step_size": 6, "jitter": 4},
        "softer": {
            "start": "mixture",
            "epsilon": 60,
            "coarse_steps": 40,
            "steps": 20,
            "step_size": 2,
            "stop": "like real pictures",
            **_STEADY,
        },
        "own size alone": {"start": "mixture", "epsilon": 60, "steps": 30, "step_size": 3, **_STEADY},
    },
    "inpainting": {
        "tuned": {"detail": 0.45, "resemblance": 50, **_FILLED},
        "remove things": {"detail": 0.85, "resemblance": 1000, **_FILLED},
        "class alone": {"epsilon": 15, "steps": 40, "step_size": 0.8, "jitter": 4, "smoothing": 0.5},
    },
    "translation": {
        "tuned": {"focus": 1, "epsilon": 27, "coarse_steps": 40, "steps": 20, "step_size": 1.5, **_STEADY},
        "anywhere": {"epsilon": 30, "coarse_steps": 40, "steps": 20, "step_size": 1.5, **_STEADY},
    },
    "super_resolution": {"tuned": {"detail": 0.6, "epsilon": 12, "steps": 20, "step_size": 2, **_CALM}},
    "sketch": {
        "tuned": {
            "epsilon": 70,
            "coarse_steps": 50,
            "steps": 20,
            "step_size": 2,
            "texture": 0.02,
            "softness": 4,
            **_STEADY,
            "crop": 0.3,
        },
    },
    "painting": {"tuned": {"feature": 186, "epsilon": 40, "steps": 30, "step_size": 1.4, **_CALM}},
    "maximisation": {"tuned": {"epsilon": 84, "steps": 60, "step_size": 2, **_STEADY}},
    "denoising": {"tuned": {"depth": 1, "kept": 0, "size": 2}},
    "reconstruction": {"tuned": {"size": 2, "show": "every depth", "steps": 40, "step_size": 5}},
    "interpolation": {"tuned": {"depth": 2, "size": 2}},
    "style_transfer": {"tuned": {"depth": 2, "size": 1}},
}
"""Chosen by looking at the checkpoint's own sheets at 224 pixels; the shape is settled at 112."""
_SHORT = {"coarse_steps": 40, "steps": 8, "step_size": 3, **_CALM, "crop": 0.6}
IMAGENET20_DUAL_PRESETS = IMAGENET20_PRESETS | {
    "generation": IMAGENET20_PRESETS["generation"]
    | {"tuned": {"start": "mixture", "epsilon": 60, **_SHORT, "seed": 4}},
    "inpainting": IMAGENET20_PRESETS["inpainting"]
    | {"tuned": IMAGENET20_PRESETS["inpainting"]["tuned"] | {"seed": 15}},
    "translation": IMAGENET20_PRESETS["translation"]
    | {"tuned": {"focus": 1, "epsilon": 34, **_SHORT, "coarse_steps": 60, "crop": 0.35}},
    "painting": {
        "tuned": {"feature": 92, "epsilon": 36, **_SHORT, "coarse_steps": 60, "crop": 0.35, "seed": 3},
        "own size alone": {"feature": 92, "epsilon": 70, "steps": 50, "step_size": 2, **_STEADY},
    },
}
"""As above, for the checkpoint of the second stage, which needs fewer steps of its own size, and whose feature 92 is
the head of a springer. The seeds are those of good first pictures; sheets begin with 0."""
IMAGENET20_PAIRS = {
    "golden retriever": "Samoyed",
    "Samoyed": "golden retriever",
    "English springer": "beagle",
    "beagle": "English springer",
    "Old English sheepdog": "Border terrier",
    "Border terrier": "Old English sheepdog",
    "church": "gas pump",
    "gas pump": "church",
    "garbage truck": "church",
    "parachute": "golf ball",
    "golf ball": "parachute",
    "dingo": "Rhodesian ridgeback",
    "Rhodesian ridgeback": "dingo",
}
PRESETS_224 = {
    "generation": {"tuned": {"start": "noise", "epsilon": 40, "steps": 60, "step_size": 1}},
    "inpainting": {"tuned": {"epsilon": 21.6, "steps": 120, "step_size": 0.5}},
    "translation": {"tuned": {"epsilon": 60, "steps": 80, "step_size": 1}},
    "super_resolution": {"tuned": {"epsilon": 8, "steps": 40, "step_size": 1}},
    "sketch": {"tuned": {"epsilon": 40, "steps": 60, "step_size": 1}},
    "painting": {"tuned": {"epsilon": 70, "steps": 140, "step_size": 1}},
    "maximisation": {"tuned": {"epsilon": 100, "steps": 100, "step_size": 1}},
}
"""The paper's radii at 224 pixels, with our other settings; not tuned."""
