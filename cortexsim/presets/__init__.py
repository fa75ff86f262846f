"""Area graphs that come along, one YAML file each."""

from __future__ import annotations

import re
from importlib import resources

from ..errors import GraphError, unknown
from ..graph import AreaGraph

_SUFFIX = ".yaml"


def names() -> list[str]:
    """Return the names of all presets, sorted; figure 4 before figure 10."""
    files = resources.files(__name__).iterdir()
    found = (f.name.removesuffix(_SUFFIX) for f in files if f.name.endswith(_SUFFIX))
    return sorted(found, key=lambda name: [int(part) if part.isdigit() else part
                                           for part in re.split(r"(\d+)", name)])


def get(name: str) -> AreaGraph:
    """Return a preset.

    Raises
    ------
    GraphError
        If there is no preset of this name; names those there are.
    """
    if name not in names():
        raise GraphError(unknown("preset", name, names()))
    text = resources.files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")
    return AreaGraph.from_text(text, name + _SUFFIX)
