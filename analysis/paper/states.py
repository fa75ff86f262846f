"""Two states against three."""

from __future__ import annotations

import pandas as pd
import runner
from claims import final
from matplotlib.axes import Axes

from cortexsim.analysis.seeds import points

NAMES = {"2state-shared": "2 states\nT = 10\npre-net 1",
         "3state-onset": "3 states\nT = 5\npre-net 1",
         "3state-full": "3 states\nT = 5\npre-net 3"}


def draw(table: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw errors at the end."""
    points(axes[0], final(table), "error", "configuration", labels=NAMES)
    runner.panel(axes[0], "Test images, at the end", "")


EXPERIMENT = runner.Experiment("states", "Two and three states, fully connected", list(NAMES),
                               draw)

if __name__ == "__main__":
    runner.main([EXPERIMENT])
