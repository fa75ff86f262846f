"""What masks and changes work on: pixels 0 to 1, float (C, H, W)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.floating]
#: Draws so many other images, pixels 0 to 1, float (count, C, H, W), or as many as there are
#: if they are fewer (at least 1). The first ones are the same whatever the count.
Others = Callable[[int], Picture]

#: What lies where a picture is hidden, moved away or smaller than its frame: that of ``grey``,
#: 0 for the network, and to half a pixel value the grey on which digits lie.
MIDDLE_GREY = 0.5


def count(fraction: float, total: int) -> int:
    """Return the whole number nearest to a fraction of a total."""
    return int(np.floor(fraction * total + 0.5))
