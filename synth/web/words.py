"""Words of the page that no declaration holds: its title, the groups of tabs, labels and explanations."""

from __future__ import annotations

from synth import TASKS, Task
from synth.parameters import Parameter, sentence

TITLE = "Synth: pictures from one robust classifier"
GROUPS = {
    "Make": ("generation", "sketch"),
    "Change": ("translation", "painting", "style_transfer", "interpolation"),
    "Restore": ("inpainting", "super_resolution", "denoising"),
    "Look inside": ("maximisation", "reconstruction", "anomaly_detection"),
}
"""Names of tasks, in the order of their tabs; tasks that are not here come last."""
LABELS = {
    "class_name": "Class",
    "epsilon": "How far it may move, ε",
    "step_size": "Length of a step, η",
    "lam": "How firmly the rest is held, λ",
    "sigma": "Noise to add, σ",
    "count": "How many pictures",
    "size": "Size",
}
"""By the name of a parameter; the others are called as they are."""
EXPLANATIONS = {
    "generation": "The start is a blurred patch of colour, drawn at random like the pictures of the class. "
    "Each step asks the classifier how to change every pixel so that the class scores higher, and moves all of them a "
    "little that way. The picture may not move further than ε from its start.",
    "inpainting": "The hole is first filled smoothly from its rim. Each step then changes the hole so that the whole "
    "picture looks more like its class to the classifier. What lies outside the hole stays as it is.",
    "translation": "The start is the picture itself. Each step changes it so that the classifier sees the new class "
    "more clearly. It may not move further than ε, so that pose and setting stay.",
    "super_resolution": "The small picture is enlarged first, which leaves it blurred. Each step then adds the detail "
    "that the classifier misses in a picture of its class. Shrunk again, the result still equals the small picture "
    "where that is asked for.",
    "sketch": "The start is the drawing, with a little grain. Each step changes it so that the classifier sees the "
    "class more clearly. The layout stays, because the picture may not move further than ε.",
    "painting": "Each number that the classifier computes last stands for something that it looks for: one feature. "
    "The steps raise one of these numbers by changing the pixels under the mask. The rest of the picture stays.",
    "maximisation": "The start is any picture. The steps raise the score of a class for as long as they can. What "
    "appears is what the classifier takes the class to be.",
    "reconstruction": "The classifier turns the picture into features, which are all that it knows of it. A decoder, "
    "or gradient steps, make a picture of these features again. What is lost is what the classifier does not look at.",
    "interpolation": "Both pictures are turned into the classifier's features. The features of the one are blended "
    "into those of the other. Each blend gets the contrast of its ends back, and a decoder makes a picture of it.",
    "denoising": "The classifier turns the noisy picture into features, which keep little of the noise. A decoder "
    "makes a picture of these features again. Fine details take a shorter way round the deepest features, and a little "
    "of the noisy picture is mixed back in.",
    "style_transfer": "Both pictures are turned into features. Those of the one get the mean and the spread of those "
    "of the other, which hold its colours and textures. A decoder makes a picture of them, from coarse to fine.",
    "anomaly_detection": "One decoder has learned from pictures of one kind alone, another from all, and both rebuild "
    "this one from its features. The score compares how much they miss of the whole. The map is bright where the first "
    "keeps less of what the classifier sees; what is no odder than in half of the normal pictures stays dark.",
}
"""Three sentences above the equation of a task, by its name."""
LOOK_FOR = {
    "generation": "None of these pictures existed before: each grew from a blur, by the classifier alone.",
    "inpainting": "The left of the line has the hole as it was given, the right what the classifier put there.",
    "translation": "The pose and the place stay; what makes the class changes.",
    "super_resolution": "The left of the line is the small picture; the detail on the right is a guess that fits it.",
    "sketch": "The layout is the drawing's; colours, light and texture are the classifier's.",
    "painting": "Only the part under the mask has changed.",
    "maximisation": "What you see more of now is what the classifier takes the class to be.",
    "reconstruction": "What is lost is what the classifier does not look at; the decoder paints what is likely "
    "instead. From the deepest features (Settings, Depth) little but the layout comes back.",
    "interpolation": "The large picture is one of the small ones: a blend of what the classifier sees, not of pixels.",
    "denoising": "Left of the line is the noisy picture, right of it the cleaned one. Detail as fine as the noise, "
    "such as whiskers, goes with it.",
    "style_transfer": "The contents are those of the picture, the colours and the texture those of the style.",
}
"""What to look for in the result of a task, by its name, where the line above the tab does not say so already."""
COMPARISON = (
    "Both took the same number of steps, each up its own score. The robust classifier's picture takes on the look of "
    "the class; the ordinary one's mostly takes on patterns that only it takes for the class."
)


TOUR = {
    "imagenet20-resnet18-slim-l2-dual-generation": "Pictures from nothing. Each began as a blurred patch of colour, "
    "and the classifier was asked again and again what would make it look more like its class.",
    "imagenet20-resnet18-slim-l2-dual-sketch": "The same steps, from a flat drawing: move the handle to see it before "
    "and after. The layout stays, and the classifier draws the rest.",
    "imagenet20-resnet18-slim-l2-dual-translation": "The same steps, from a picture and towards another class.",
    "imagenet20-resnet18-slim-l2-dual-denoising": "The classifier's features, turned into a picture again by a small "
    "decoder: the noise is not among what it looks at.",
    "imagenet20-resnet18-slim-l2-dual-ordinary": "Why it works: the same steps with a robust classifier, and with an "
    "ordinary one that was never attacked while it learned.",
}
"""A sentence for each step of the tour, by the name of the stored result that it opens."""


def tabs() -> dict[str, list[Task]]:
    """The tasks of each group, in the order of the page."""
    groups = {group: [TASKS[name] for name in names if name in TASKS] for group, names in GROUPS.items()}
    known = {task for group in groups.values() for task in group}
    groups["Look inside"] += [task for task in TASKS.values() if task not in known]
    return groups


def label(name: str, kind: Parameter) -> str:
    """What the page calls a parameter, with its unit."""
    words = LABELS.get(name, sentence(name.replace("_", " ")))
    return f"{words} ({kind.unit})" if kind.unit else words
