"""Lists that fill themselves: a package's classes of one kind, so that adding one is adding one file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Protocol, TypeVar


class Ordered(Protocol):
    """What ``discover`` needs to know of an instance."""

    name: str
    order: int


Kind = TypeVar("Kind", bound=Ordered)


def discover(package: str, base: type[Kind]) -> dict[str, Kind]:
    """One instance of every concrete subclass of ``base`` defined in the modules of ``package``, by its ``name``.

    A subclass declares ``name``, and ``order``, a number by which the instances are sorted, then by name.
    ValueError for two classes of one name.
    """
    instances: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        for kind in vars(importlib.import_module(module.name)).values():
            own = inspect.isclass(kind) and issubclass(kind, base) and kind.__module__ == module.name
            if own and not inspect.isabstract(kind):
                instance = kind()
                if instance.name in instances:
                    raise ValueError(f"name: expected a new one in {module.name}, got {instance.name!r} again")
                instances[instance.name] = instance
    return dict(sorted(instances.items(), key=lambda item: (item[1].order, item[0])))
