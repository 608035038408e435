"""Imports modules of large packages without what these packages import at their start.

So a trainer's own code that reads files can be run where the trainer itself, with its engines for accelerators, cannot be.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def skip_start_of(*packages: str) -> None:
    """Let modules of packages be found, without running the ``__init__`` of these packages."""
    for name in packages:
        parent, _, child = name.rpartition(".")
        if parent:
            place = Path(sys.modules[parent].__path__[0], child)
        else:
            top = importlib.util.find_spec(name)
            assert top, f"{name} is not installed"
            place = Path(next(iter(top.submodule_search_locations or ())))
        module = ModuleType(name)
        module.__path__ = [str(place)]
        sys.modules[name] = module
        if parent:
            setattr(sys.modules[parent], child, module)


def stand_in_for(name: str, **attributes: object) -> None:
    """Let a module be one with these attributes alone: for what reading files does not need."""
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    parent, child = name.rsplit(".", 1)
    setattr(sys.modules[parent], child, module)
