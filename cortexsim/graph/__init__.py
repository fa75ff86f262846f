"""The area graph: areas, the connections between them, and what follows from both.

No torch here. A graph is validated once, when it is made; after that it can be
hashed, stored, compared, printed as a transition matrix and drawn.
"""

from __future__ import annotations

from .core import AreaGraph
from .normalization import Normalization
from .parts import Area, Connection, PreNet
from .sharing import SharingSet, Use

__all__ = ["Area", "AreaGraph", "Connection", "Normalization", "PreNet", "SharingSet", "Use"]
